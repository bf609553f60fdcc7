"""The ways people load a converted folder, each a value; a new one is a file here, found by its name.

Nothing here imports PyTorch until a folder is loaded: the card, a push and the command line ask only what is known.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Collection, Iterator, Sequence
from importlib import import_module
from pathlib import Path

from hub2hf.errors import SourceError
from hub2hf.surfaces.base import CPU, Embedded, Loaded, Surface, spelled

__all__ = [
    "CPU",
    "ENCODER",
    "SURFACES",
    "Embedded",
    "Loaded",
    "Surface",
    "applying",
    "chosen",
    "embed",
    "named",
    "on",
    "reads",
    "title",
]


def _declared() -> Iterator[Surface]:
    for module in pkgutil.iter_modules(__path__):
        yield from getattr(import_module(f"{__name__}.{module.name}"), "SURFACES", ())


# By name: those that are exact first.
SURFACES: dict[str, Surface] = {s.name: s for s in sorted(_declared(), key=lambda s: (not s.exact, s.name))}

# Names that ways had before they were called by their titles.
RENAMED = {
    **dict.fromkeys(("card", "snippet"), "berttokenizerfast"),
    **{"bert": "bertmodel", "onnx": "onnx-runtime", "web": "transformers-js"},
}
ENCODER = "bertmodel"  # loads the encoder without anything of ours, for comparing stages


def named(text: str) -> str:
    """Return the name of the way of loading that `text` spells: its title, its name, or an earlier one; else `text`."""
    name = spelled(text)
    name = RENAMED.get(name, name)
    return name if name in SURFACES else text


def applying(files: Collection[str]) -> list[Surface]:
    """Return the ways of loading that are taken unasked of a folder of `files`, paths inside it."""
    return [surface for surface in SURFACES.values() if surface.applies(files) and not surface.by_name]


def on(device: str) -> list[str]:
    """Return the names of the ways of loading that compute on a device, without it.

    Raises:
        SourceError: there is no such device.
    """
    found = [name.removesuffix(f"-{device}") for name, surface in SURFACES.items() if surface.device == device]
    if not found:
        known = ", ".join(dict.fromkeys(surface.device for surface in SURFACES.values()))
        raise SourceError(f"There is no device '{device}'.", f"Choose from: {known}.")
    return found


def chosen(names: Sequence[str], files: Collection[str], device: str = CPU) -> list[Surface]:
    """Return the ways of loading that `names` spell on a device; without names, all that apply to a folder of `files`.

    Raises:
        SourceError: there is none of a name on that device.
    """
    known = on(device)
    names = list(dict.fromkeys(map(named, names)))
    unknown = sorted(set(names) - {*known})
    if unknown:
        where = f" on {device}" if device != CPU else ""
        asked, choice = (", ".join(map(title, names)) for names in (unknown, known))
        raise SourceError(f"Unknown way of loading{where}: {asked}.", f"Choose from: {choice}.")
    if device == CPU:
        return [SURFACES[name] for name in names] if names else applying(files)
    return [SURFACES[f"{name}-{device}"] for name in names or known]


def reads(name: str, file: str) -> bool:
    """Whether the way of loading `name` reads `file`, a path inside a folder: all but what only other ways read.

    One that is not known here may read anything.
    """
    name = named(name)
    if name not in SURFACES:
        return True
    private = {path[: path.rindex("/") + 1] for surface in SURFACES.values() for path in surface.own}
    return file.startswith(SURFACES[name].own) or not file.startswith(tuple(private))


def title(name: str) -> str:
    """Return what the way of loading `name` is called; one that is not known here, by that name."""
    known = SURFACES.get(named(name))
    return known.title if known else name


def embed(name: str, folder: Path, texts: Sequence[str], *, trusted: bool = True) -> Embedded:
    """Load `folder` in the way `name` does, and embed `texts`."""
    return SURFACES[named(name)].load(folder, trusted).embed(texts)
