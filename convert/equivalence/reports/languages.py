"""The English names of languages, of `configs/languages.tsv`."""

from __future__ import annotations

from functools import cache

from hub2hf.configs import config_file

FILE = "languages.tsv"


@cache
def _names() -> dict[str, str]:
    lines = config_file(FILE).read_text("utf-8").splitlines()
    return dict(line.split("\t") for line in lines if not line.startswith("#"))


def language_name(language: str) -> str:
    """Return the English name of a language; of `pt-BR` that of `pt`; "" of a code that the file does not have."""
    return _names().get(language) or _names().get(language.partition("-")[0], "")
