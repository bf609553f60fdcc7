"""From a name, an address, a handle or an archive to a SavedModel folder: found in a cache, or fetched and unpacked."""

from __future__ import annotations

import os
from pathlib import Path

from hub2hf.errors import SourceError, pasted
from hub2hf.known_models import SUFFIX, TFHUB, find_model, named, similar
from hub2hf.notices import Progress
from hub2hf.sources.address import Address, ArchiveUrl, KaggleHandle, TfhubAddress, parse_address
from hub2hf.sources.download import MovedToKaggle
from hub2hf.sources.kaggle import kaggle_cached, kaggle_fetched
from hub2hf.sources.places import archive_folder, offline, tfhub_folders, unpacked_folder
from hub2hf.sources.store import cached, fetched, file_sha256, unpacked


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


def cached_at(places: list[Address]) -> Path | None:
    """Return the SavedModel of any of `places` that a cache on this machine has; None when none has."""
    for place in places:
        found = _cached(place)
        if found is not None:
            return found
    return None


def unpacked_here(path: Path) -> Path:
    """Return the SavedModel of an archive of this machine, unpacked under its content's name: a changed file is another one.

    Raises:
        SourceError: it is no such archive, or holds no SavedModel.
    """
    digest = file_sha256(path)
    folder = unpacked_folder(digest)
    return cached(folder) or unpacked(folder, path, digest)


def brought(source: str, places: list[Address], progress: Progress | None) -> Path:
    """Return the SavedModel of the first of `places` that can be fetched, unpacked into a cache.

    Args:
        source: as the person named it, for errors.
        places: the preferred one first.
        progress: called with (bytes here so far, bytes in all or None).

    Raises:
        SourceError: none can be fetched, or the network is forbidden.
    """
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


def _cached(place: Address) -> Path | None:
    if isinstance(place, KaggleHandle):
        return kaggle_cached(place)
    folders = tfhub_folders(place) if isinstance(place, TfhubAddress) else iter([archive_folder(place)])
    return next((found for folder in folders if (found := cached(folder)) is not None), None)
