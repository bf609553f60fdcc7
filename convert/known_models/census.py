"""The text modules that tfhub.dev documents, and what to expect of each: configs/census.tsv and configs/families.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass

from hub2hf.configs import config_file
from hub2hf.known_models.models import KnownModel

TFHUB = "https://tfhub.dev"
TABLE, FAMILIES = "census.tsv", "families.toml"


@dataclass(frozen=True)
class Documented:
    """One module.

    Attributes:
        handle: OWNER/MODEL/VERSION; its address is https://tfhub.dev/ and that.
        family: what it is an instance of.
        layers, hidden_size, heads: as its handle states them; 0 where it does not.
        preprocessor: the handle of the module that makes ids of text for it, as its page names it; "" where it names none.
        becomes: the class of transformers that is expected to hold its graph exactly; "" where there is none.
        missing: why there is none.
    """

    handle: str
    family: str
    layers: int
    hidden_size: int
    heads: int
    preprocessor: str
    becomes: str
    missing: str

    @property
    def fate(self) -> str:
        """What to expect, in words: it is told of the module's page, and not of the module itself."""
        return f"expected to become {self.becomes}" if self.becomes else f"refused: {self.missing}"

    @property
    def model(self) -> KnownModel:
        """What is known of it, without facts for a card."""
        title = self.handle.split("/")[-2]
        sizes = {"layers": self.layers, "hidden_size": self.hidden_size, "heads": self.heads}
        preprocessor = self.preprocessor and f"{TFHUB}/{self.preprocessor}"
        stated = {name: size for name, size in sizes.items() if size}
        return KnownModel(title, title, f"{TFHUB}/{self.handle}", preprocessor=preprocessor, must_be=stated)


def census() -> Iterator[Documented]:
    """Yield every module, in the order of the file."""
    families = tomllib.loads(config_file(FAMILIES).read_text(encoding="utf-8"))
    for line in config_file(TABLE).read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            handle, family, layers, hidden, heads, preprocessor = line.split("\t")
            told = families[family]
            fate = told.get("becomes", ""), told.get("missing", "")
            yield Documented(handle, told["title"], int(layers), int(hidden), int(heads), preprocessor, *fate)


def documented(address: str) -> KnownModel | None:
    """Return what is known of the module at an address on tfhub.dev; None where its documentation has none there."""
    return next((module.model for module in census() if f"{TFHUB}/{module.handle}" == address), None)
