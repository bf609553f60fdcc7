r"""What JavaScript's tokenizers make of a text, told by Python: a model of what `hub2hf.tokenizer.javascript` writes.

`Replace` is JavaScript's `replaceAll` with a regex under the flags `gu`, `Prepend`, NFD, NFC are what they are called, and
`Split` with `invert` keeps the matches. Python's `re` chooses among matches as JavaScript does. It reads other escapes, so
these are rewritten; and it knows no lone halves of characters, so a regex that could match the empty string, which
JavaScript also finds inside a character, is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import unicodedata2

from hub2hf.errors import REPORT, ExportError

POINT = re.compile(r"\\u\{([0-9A-F]+)\}")
REFERENCE = re.compile(r"\$([1$])")

Rewriting = Callable[[str], str]


def words_in_javascript(tokenizer: Mapping[str, Any]) -> Callable[[str], list[str]]:
    """Return what gives the words that are looked up for a text.

    Args:
        tokenizer: the content of a `tokenizer.json`, or the parts `normalizer` and `pre_tokenizer` of one.

    Raises:
        ExportError: a part is of another kind, or a regex cannot be followed.
    """
    changes = [_change(part) for part in tokenizer["normalizer"]["normalizers"]]
    split = tokenizer["pre_tokenizer"]
    if (split["type"], split["invert"]) != ("Split", True):
        raise _unknown(split)
    words = _compiled(split["pattern"]["Regex"])
    return lambda text: words.findall(reduce(lambda changed, change: change(changed), changes, text)) if text else []


def _change(part: Mapping[str, Any]) -> Rewriting:
    if part["type"] == "Replace":
        regex, content = _compiled(part["pattern"]["Regex"]), part["content"]

        def replaced(found: re.Match[str]) -> str:
            return REFERENCE.sub(lambda mark: "$" if mark[1] == "$" else found[1], content)

        return lambda text: regex.sub(replaced, text)
    if part["type"] == "Prepend":
        return lambda text: part["prepend"] + text
    if part["type"] in ("NFD", "NFC"):
        return lambda text: unicodedata2.normalize(part["type"], text)
    raise _unknown(part)


def _compiled(regex: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(POINT.sub(lambda point: f"\\U{int(point[1], 16):08X}", regex))
    except (re.error, RecursionError, OverflowError) as error:
        raise ExportError(f"The regex {regex[:200]!r} cannot be followed: {error}.", REPORT) from error
    if compiled.fullmatch(""):
        raise ExportError(
            f"The regex {regex[:200]!r} matches the empty string.",
            "JavaScript would find that inside characters too: report the model.",
        )
    return compiled


def _unknown(part: Mapping[str, Any]) -> ExportError:
    return ExportError(f"JavaScript's tokenizers have no '{part['type']}' that is modelled here.", REPORT)
