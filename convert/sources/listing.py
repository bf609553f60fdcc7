"""What `hub2hf list` tells: the known models, and what of them and of other sources is on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hub2hf.errors import SourceError
from hub2hf.known_models import known_models
from hub2hf.sources import EMBEDDED, resolve
from hub2hf.sources.fetching import addresses_of, cached_at
from hub2hf.sources.places import own_cache
from hub2hf.sources.store import cached, described


@dataclass(frozen=True)
class Listed:
    """A source that a person can name.

    Attributes:
        name: what to type.
        title: what it is called; empty for what is only in a cache.
        address, kaggle: where it is fetched from; empty where it has none.
        folder: its SavedModel on this machine; None when it has to be fetched.
        nbytes: of all files there; 0 when it has to be fetched.
    """

    name: str
    title: str
    address: str
    kaggle: str
    folder: Path | None
    nbytes: int


def listed() -> Iterator[Listed]:
    """Yield the known models, then the archives that were unpacked on this machine."""
    for name, model in known_models().items():
        folder = resolve(name) if name in EMBEDDED else _cached(name)
        yield Listed(name, model.title, model.address, model.kaggle, folder, _size(folder))
    archives = own_cache() / "archives"
    for place in sorted(archives.iterdir()) if archives.is_dir() else ():
        folder = None if place.name.startswith(".") else _model_in(place)
        if folder is not None:
            told = described(place)
            again = "://" in told or (Path(told).is_absolute() and Path(told).is_file())
            yield Listed(told if again else str(folder), "", "", "", folder, _size(folder))


def _cached(name: str) -> Path | None:
    try:
        return cached_at(addresses_of(name))
    except (SourceError, OSError):
        return None


def _model_in(place: Path) -> Path | None:
    try:
        return cached(place)
    except (SourceError, OSError):
        return None


def _size(folder: Path | None) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder else 0
