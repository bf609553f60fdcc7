"""RE2 search patterns as regexes of other engines, for `tokenizers.normalizers.Replace`."""

from __future__ import annotations

from math import prod

from hub2hf.limits import MAX_PATHS

from .dialect import ONIGURUMA, Dialect
from .re2 import Alternate, Anchor, Chars, Concat, Regex, Repeat, children, parse, unsupported

MOST_PATHS = 1  # unbounded repetitions inside one another are exponential in a backtracking engine


def replacement(pattern: str, rewrite: str, evidence: str, dialect: Dialect = ONIGURUMA) -> tuple[str, str]:
    """The regex and the literal content that do what RE2 does with `pattern` and `rewrite`.

    RE2 and the engines of `dialect` agree on which match wins (the leftmost, then the first alternative, then the
    longest or, when lazy, shortest repetition); what they disagree on is refused.

    Raises:
        GraphError: the pattern is not understood, can match the empty string, or the rewrite has groups.
    """
    node = parse(pattern, evidence)
    problem = None
    if _may_be_empty(node):
        problem = "it matches the empty string"
    elif _nested(node) > MOST_PATHS:
        problem = "it has a repetition inside a repetition"
    elif _slow(node):
        problem = "it could take quadratic time"
    elif _paths(node) > MAX_PATHS:
        problem = "it can match in too many ways"
    if problem:
        raise unsupported(pattern, evidence, problem)
    return _regex(node, dialect), _literal(pattern, rewrite, evidence)


def _literal(pattern: str, rewrite: str, evidence: str) -> str:
    """RE2's rewrite syntax: a backslash and a digit is a group, two backslashes are one."""
    pieces = rewrite.split("\\\\")
    if any("\\" in piece for piece in pieces):
        why = f"its rewrite {rewrite!r} refers to a group"
        raise unsupported(pattern, evidence, why)
    return "\\".join(pieces)


def _may_be_empty(node: Regex) -> bool:
    if isinstance(node, Chars):
        return False
    if isinstance(node, Anchor):
        return True
    if isinstance(node, Repeat):
        return node.low == 0 or _may_be_empty(node.node)
    found = [_may_be_empty(child) for child in children(node)]
    return any(found) if isinstance(node, Alternate) else all(found)


def _nested(node: Regex) -> int:
    """How deep unbounded repetitions sit in one another."""
    inner = max((_nested(child) for child in children(node)), default=0)
    return inner + (isinstance(node, Repeat) and node.high is None)


def _paths(node: Regex) -> int:
    """At most how many ways a backtracking engine tries at one place; nothing follows an unbounded repetition."""
    if isinstance(node, Chars | Anchor):
        return 1
    if isinstance(node, Repeat):
        inner, high = _paths(node.node), node.low + 1 if node.high is None else node.high
        if inner == 1 or high < 2:
            return inner * (max(high - node.low, 0) + 1)
        return int(min(inner**high, MAX_PATHS)) + 1 if high < 20 else MAX_PATHS + 1
    found = [_paths(child) for child in children(node)]
    return sum(found) if isinstance(node, Alternate) else prod(found)


def _slow(node: Regex) -> bool:
    """Whether something that can fail follows an unbounded repetition."""
    if isinstance(node, Concat) and node.parts:
        followed = node.parts[:-1]
        return any(_nested(part) for part in followed) or _slow(node.parts[-1])
    return any(_slow(child) for child in children(node))


def _regex(node: Regex, dialect: Dialect) -> str:
    if isinstance(node, Chars):
        return dialect.one_of(node.codes)
    if isinstance(node, Anchor):
        return dialect.start if node.at == "start" else dialect.end
    if isinstance(node, Concat):
        return "".join(_regex(part, dialect) for part in node.parts)
    if isinstance(node, Alternate):
        return f"(?:{'|'.join(_regex(option, dialect) for option in node.options)})"
    high = "" if node.high is None else str(node.high)
    lazy = "?" if node.lazy else ""
    return f"(?:{_regex(node.node, dialect)}){{{node.low},{high}}}{lazy}"
