"""From what a person names to a SavedModel folder on this machine: a folder, a name, an address, a handle, an archive.

What fetches and unpacks is imported when a source is not simply here: that takes a while.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from hub2hf.errors import SourceError
from hub2hf.known_models import SUFFIX, KnownModel, documented, find_model, known_models, named
from hub2hf.notices import Progress
from hub2hf.sources.here import model_folder
from hub2hf.sources.other_kinds import check_kind

__all__ = ["EMBEDDED", "address_of", "model_of", "recording_of", "resolve"]

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
    from hub2hf.sources.fetching import addresses_of, brought, cached_at, unpacked_here

    if is_file and path.suffix != SUFFIX:
        check_kind(path)
        return unpacked_here(path)
    places = addresses_of(source)
    return cached_at(places) or brought(str(source), places, progress)


def recording_of(name: str) -> Path:
    """Return the recording of TensorFlow that is embedded beside the model `name` of `EMBEDDED`."""
    return MODELS / f"{name}.golden.safetensors"


def model_of(source: str | Path) -> KnownModel | None:
    """Return the known model that `source` names, by its name or by one of its addresses; None when it names none.

    A module that only the census has is one, too: its sizes and its preprocessor are known.

    What is fetched under that name must then be that model. What is on this machine already may be anything.
    """
    if Path(source).exists() and Path(source).suffix != SUFFIX:
        return None
    if named(str(source)) or Path(source).suffix == SUFFIX:
        return find_model(source)
    from hub2hf.sources.address import parse_address

    place = parse_address(str(source))
    found = (m for m in known_models().values() if place in map(parse_address, filter(None, (m.address, m.kaggle))))
    if place is None:
        return None
    return next(found, None) or documented(str(place))


def address_of(source: str | Path) -> str:
    """Return the address that `resolve` fetches `source` from, first of all; "" for what is on this machine."""
    if (Path(source).exists() and Path(source).suffix != SUFFIX) or named(str(source)) in EMBEDDED:
        return ""
    from hub2hf.sources.fetching import addresses_of

    return str(addresses_of(source)[0])
