"""The models that hub2hf knows by name: one TOML each in `configs/models/`; a person's own TOML counts as well.

A TOML says where the model lives, what a SavedModel must hold to be it, and what its card says beside what the graph tells.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from difflib import get_close_matches
from importlib.abc import Traversable
from pathlib import Path
from typing import Any

from hub2hf.configs import config_file
from hub2hf.errors import SourceError

FOLDER = "models"
SUFFIX = ".toml"
EXAMPLES = "See configs/models/ for examples."
LANGUAGE = re.compile(r"[a-z]{2,3}")  # ISO 639-1 to 639-3: the Hub takes no region or script, as in pt-BR
SEPARATE = ("must_be", "card")  # tables; all else in the file is a plain value


@dataclass(frozen=True)
class CardFacts:
    """What a model's card says beside what is read from the graph.

    Attributes:
        summary: what the model is and what it is for, Markdown.
        languages: ISO 639 codes; empty where they are not known.
        tags, license, datasets, base_model, pipeline_tag: the card's metadata, as the Hub names them.
        paper: its address.
        citation: BibTeX.
    """

    summary: str = ""
    languages: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    license: str = ""
    datasets: tuple[str, ...] = ()
    base_model: str = ""
    pipeline_tag: str = "sentence-similarity"
    paper: str = ""
    citation: str = ""


@dataclass(frozen=True)
class KnownModel:
    """One TOML.

    Attributes:
        name: what a person types, the name of the file.
        title: its name on the card.
        address: on tfhub.dev; empty where it has none.
        kaggle: its handle OWNER/MODEL/FRAMEWORK/VARIATION/VERSION; empty where it has none.
        preprocessor: address of the module with its text side; empty where it has its own.
        must_be: name of a size of the encoder's blueprint → its value; "vocabulary_sha256" → SHA-256 of the vocabulary file;
            empty is anything.
        card: for its card.
    """

    name: str
    title: str
    address: str = ""
    kaggle: str = ""
    preprocessor: str = ""
    must_be: Mapping[str, int | str] = field(default_factory=dict)
    card: CardFacts = field(default_factory=CardFacts)

    def differences(self, facts: Mapping[str, int | str]) -> list[str]:
        """Return, in words, where `facts` of a SavedModel are not what this model must be."""
        return [
            f"{name} is {facts.get(name, 'missing')}, not {value}"
            for name, value in self.must_be.items()
            if value and facts.get(name) != value
        ]

    def to_json(self) -> dict[str, Any]:
        """Return all that is needed to write its card again, as plain data."""
        return {"name": self.name, "title": self.title, "address": self.address, "card": asdict(self.card)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> KnownModel:
        """Return what `to_json` gave, with its evidence.

        Raises:
            KeyError, TypeError: it is not that.
        """
        card: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in data["card"].items()}
        lists = ("languages", "tags", "datasets")
        typed = all(
            isinstance(value, str) if key not in lists else all(isinstance(item, str) for item in value)
            for key, value in card.items()
        )
        name, title, address = data["name"], data["title"], data["address"]
        if not typed or not all(isinstance(text, str) for text in (name, title, address, data["evidence"])):
            raise TypeError("something said of the model is of another type")
        return cls(name, title, address, card=CardFacts(**card))


def known_models() -> dict[str, KnownModel]:
    """Return name → model of every TOML in `configs/models/`, by name."""
    return {name: _load(name, file) for name, file in sorted(_files())}


def find_model(name: str | Path) -> KnownModel:
    """Return the model of that name, or of a TOML file of the person's.

    Raises:
        SourceError: there is neither, or the file is not such a TOML.
    """
    known = dict(_files())
    if own := named(str(name)):
        return _load(own, known[own])
    path = Path(name)
    if path.suffix == SUFFIX and path.is_file():
        return _load(path.stem, path)
    meant = similar(str(name))
    raise SourceError(
        f"{name} is neither a known model nor a TOML file.",
        f"Did you mean {meant}?" if meant else "Name a file, or a model that hub2hf list shows.",
    )


def named(name: str) -> str:
    """Return the known model that `name` names, in capitals or not, as LEALLA-large; "" where it names none."""
    return name.casefold() if name.casefold() in dict(_files()) else ""


def similar(name: str) -> str:
    """Return the known model whose name is close to the last part of `name`, as in google/LaBSE; "" where none is."""
    last = name.rstrip("/").rpartition("/")[2].casefold()
    return next(iter(get_close_matches(last, sorted(dict(_files())), n=1, cutoff=0.75)), "")


def recognised(facts: Mapping[str, int | str]) -> KnownModel | None:
    """Return the known model whose every size and vocabulary are those of `facts`; None where no one or several are."""
    found = [m for m in known_models().values() if m.must_be.get("vocabulary_sha256") and not m.differences(facts)]
    return found[0] if len(found) == 1 else None


def _files() -> Iterator[tuple[str, Traversable]]:
    for file in config_file(FOLDER).iterdir():
        if file.name.endswith(SUFFIX):
            yield file.name.removesuffix(SUFFIX), file


def _load(name: str, file: Traversable) -> KnownModel:
    try:
        values = _inherited(file, set())
        card = values.pop("card", {})
        for key in ("languages", "tags", "datasets"):
            given = card.get(key, ())
            if not isinstance(given, (str, list, tuple)) or not all(isinstance(item, str) for item in given):
                raise SourceError(f"{file}: '{key}' is neither a text nor a list of texts.", EXAMPLES)
            card[key] = tuple(given.split() if isinstance(given, str) else given)
        if wrong := next((code for code in card["languages"] if not LANGUAGE.fullmatch(code)), ""):
            raise SourceError(f"{file}: '{wrong}' is no code of a language.", "ISO 639 has them, such as de or fil.")
        unknown = (set(values) - {f.name for f in fields(KnownModel)}) | (
            set(card) - {f.name for f in fields(CardFacts)}
        )
        if unknown:
            raise SourceError(f"{file} has unknown keys: {', '.join(sorted(unknown))}.", "See configs/models/.")
        if "title" not in values:
            raise SourceError(f"{file} has no title.", EXAMPLES)
        return KnownModel(name=name, **values, card=CardFacts(**card))
    except (TypeError, AttributeError) as error:
        raise SourceError(f"{file} is not the TOML of a model: a value in it is of another type.", EXAMPLES) from error
    except (OSError, ValueError) as error:
        raise SourceError(f"{file} is not the TOML of a model: {error}.", EXAMPLES) from error


def _inherited(file: Traversable, seen: set[str]) -> dict[str, Any]:
    """Return the values of `file` over those of the model that it names as `inherits`."""
    values = tomllib.loads(file.read_text(encoding="utf-8"))
    parent = values.pop("inherits", None)
    if parent is None:
        return values
    known = dict(_files())
    if parent not in known or parent in seen:
        raise SourceError(
            f"{file} inherits from {parent}, which is unknown or inherits from it.", "Name another model."
        )
    base = _inherited(known[parent], seen | {parent})
    tables = {key: {**base.get(key, {}), **values.get(key, {})} for key in SEPARATE}
    return {**base, **values, **tables}
