"""Write a folder with a part of the vocabulary, from the files of a converted one; weights are streamed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hub2hf.blueprint.text import TextBlueprint
from hub2hf.errors import ExportError
from hub2hf.folder.about import write_about
from hub2hf.folder.files import hash_file, hash_files
from hub2hf.folder.manifest import PICTURE, PROOF, Manifest
from hub2hf.folder.weights import WEIGHTS
from hub2hf.notices import Progress
from hub2hf.slimming.alphabet import characters, letters
from hub2hf.slimming.asked import Kept, Loss, Slim, Used
from hub2hf.slimming.files import CONFIG, TOKENIZER, VOCABULARY, Written
from hub2hf.slimming.guarantee import Spellings, characters_of_words, check_rules, kept_pieces, promised
from hub2hf.slimming.scope import ORIGINAL_IDS, SlimScope
from hub2hf.tokenizer import Vocabulary, read_vocabulary, special_tokens
from hub2hf.unicode.codepoints import CodePoints
from hub2hf.web.rules import check_by_words, text_of


def make(
    folder: Path,
    out: Path,
    work: Path,
    manifest: Manifest,
    rule: Kept | None,
    used: Used | None,
    loss: Loss | None,
    check_unchanged: Callable[[], None],
    progress: Progress,
) -> Slim:
    """Write all files of the new folder.

    Args:
        folder, manifest: what it is made from.
        out, work: what it will be called, and where it is written.
        rule: what is kept; None where no piece goes.
        used, loss, progress: as for `folder.slim`.
        check_unchanged: waits until `folder` was seen to be as its manifest says.

    Raises:
        ExportError: as `folder.slim`.
    """
    vocabulary, text = _text_side(folder, manifest)
    scope = SlimScope.of(folder, manifest)
    part = _Part.of(folder, vocabulary, text, scope, rule)
    new = Written(folder, work, manifest, vocabulary, text, part.kept, *((loss.precision, loss.texts) if loss else ()))
    hashed, codes = new.write(progress, part.promised)
    slim_facts = manifest.slim
    if rule is not None or scope is not None:
        numbers = new.kept if scope is None else [scope.original_ids[number] for number in new.kept]
        (work / ORIGINAL_IDS).write_text("\n".join([*map(str, numbers), ""]), encoding="ascii")
    check_unchanged()
    if rule is not None:
        told = rule.languages or _languages(codes, text)
        slim_facts = _facts(manifest, rule, told, codes, len(new.kept), len(vocabulary))
        slim_facts |= {"corpus": dict(used.facts)} if used is not None else {}
    written = replace(
        manifest,
        identity={
            **manifest.identity,
            "vocab_size": len(new.kept),
            "vocabulary_sha256": hash_file(work / VOCABULARY)["sha256"],
        },
        blueprint=new.blueprint(),
        files=hash_files(work, hashed),
        changed=(),
        repository="",
        evaluations=(),
        slim=slim_facts,
        lossy={"said": loss.said, "limits": loss.limits.to_json()} if loss is not None else None,
    )
    listed = write_about(work, written)
    if loss is not None:
        listed = write_about(work, replace(listed, lossy={**(written.lossy or {}), **loss.measure(work)}))
    languages = tuple(slim_facts["languages"]) if slim_facts else ()
    sizes = (_bytes(listed), _bytes(manifest))
    return Slim(
        out, len(new.kept), len(vocabulary) - len(new.kept), *sizes, languages, codes, listed.slim, listed.lossy
    )


@dataclass(frozen=True)
class _Part:
    """Which pieces stay, and for which characters."""

    kept: np.ndarray
    held: set[str] | None
    spellings: Spellings | None
    scope: SlimScope | None

    @classmethod
    def of(
        cls, folder: Path, vocabulary: Vocabulary, text: TextBlueprint, scope: SlimScope | None, rule: Kept | None
    ) -> _Part:
        """Return what a rule keeps of a vocabulary; all of it without one.

        Raises:
            ExportError: the folder is slim already, without what is asked for.
        """
        if rule is None:
            return cls(np.ones(len(vocabulary), bool), None, None, scope)
        held = characters_of_words(characters(rule.codes), text.operations)
        if scope is not None:
            _check_is_there(folder, scope, held)
        spellings = Spellings(vocabulary, text)
        kept = kept_pieces(spellings, [piece for _, piece in special_tokens(text, vocabulary).items()], held)
        kept[list(rule.pieces)] = True
        return cls(kept, held, spellings, scope)

    def promised(self) -> CodePoints:
        """Return the characters of words in which nothing changes."""
        codes = ~CodePoints()
        if self.held is not None and self.spellings is not None:
            codes = promised(self.held, self.spellings, self.kept)
        return codes & (self.scope.alphabet if self.scope is not None else ~CodePoints())


def _text_side(folder: Path, manifest: Manifest) -> tuple[Vocabulary, TextBlueprint]:
    """Return vocabulary and text side of a folder.

    Raises:
        ExportError: it has none that can be made slim.
    """
    check_by_words(folder, manifest.blueprint)
    for name in (WEIGHTS, VOCABULARY, TOKENIZER, CONFIG):
        if name not in manifest.files:
            raise ExportError(f"{folder} has no {name}.", "Name a folder that hub2hf convert or hub2hf slim made.")
    vocabulary = read_vocabulary(folder / VOCABULARY)
    text = text_of(manifest.blueprint, folder / VOCABULARY)
    check_rules(text.operations)
    return vocabulary, text


def _check_is_there(folder: Path, scope: SlimScope, wanted: set[str]) -> None:
    """Refuse what a slim folder cannot give.

    Raises:
        ExportError: it dropped pieces with characters that are asked for.
    """
    missing = sorted(c for c in wanted if ord(c) not in scope.alphabet)
    if missing:
        named = ", ".join(f"U+{ord(c):04X}" for c in missing[:3])
        raise ExportError(
            f"{folder} is slim already, without pieces of {len(missing):,} characters that are asked for ({named}).",
            "Start from the folder that it was made from.",
        )


def _languages(codes: CodePoints, text: TextBlueprint) -> tuple[str, ...]:
    """Return the languages whose letters are all among `codes`."""
    return tuple(
        name
        for name, own in letters().items()
        if all(ord(c) in codes for c in characters_of_words(characters(own.codes), text.operations))
    )


def _facts(
    manifest: Manifest, rule: Kept, languages: Sequence[str], codes: CodePoints, kept: int, count: int
) -> dict[str, Any]:
    """Return what the manifest says of it: the whole folder, the rules in order, what went."""
    before = manifest.slim or {}
    pieces = before.get("whole", {}).get("pieces", count)
    whole = {"fingerprint": manifest.fingerprint, "pieces": pieces, "weights_sha256": manifest.files[WEIGHTS]["sha256"]}
    spans = (f"{low:X}-{high:X}" if high > low else f"{low:X}" for low, high in codes.ranges)
    return {
        "whole": before.get("whole", whole),
        "rules": [*before.get("rules", ()), rule.said],
        "languages": list(languages),
        "kept": kept,
        "dropped": pieces - kept,
        "alphabet": " ".join(spans),
    }


def _bytes(manifest: Manifest) -> int:
    """Return the bytes of what a folder holds, but for what was measured of it."""
    return sum(int(entry["bytes"]) for name, entry in manifest.files.items() if name not in (PROOF, PICTURE))
