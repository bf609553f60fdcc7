"""From what a person names to a SavedModel folder on this machine: a folder, a name, an address, a handle, an archive."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

from hub2hf.errors import SourceError, pasted
from hub2hf.known_models import SUFFIX, TFHUB, KnownModel, documented, find_model, known_models, named, similar
from hub2hf.notices import Progress
from hub2hf.sources.address import Address, ArchiveUrl, KaggleHandle, TfhubAddress, parse_address
from hub2hf.sources.archive import model_folder
from hub2hf.sources.download import MovedToKaggle
from hub2hf.sources.kaggle import kaggle_cached, kaggle_fetched
from hub2hf.sources.other_kinds import check_kind
from hub2hf.sources.places import archive_folder, offline, tfhub_folders, unpacked_folder
from hub2hf.sources.store import cached, fetched, file_sha256, unpacked

__all__ = ["EMBEDDED", "address_of", "addresses_of", "cached_at", "model_of", "recording_of", "resolve"]

EMBEDDED = ("lealla-mini",)
MODELS = Path(str(resources.files("hub2hf"))) / "models"


def resolve(source: str | Path, *, progress: Progress | None = None) -> Path:
    """Return the SavedModel folder that `source` names, fetching and unpacking it into a cache where need be.

    Args:
        source: a folder or an archive (`.tar.gz`, `.tar`, `.zip`) on this machine, which win over all else of that name; the
            name of a model embedded in the package (`lealla-mini`) or known to it (`lealla-large`), or a TOML file like
            theirs; an address on tfhub.dev or kaggle.com; a Kaggle handle (`google/lealla/tensorFlow2/lealla-large`, with or
            without a version); the address of an archive, with `#sha256=…` to be sure of it.
        progress: called while fetching, with (bytes here so far, bytes in all or None).

    Raises:
        SourceError: there is no such source, it cannot be fetched, or it holds no SavedModel.
    """
    path = Path(source)
    try:
        if path.is_dir():
            found = model_folder(path)
            if found is None:
                check_kind(path)
            return found or path
        is_file = path.is_file()
    except (OSError, ValueError) as error:  # a folder above it that may not be searched, or a name too long
        said = error.strerror if isinstance(error, OSError) else str(error)
        raise SourceError(f"{source} cannot be read: {said}.", "Check the path and its permissions.") from error
    own = named(str(source))
    if own in EMBEDDED:
        return MODELS / own
    if is_file and path.suffix != SUFFIX:
        check_kind(path)
        return _archive_file(path)
    places = addresses_of(source)
    return cached_at(places) or _fetched(str(source), places, progress)


def recording_of(name: str) -> Path:
    """Return the recording of TensorFlow that is embedded beside the model `name` of `EMBEDDED`."""
    return MODELS / f"{name}.golden.safetensors"


def addresses_of(source: str | Path) -> list[Address]:
    """Return where on the network `source` may be fetched, the preferred place first.

    Raises:
        SourceError: it names nothing that can be fetched.
    """
    if named(str(source)) or Path(source).suffix == SUFFIX:
        model = find_model(source)
        found = [parse_address(text) for text in (model.address, model.kaggle) if text]
        places = [place for place in found if place is not None]
        if not places:
            raise SourceError(f"The model {source} has no address.", "Give its folder.")
        return places
    place = parse_address(str(source))
    if place is None:
        meant = similar(str(source))
        raise SourceError(
            f"{source} is neither a folder, an archive, an address, a Kaggle handle nor a known model.",
            f"Did you mean {meant}?" if meant else "Check the path or the name: hub2hf list names the known models.",
        )
    return [place]


def model_of(source: str | Path) -> KnownModel | None:
    """Return the known model that `source` names, by its name or by one of its addresses; None when it names none.

    A module that only the census has is one, too: its sizes and its preprocessor are known.

    What is fetched under that name must then be that model. What is on this machine already may be anything.
    """
    if Path(source).exists() and Path(source).suffix != SUFFIX:
        return None
    if named(str(source)) or Path(source).suffix == SUFFIX:
        return find_model(source)
    place = parse_address(str(source))
    found = (m for m in known_models().values() if place in map(parse_address, filter(None, (m.address, m.kaggle))))
    if place is None:
        return None
    return next(found, None) or documented(str(place))


def address_of(source: str | Path) -> str:
    """Return the address that `resolve` fetches `source` from, first of all; "" for what is on this machine."""
    here = Path(source).exists() and Path(source).suffix != SUFFIX
    return "" if here or named(str(source)) in EMBEDDED else str(addresses_of(source)[0])


def cached_at(places: list[Address]) -> Path | None:
    """Return the SavedModel of any of `places` that a cache on this machine has; None when none has."""
    for place in places:
        found = _cached(place)
        if found is not None:
            return found
    return None


def _archive_file(path: Path) -> Path:
    """An archive of this machine is unpacked under its content's name: a changed file is another one."""
    digest = file_sha256(path)
    folder = unpacked_folder(digest)
    return cached(folder) or unpacked(folder, path, digest)


def _cached(place: Address) -> Path | None:
    if isinstance(place, KaggleHandle):
        return kaggle_cached(place)
    folders = tfhub_folders(place) if isinstance(place, TfhubAddress) else iter([archive_folder(place)])
    return next((found for folder in folders if (found := cached(folder)) is not None), None)


def _fetched(source: str, places: list[Address], progress: Progress | None) -> Path:
    setting = offline()
    if setting:
        raise SourceError(
            f"{source} is in no cache on this machine, and {setting} forbids downloading it.",
            f"Unset {setting.partition('=')[0]}; or, on another machine, run {pasted('hub2hf', 'fetch', source)}, copy the "
            "folder that it names to this machine, and give it as SOURCE.",
        )
    failures: list[SourceError] = []
    for place in places:
        try:
            return _fetch(place, progress)
        except SourceError as error:
            failures.append(error)
    problem = " Its other address failed too: ".join(error.problem for error in failures)
    raise SourceError(problem, failures[-1].next_step)


def _fetch(place: Address, progress: Progress | None) -> Path:
    if isinstance(place, KaggleHandle):
        return kaggle_fetched(place, progress)
    if isinstance(place, ArchiveUrl):
        return fetched(archive_folder(place), place.text, place.url, place.sha256, progress)
    try:
        folder = next(tfhub_folders(place))
        url = place.url(os.environ.get("HUB2HF_TFHUB_ENDPOINT") or TFHUB)
        return fetched(folder, place.handle, url, "", progress)
    except MovedToKaggle as moved:
        handle = parse_address(moved.url)
        if not isinstance(handle, KaggleHandle):
            raise
        return kaggle_cached(handle) or kaggle_fetched(handle, progress)
