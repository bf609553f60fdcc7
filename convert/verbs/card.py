"""The verb `card`: a folder's card is written again; and `integrity`: is it as its manifest says?"""

from __future__ import annotations

from pathlib import Path

from hub2hf.names import check_flags, check_paths


def card(folder: str | Path, *, model: str | Path | None = None, force: bool = False) -> Path:
    """Write README.md, the card of a folder, again from its manifest and its proof; return its path. No weights are touched.

    Args:
        folder: made by `convert`.
        model: another known model or TOML file for the card than at the conversion.
        force: write over a card that was edited by hand.

    Raises:
        Hub2HFError: the folder has no manifest, or its card was edited by hand.
    """
    from hub2hf.folder.about import write_card
    from hub2hf.known_models import find_model

    check_paths(folder=folder)
    check_flags(force=force)
    return write_card(Path(folder), find_model(model) if model is not None else None, force=force)


def integrity(folder: str | Path) -> dict[str, str]:
    """Check a folder against its manifest.

    Returns:
        Name → what is wrong ("is missing", "has other bytes") of every file that is not as `convert` and `verify` left it.
        Files that the manifest does not list are named too.

    Raises:
        Hub2HFError: the folder has no manifest, or a file cannot be read.
    """
    from hub2hf.folder.manifest import problems, read_manifest, unknown_files

    check_paths(folder=folder)
    manifest = read_manifest(Path(folder))
    unknown = dict.fromkeys(unknown_files(Path(folder), manifest), "is not in hub2hf.json")
    return {**problems(Path(folder), manifest), **unknown}
