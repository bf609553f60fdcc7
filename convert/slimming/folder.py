"""What a person asks of a smaller folder, checked before the minutes; `made` makes it, imported while files are hashed."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from hub2hf.errors import ExportError
from hub2hf.folder.manifest import check_unchanged, manifest_for_python
from hub2hf.folder.staging import check_free, staged
from hub2hf.notices import Progress
from hub2hf.slimming.alphabet import alphabet_of_file, alphabet_of_languages, alphabet_of_scripts, cldr_version
from hub2hf.slimming.asked import Kept, Loss, Slim, Used
from hub2hf.threads import worker
from hub2hf.unicode.codepoints import union


def slim(
    folder: Path,
    out: Path,
    *,
    languages: Collection[str] = (),
    scripts: Collection[str] = (),
    alphabet: Path | None = None,
    used: Used | None = None,
    loss: Loss | None = None,
    force: bool = False,
    progress: Progress = lambda done, total: None,
) -> Slim:
    """Make a folder with a part of the vocabulary, or coarser numbers, or both, as `hub2hf.slim` says it.

    Raises:
        ExportError: there is no such language or script, `folder` is not as its manifest says, its text rules do not allow
            the promise, it is slim already without what is asked for, lossy already, or `out` cannot be written. Then `out`
            is as it was.
    """
    rule = _rule(languages, scripts, alphabet, used)
    if rule is None and loss is None:
        raise ExportError(
            "Nothing says what to keep, or how.",
            "Give languages, scripts, an alphabet or a corpus; or a dtype, or int8.",
        )
    manifest = manifest_for_python(folder)
    if manifest.lossy:
        raise ExportError(
            f"{folder} is lossy already: {manifest.lossy['said']}.", "Start from the folder that it was made from."
        )
    check_free(out, force, folder)
    if force:
        from hub2hf.folder.about import check_unedited

        check_unedited(out)
    with worker() as pool, staged(out, force) as work:
        # Hashing takes as long as all the rest, and what is imported for that: it goes on beside it, and has its say before
        # anything takes its place.
        unchanged = pool.submit(check_unchanged, folder, manifest)
        from hub2hf.slimming.made import make

        try:
            return make(folder, out, work, manifest, rule, used, loss, unchanged.result, progress)
        except Exception:
            unchanged.result()  # what fails with files that were changed fails because of that
            raise


def _rule(
    languages: Collection[str], scripts: Collection[str], alphabet: Path | None, used: Used | None
) -> Kept | None:
    """Return what is to be kept; None where nothing says so.

    Raises:
        ExportError: there is no such language or script, or the file of an alphabet is none.
    """
    sets, said = [], []
    if languages:
        sets.append(alphabet_of_languages(languages))
        said.append(f"languages {', '.join(languages)} (letters of CLDR {cldr_version()})")
    if scripts:
        sets.append(alphabet_of_scripts(scripts))
        said.append(f"scripts {', '.join(scripts)}")
    if alphabet is not None:
        sets.append(alphabet_of_file(alphabet))
        said.append("an alphabet of one's own")
    if used is not None:
        said.append(used.said)
    if not said:
        return None
    named = dict.fromkeys([*languages, *(used.languages if used is not None else ())])
    return Kept(union(sets), used.pieces if used is not None else frozenset(), "; ".join(said), tuple(named))
