"""Write a folder with a part of the vocabulary, from the files of a converted one; weights are streamed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from hub2hf.architectures import inputs_of
from hub2hf.blueprint.text import Pack, TextBlueprint
from hub2hf.errors import ExportError
from hub2hf.export.about import write_about
from hub2hf.export.files import hash_file, hash_files, write_json, write_pieces
from hub2hf.export.manifest import ABOUT, Manifest, check_unchanged, read_manifest
from hub2hf.export.staging import check_free, staged
from hub2hf.export.weights import DTYPES, safetensors_header
from hub2hf.onnx import FILES, write_onnx
from hub2hf.onnx.weights import Weights
from hub2hf.slimming.alphabet import alphabet_of_file, alphabet_of_languages, alphabet_of_scripts, cldr_version, letters
from hub2hf.slimming.guarantee import characters_of_words, check_rules, kept_pieces, promised
from hub2hf.slimming.scope import ORIGINAL_IDS, WORD_TABLE, Scope
from hub2hf.tokenizer import Vocabulary, read_vocabulary, special_tokens, tokenizer_files, write_vocab_txt
from hub2hf.unicode.codepoints import CodePoints, union
from hub2hf.web.rules import check_by_words, text_of

WEIGHTS, VOCABULARY, CONFIG, TOKENIZER = "model.safetensors", "vocab.txt", "config.json", "tokenizer.json"
ONNX: Final = "onnx/"
MADE_ANEW: Final = (
    TOKENIZER,
    VOCABULARY,
    CONFIG,
    WEIGHTS,
    "tokenizer_config.json",
    "special_tokens_map.json",
    ORIGINAL_IDS,
)
VOCABULARY_KEY: Final = '"vocab": {'

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Slim:
    """What `slim` made.

    Attributes:
        out: the folder.
        kept, dropped: how many pieces stayed and went.
        bytes, bytes_before: of all files of the folder, and of the one that it was made from.
        languages: those that it is kept for.
        alphabet: characters of words in which nothing changes.
    """

    out: Path
    kept: int
    dropped: int
    bytes: int
    bytes_before: int
    languages: tuple[str, ...]
    alphabet: CodePoints


@dataclass(frozen=True)
class Rule:
    """What a folder is kept for: characters, in words, and the languages that are asked for by name."""

    codes: CodePoints
    said: str
    languages: tuple[str, ...]


def slim(
    folder: str | Path,
    out: str | Path,
    *,
    languages: Collection[str] = (),
    scripts: Collection[str] = (),
    alphabet: str | Path | None = None,
    force: bool = False,
    progress: Progress = lambda done, total: None,
) -> Slim:
    """Make a folder with a part of the vocabulary, exact for every text that is written in what was asked for.

    What is asked for adds up. Digits, punctuation, signs, emoji and marks are always kept. `hub2hf.slimming.guarantee` says
    what is promised, and why it holds.

    Args:
        folder: made by `convert`, or by this.
        out: the folder to make.
        languages: ISO 639 codes, as on LEALLA's card: de, ja.
        scripts: as Unicode names them: Latin, Han.
        alphabet: a text file with the characters to keep, in any order.
        force: replace `out` if it is there and holds nothing but what hub2hf wrote.
        progress: called with (bytes of weights written so far, bytes in all).

    Raises:
        ExportError: there is no such language or script, `folder` is not as its manifest says, its text rules do not allow
            the promise, it is slim already without what is asked for, or `out` cannot be written. Then `out` is as it was.
    """
    folder, out = Path(folder), Path(out)
    rule = _rule(languages, scripts, Path(alphabet) if alphabet is not None else None)
    manifest = read_manifest(folder)
    check_free(out, force, folder)
    vocabulary, text = _text_side(folder, manifest)
    scope = Scope.of(folder, manifest)
    held = characters_of_words(_characters(rule.codes), text.operations)
    if scope is not None:
        _check_is_there(folder, scope, held)
    with ThreadPoolExecutor(max_workers=1) as pool, staged(out, force) as work:
        # Hashing takes as long as all the writing: it goes on beside it, and has its say before anything takes its place.
        unchanged = pool.submit(check_unchanged, folder, manifest)
        tokens = special_tokens(text, vocabulary)
        kept = kept_pieces(vocabulary.pieces, text, [piece for _, piece in tokens.items()], held)
        new = _Written(folder, work, manifest, vocabulary, text, kept)
        hashed = new.write(progress)
        before = scope.original_ids if scope is not None else range(len(vocabulary))
        (work / ORIGINAL_IDS).write_text("".join(f"{before[number]}\n" for number in kept), encoding="ascii")
        unchanged.result()
        codes = promised(held, new.dropped, text) & (scope.alphabet if scope is not None else ~CodePoints())
        told = rule.languages or _languages(codes, text)
        slim_facts = _facts(manifest, rule, told, codes, len(kept), len(vocabulary))
        written = replace(
            manifest,
            identity={
                **manifest.identity,
                "vocab_size": len(kept),
                "vocabulary_sha256": hash_file(work / VOCABULARY)["sha256"],
            },
            blueprint=new.blueprint(),
            files=hash_files(work, hashed),
            changed=(),
            repository="",
            slim=slim_facts,
        )
        listed = write_about(work, written)
    return Slim(out, len(kept), len(new.dropped), _bytes(listed), _bytes(manifest), told, codes)


def _rule(languages: Collection[str], scripts: Collection[str], alphabet: Path | None) -> Rule:
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
    if not sets:
        raise ExportError("Nothing says what is to be kept.", "Name languages, scripts, or a file with an alphabet.")
    return Rule(union(sets), "; ".join(said), tuple(dict.fromkeys(languages)))


def _characters(codes: CodePoints) -> set[str]:
    return {chr(code) for low, high in codes.ranges for code in range(low, high + 1) if not 0xD800 <= code < 0xE000}


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


def _check_is_there(folder: Path, scope: Scope, wanted: set[str]) -> None:
    """Refuse what a slim folder cannot give.

    Raises:
        ExportError: it dropped pieces with characters that are asked for.
    """
    missing = sorted(c for c in wanted if ord(c) not in scope.alphabet)
    if missing:
        named = ", ".join(f"U+{ord(c):04X}" for c in missing[:3])
        raise ExportError(
            f"{folder} is slim already, without pieces of {len(missing):,} characters that are asked for ({named}).",
            "Begin with the folder that it was made from.",
        )


def _languages(codes: CodePoints, text: TextBlueprint) -> tuple[str, ...]:
    """Return the languages whose letters are all among `codes`."""
    return tuple(
        name
        for name, own in letters().items()
        if all(ord(c) in codes for c in characters_of_words(_characters(own.codes), text.operations))
    )


def _facts(
    manifest: Manifest, rule: Rule, languages: Sequence[str], codes: CodePoints, kept: int, count: int
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
    return sum(int(entry["bytes"]) for entry in manifest.files.values())


class _Written:
    """The files of the new folder, but what is said about it.

    Args:
        folder, manifest, vocabulary, text: what it is made from.
        work: where it is written.
        kept: the ids of the pieces that stay, ascending.
    """

    def __init__(
        self, folder: Path, work: Path, manifest: Manifest, vocabulary: Vocabulary, text: TextBlueprint, kept: list[int]
    ) -> None:
        self.folder, self.work, self.manifest = folder, work, manifest
        self.kept = kept
        self.mask = np.zeros(len(vocabulary), bool)
        self.mask[kept] = True
        self.vocabulary = Vocabulary.of((vocabulary.pieces[number] for number in kept), work / VOCABULARY)
        self.dropped = [piece for piece, stays in zip(vocabulary.pieces, self.mask, strict=True) if not stays]
        self.pack = self._renumbered(text.pack)
        operations = tuple(self.pack if isinstance(each, Pack) else each for each in text.operations)
        self.text = replace(text, operations=operations, vocabulary=work / VOCABULARY)

    def _renumbered(self, pack: Pack) -> Pack:
        start, end, pad = map(self.kept.index, (pack.start_id, pack.end_id, pack.pad_id))
        return replace(pack, start_id=start, end_id=end, pad_id=pad)

    def write(self, progress: Progress) -> dict[str, str]:
        """Write all; return name → SHA-256 of what need not be hashed again."""
        for name in self.manifest.files:
            if name not in MADE_ANEW and name not in ABOUT and not name.startswith(ONNX):
                (self.work / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self.folder / name, self.work / name)
        write_vocab_txt(self.vocabulary, self.work / VOCABULARY)
        tokenizer_files(self.text, len(self.kept), self.work, inputs_of(self.manifest.blueprint["encoder"]))
        self._check_steps()
        config = json.loads((self.folder / CONFIG).read_text(encoding="utf-8"))
        write_json(self.work / CONFIG, {**config, "vocab_size": len(self.kept), "pad_token_id": self.pack.pad_id})
        hashed = {WEIGHTS: self._weights(progress)}
        for dtype, name in FILES.items():
            if f"{ONNX}{name}" in self.manifest.files:
                hashed |= {file: entry["sha256"] for file, entry in write_onnx(self.work, dtype).items()}
        return hashed

    def _check_steps(self) -> None:
        """See that all that comes before the vocabulary is in both tokenizers the same.

        Raises:
            ExportError: another version of hub2hf compiled it otherwise.
        """
        before, after = (_head(folder / TOKENIZER) for folder in (self.folder, self.work))
        for head in (before, after):
            head.pop("post_processor", None)  # has the ids of the ends
        if before != after:
            raise ExportError(
                f"{self.folder / TOKENIZER} is not what this version of hub2hf writes.",
                "Convert the model again: hub2hf convert SOURCE OUT.",
            )

    def _weights(self, progress: Progress) -> str:
        """Write the weights, of the word embeddings the rows that stay; return their SHA-256."""
        weights = Weights(self.folder / WEIGHTS)
        count, width = weights.shape(WORD_TABLE)
        if count != len(self.mask):
            raise ExportError(
                f"{WORD_TABLE} has {count:,} rows for {len(self.mask):,} pieces.", "Convert the model again."
            )
        shapes = {key: weights.shape(key) for key in weights} | {WORD_TABLE: (len(self.kept), width)}
        names = {np.dtype(weights.dtype(key)).name: DTYPES[np.dtype(weights.dtype(key)).name] for key in shapes}
        sizes = {key: int(np.prod(shape)) * weights.dtype(key).itemsize for key, shape in shapes.items()}
        entries = [(key, names[weights.dtype(key).name], list(shape), sizes[key]) for key, shape in shapes.items()]
        done, total = 0, sum(sizes.values())

        def pieces() -> Iterator[bytes]:
            nonlocal done
            yield safetensors_header(entries)
            for key in shapes:
                flat = weights.pieces(key)
                for piece in rows(flat, width, self.mask) if key == WORD_TABLE else flat:
                    yield piece.tobytes()
                    done += piece.nbytes
                    progress(done, total)

        return str(write_pieces(self.work / WEIGHTS, pieces())["sha256"])

    def blueprint(self) -> Mapping[str, Any]:
        """Return what was read of the SavedModel, with the numbers that are others now."""
        told = self.manifest.blueprint
        size = {**told["encoder"]["vocab_size"], "value": len(self.kept)}
        text = [
            {**step, **{name: getattr(self.pack, name) for name in ("start_id", "end_id", "pad_id")}}
            if step["operation"] == Pack.__name__
            else step
            for step in told["text"]
        ]
        mapping = [
            {**item, "shape": [len(self.kept), *item["shape"][1:]]} if item["key"] == WORD_TABLE else item
            for item in told["mapping"]
        ]
        return {**told, "encoder": {**told["encoder"], "vocab_size": size}, "text": text, "mapping": mapping}


def rows(pieces: Iterator[np.ndarray], width: int, mask: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the rows that stay of a table [pieces, width] that comes in flat arrays, which end anywhere.

    Args:
        pieces: the flat arrays.
        width: numbers in a row.
        mask: bool [pieces], whether a row stays.
    """
    rest, at = np.empty(0), 0
    for piece in pieces:
        flat = np.concatenate([rest.astype(piece.dtype, copy=False), piece])
        whole = len(flat) // width
        yield flat[: whole * width].reshape(whole, width)[mask[at : at + whole]]
        rest, at = flat[whole * width :], at + whole


def _head(path: Path) -> dict[str, Any]:
    """Return `tokenizer.json` without its vocabulary, which may be large and stands last."""
    head = ""
    try:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                head += line
                if line.strip() == VOCABULARY_KEY:
                    return dict(json.loads(f"{head}}}}}}}"))
    except (OSError, ValueError) as error:
        raise ExportError(f"{path} cannot be read: {error}.", "Convert the model again.") from error
    raise ExportError(f"{path} has no vocabulary.", "Convert the model again.")
