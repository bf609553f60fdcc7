"""Where fetched models are kept, and whether the network may be used. Only environment variables and paths; no network."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hub2hf.sources.address import ArchiveUrl, KaggleHandle, TfhubAddress

NO = ("", "0", "false", "no", "off")


def offline() -> str:
    """Return the setting that forbids the network, as `NAME=value`; "" when none does. Ours goes before the Hub's."""
    for name in ("HUB2HF_OFFLINE", "HF_HUB_OFFLINE"):
        value = os.environ.get(name)
        if value is not None:
            return "" if value.strip().lower() in NO else f"{name}={value}"
    return ""


def own_cache() -> Path:
    """Return the folder of what is in no other library's cache: HUB2HF_CACHE, or hub2hf in the user's cache folder."""
    given = os.environ.get("HUB2HF_CACHE")
    if given:
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "hub2hf"


def tfhub_name(address: TfhubAddress) -> str:
    """Return the name of a module's folder in the cache of tensorflow_hub (compressed_module_resolver.py, _module_dir)."""
    return hashlib.sha1(address.handle.encode("utf-8"), usedforsecurity=False).hexdigest()


def tfhub_folders(address: TfhubAddress) -> Iterator[Path]:
    """Yield where a module may be, the first being where it is put.

    tensorflow_hub itself keeps modules in the folder for temporary files when TFHUB_CACHE_DIR is not set, where others may
    write and a restart clears; there we look, if the folder is the user's own, and do not write.
    """
    name = tfhub_name(address)
    given = os.environ.get("TFHUB_CACHE_DIR")
    if given:
        yield Path(given).expanduser() / name
        return
    yield own_cache() / "tfhub_modules" / name
    temporary = Path(tempfile.gettempdir()) / "tfhub_modules"
    if _is_private(temporary):
        yield temporary / name


def _is_private(folder: Path) -> bool:
    try:
        found = folder.stat()
    except OSError:
        return False
    owned = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    return owned and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def archive_folder(url: ArchiveUrl) -> Path:
    """Return where an archive of an address is unpacked."""
    key = hashlib.sha256(url.text.encode("utf-8")).hexdigest()
    return own_cache() / "archives" / key


def unpacked_folder(sha256: str) -> Path:
    """Return where an archive of this machine with that content is unpacked."""
    return own_cache() / "archives" / f"sha256-{sha256}"


def kaggle_cache() -> Path:
    """Return the cache of kagglehub (kagglehub/config.py, get_cache_folder)."""
    return Path(os.environ.get("KAGGLEHUB_CACHE") or "~/.cache/kagglehub").expanduser()


def kaggle_versions(handle: KaggleHandle) -> dict[int, Path]:
    """Return version → folder of what kagglehub has completed of a handle (kagglehub/cache.py).

    A framework is spelt in more than one way (tensorFlow2, TensorFlow2), and kagglehub keeps the person's spelling.
    """
    model = kaggle_cache() / "models" / handle.owner / handle.model
    found: dict[int, Path] = {}
    try:
        frameworks = [path for path in model.iterdir() if path.name.lower() == handle.framework.lower()]
        for marker in (path for folder in frameworks for path in folder.glob(f"{handle.variation}/*.complete")):
            version = marker.name.removesuffix(".complete")
            folder = marker.with_name(version)
            if version.isascii() and version.isdigit() and folder.is_dir() and handle.version in (None, int(version)):
                found[int(version)] = folder
    except OSError:
        return {}
    return found
