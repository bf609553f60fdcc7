"""Models on Kaggle, through kagglehub: its cache, and where it is installed its downloads and the person's account."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from convert.errors import SourceError
from convert.sources.address import KaggleHandle
from convert.sources.download import reason_of
from convert.sources.places import kaggle_cache, kaggle_versions
from convert.sources.store import alone, cached

INSTALL = "Install it: pip install 'hub2hf[kaggle]'."


def kaggle_cached(handle: KaggleHandle) -> Path | None:
    """Return the SavedModel of a handle in kagglehub's cache, the newest version where none is named; None if there is none.

    Raises:
        SourceError: what is there is several SavedModels.
    """
    found = kaggle_versions(handle)
    return cached(found[max(found)]) if found else None


def kaggle_fetched(handle: KaggleHandle, *, quiet: bool) -> Path:
    """Return the SavedModel of a handle, fetched by kagglehub.

    Args:
        handle: without a version, the newest of Kaggle is meant.
        quiet: whether nothing may be printed; else kagglehub draws its own bar on standard error.

    Raises:
        SourceError: kagglehub is not installed, or cannot fetch it.
    """
    place = kaggle_cache() / "models" / handle.owner / handle.model / handle.framework / handle.variation
    try:
        with alone(place), _printing(quiet=quiet):
            folder = Path(_client().model_download(str(handle)))
    except OSError as error:
        if error.filename is not None:
            raise SourceError(
                f"The cache of kagglehub cannot be written: {error.strerror} ({error.filename}).",
                "Check it, or name another in KAGGLEHUB_CACHE.",
            ) from error
        raise _failed(handle, error) from error  # requests counts its errors as such
    except SourceError:
        raise
    except Exception as error:  # kagglehub has several families, and states none
        raise _failed(handle, error) from error
    found = cached(folder)
    if found is None:
        raise SourceError(f"{handle} holds no SavedModel ({folder}).", "Name a TensorFlow variation of the model.")
    return found


def _client() -> Any:
    try:
        import kagglehub
    except ImportError as error:
        raise SourceError(f"{error.name}, which fetches models from Kaggle, is not installed.", INSTALL) from error
    logging.getLogger("kagglehub").setLevel(logging.ERROR)  # it tells of versions and progress on standard output
    return kagglehub


def _failed(handle: KaggleHandle, error: Exception) -> SourceError:
    import requests

    if isinstance(error, requests.ConnectionError | requests.Timeout):
        return SourceError(
            f"Kaggle cannot be reached for {handle}: {reason_of(error)}.", "Check the network, or give the folder."
        )
    reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return SourceError(
        f"Kaggle does not give {handle}: {reason[:300]}.",
        "Check the handle and the network; some models ask you to log in (kagglehub.login()) and to accept their terms.",
    )


@contextlib.contextmanager
def _printing(*, quiet: bool) -> Iterator[None]:
    """Keep standard output for results, and standard error clear of bars where it is not a terminal."""
    silent = quiet or not sys.stderr.isatty()
    with (
        contextlib.redirect_stdout(io.StringIO() if silent else sys.stderr),
        contextlib.redirect_stderr(io.StringIO()) if silent else contextlib.nullcontext(),
    ):
        yield
