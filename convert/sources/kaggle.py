"""Models on Kaggle: public ones by our own download into kagglehub's cache, others through kagglehub and an account."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from hub2hf.errors import SourceError
from hub2hf.extras import install
from hub2hf.notices import Progress
from hub2hf.sources.address import KaggleHandle
from hub2hf.sources.download import NotAllowed, download, reason_of
from hub2hf.sources.places import kaggle_cache, kaggle_versions
from hub2hf.sources.store import alone, cached, fetched

KAGGLE = "https://www.kaggle.com"
MAX_JSON = 1 << 20


def kaggle_cached(handle: KaggleHandle) -> Path | None:
    """Return the SavedModel of a handle in kagglehub's cache, the newest version where none is named; None if there is none.

    Raises:
        SourceError: what is there is several SavedModels.
    """
    found = kaggle_versions(handle)
    return cached(found[max(found)]) if found else None


def kaggle_fetched(handle: KaggleHandle, progress: Progress | None) -> Path:
    """Return the SavedModel of a handle, from Kaggle into kagglehub's cache.

    Whoever asks gets a public model, as its page says ("Download via cURL"). For a model that Kaggle gives to its users
    only, kagglehub is asked, which knows the person's account.

    Args:
        handle: without a version, the newest of Kaggle is meant.
        progress: see `download`.

    Raises:
        SourceError: Kaggle does not give it, or it holds no SavedModel.
    """
    try:
        return _public(handle, progress)
    except NotAllowed:
        return _as_user(handle, quiet=progress is None)


def _public(handle: KaggleHandle, progress: Progress | None) -> Path:
    path = "/".join((handle.owner, handle.model, handle.framework, handle.variation))
    endpoint = f"{(os.environ.get('HUB2HF_KAGGLE_ENDPOINT') or KAGGLE).rstrip('/')}/api/v1/models/{path}"
    version = handle.version or _newest(f"{endpoint}/get")
    place = kaggle_cache().joinpath("models", *path.split("/"), str(version))
    named = str(replace(handle, version=version))
    marker = place.with_name(f"{version}.complete")
    return fetched(place, named, f"{endpoint}/{version}/download", "", progress, marker=marker)


def _newest(url: str) -> int:
    """Return the number of the newest version, which Kaggle tells as JSON."""

    def bounded(done: int, total: int | None) -> None:
        if done > MAX_JSON:
            raise SourceError(f"{url} answers more than {MAX_JSON:,} bytes.", "Name a version: OWNER/MODEL/…/1.")

    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer"
        download(url, answer, progress=bounded)
        try:
            version = json.loads(answer.read_bytes())["versionNumber"]
        except (ValueError, KeyError, TypeError, RecursionError):
            version = None
    if type(version) is not int or not 0 < version < 1 << 31:
        raise SourceError(f"{url} tells no version of the model.", "Name a version: OWNER/MODEL/FRAMEWORK/VARIATION/1.")
    return version


def _as_user(handle: KaggleHandle, *, quiet: bool) -> Path:
    """Return the SavedModel of a handle, fetched by kagglehub, which draws its own bar unless `quiet`."""
    place = kaggle_cache() / "models" / handle.owner / handle.model / handle.framework / handle.variation
    try:
        with alone(place), _printing(quiet=quiet):
            folder = Path(_client(handle).model_download(str(handle)))
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


def _client(handle: KaggleHandle) -> Any:
    try:
        import kagglehub
    except ImportError as error:
        raise SourceError(
            f"Kaggle gives {handle} to its users only, and {error.name} is not installed.",
            f"Install it, and log in: {install('kaggle')}",
        ) from error
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
