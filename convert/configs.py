"""The files of `configs/`: beside the package in a checkout, inside it when installed."""

from __future__ import annotations

from importlib import resources
from importlib.abc import Traversable
from pathlib import Path


def config_file(name: str) -> Traversable:
    """Return the file or folder `name` of `configs/`."""
    installed = resources.files("hub2hf").joinpath("config_files").joinpath(name)
    return installed if installed.is_file() or installed.is_dir() else Path(__file__).parents[1] / "configs" / name
