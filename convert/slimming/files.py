"""The files of a folder with a part of the vocabulary, or with coarser numbers; weights are streamed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np

from hub2hf.architectures import MODEL_FILE, architecture_of_facts
from hub2hf.blueprint.text import Pack, TextBlueprint
from hub2hf.errors import ExportError
from hub2hf.folder.files import write_json, write_pieces
from hub2hf.folder.manifest import ABOUT, Manifest, unreadable
from hub2hf.folder.weights import DTYPES, WEIGHTS, safetensors_header
from hub2hf.notices import Progress
from hub2hf.onnx.export import FILES, write_onnx
from hub2hf.onnx.precision import EXACT, Precision, narrowed
from hub2hf.onnx.reach import reaches
from hub2hf.onnx.weights import WeightFile
from hub2hf.slimming.scope import ORIGINAL_IDS
from hub2hf.surfaces.onnxruntime import FOLDER
from hub2hf.tokenizer import Vocabulary, tokenizer_files

T = TypeVar("T")

VOCABULARY, CONFIG, TOKENIZER = "vocab.txt", "config.json", "tokenizer.json"
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


class Written:
    """The files of the new folder, but what is said about it.

    Args:
        folder, manifest, vocabulary, text: what it is made from.
        work: where it is written.
        mask: which pieces stay, bool [pieces].
        precision: how numbers are kept.
        texts: on which int8 products are calibrated.
    """

    def __init__(
        self,
        folder: Path,
        work: Path,
        manifest: Manifest,
        vocabulary: Vocabulary,
        text: TextBlueprint,
        mask: np.ndarray,
        precision: Precision = EXACT,
        texts: Sequence[str] = (),
    ) -> None:
        self.folder, self.work, self.manifest = folder, work, manifest
        self.architecture = architecture_of_facts(manifest.blueprint["encoder"])
        self.mask, self.precision, self.texts = mask, precision, texts
        self.kept: list[int] = np.flatnonzero(mask).tolist()
        self.vocabulary = vocabulary.part(mask, work / VOCABULARY)
        self.pack = self._renumbered(text.pack)
        operations = tuple(self.pack if isinstance(each, Pack) else each for each in text.operations)
        self.text = replace(text, operations=operations, vocabulary=work / VOCABULARY)

    def _renumbered(self, pack: Pack) -> Pack:
        start, end, pad = map(self.kept.index, (pack.start_id, pack.end_id, pack.pad_id))
        return replace(pack, start_id=start, end_id=end, pad_id=pad)

    def write(self, progress: Progress, meanwhile: Callable[[], T]) -> tuple[dict[str, str], T]:
        """Write all; return name → SHA-256 of what need not be hashed again, and what `meanwhile` returned.

        Args:
            progress: called with (bytes of weights written so far, bytes in all).
            meanwhile: what else is to be computed; the weights take longer than all other files.
        """
        left = {*MADE_ANEW, *ABOUT, *((MODEL_FILE,) if self.precision.only_onnx else ())}
        for name in self.manifest.files:
            if name not in left and not name.startswith(FOLDER):
                (self.work / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self.folder / name, self.work / name)
        with ThreadPoolExecutor(max_workers=1) as pool:  # weights wait for the disk, where the tokenizer is work
            weights = pool.submit(self._weights, progress)
            tokenizer_files(self.text, len(self.kept), self.work, self.architecture.inputs, self.vocabulary)
            self._check_steps()
            computed = meanwhile()
        config = json.loads((self.folder / CONFIG).read_text(encoding="utf-8"))
        if self.precision.only_onnx:
            config.pop("auto_map", None)  # names the class of the weights that are not there
        write_json(self.work / CONFIG, {**config, "vocab_size": len(self.kept), "pad_token_id": self.pack.pad_id})
        hashed = {WEIGHTS: weights.result()}
        for name, precision in self._onnx_files().items():
            met = reaches(self.work, self.texts) if precision.matrices else {}
            new = write_onnx(self.work, precision, name=name, reaches=met)
            hashed |= {file: entry["sha256"] for file, entry in new.items()}
        if self.precision.only_onnx:
            (self.work / WEIGHTS).unlink()
            del hashed[WEIGHTS]
        return hashed, computed

    def _onnx_files(self) -> dict[str, Precision]:
        """Return name → how its numbers are kept, of the ONNX files to write."""
        exact = FILES[EXACT.dtype]
        if self.precision.only_onnx:
            return {exact: self.precision}
        there = {name: dtype for dtype, name in FILES.items() if f"{FOLDER}{name}" in self.manifest.files}
        if self.precision == EXACT:
            return {name: Precision(dtype) for name, dtype in there.items()}
        return {exact: self.precision} if exact in there else {}

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
                "Convert the model again: hub2hf convert SOURCE OUT",
            )

    def _weights(self, progress: Progress) -> str:
        """Write the weights, of the word embeddings the rows that stay; return their SHA-256."""
        weights = WeightFile(self.folder / WEIGHTS)
        table = self.architecture.word_table
        count, width = weights.shape(table)
        if count != len(self.mask):
            raise ExportError(f"{table} has {count:,} rows for {len(self.mask):,} pieces.", "Convert the model again.")
        shapes = {key: weights.shape(key) for key in weights} | {table: (len(self.kept), width)}
        # int8 is made of the whole numbers.
        half = "" if self.precision.only_onnx or self.precision == EXACT else self.precision.dtype
        dtypes = {key: np.dtype(half) if half else weights.dtype(key) for key in shapes}
        sizes = {key: int(np.prod(shape)) * dtypes[key].itemsize for key, shape in shapes.items()}
        entries = [(key, DTYPES[dtypes[key].name], list(shape), sizes[key]) for key, shape in shapes.items()]
        done, total = 0, sum(sizes.values())

        def pieces() -> Iterator[bytes | memoryview]:
            nonlocal done
            yield safetensors_header(entries)
            for key in shapes:
                for piece in self._kept_rows(weights) if key == table else weights.pieces(key):
                    data = np.ascontiguousarray(narrowed(piece, dtypes[key].name, key)).reshape(-1).view(np.uint8)
                    yield data.data
                    done += data.nbytes
                    progress(done, total)

        return str(write_pieces(self.work / WEIGHTS, pieces())["sha256"])

    def _kept_rows(self, weights: WeightFile) -> Iterator[np.ndarray]:
        at = 0
        for block in weights.rows(self.architecture.word_table):
            yield block[self.mask[at : at + len(block)]]
            at += len(block)

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
        table = self.architecture.word_table
        mapping = [
            {**item, "shape": [len(self.kept), *item["shape"][1:]]} if item["key"] == table else item
            for item in told["mapping"]
        ]
        return {**told, "encoder": {**told["encoder"], "vocab_size": size}, "text": text, "mapping": mapping}


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
        raise unreadable(path, error) from error
    raise ExportError(f"{path} has no vocabulary.", "Convert the model again.")
