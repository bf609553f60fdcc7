"""The witness for an encoder of ids: TensorFlow runs its function, and the preprocessor's. Needs the extra `tensorflow`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import tensorflow as tf

from convert.blueprint import Blueprint, read_blueprint
from convert.blueprint.entry import Entry, ids_entry
from convert.blueprint.preprocessor import output_roles, preprocessor_entry
from convert.equivalence.recording import EMBEDDING, Recording
from convert.equivalence.reference import Reference
from convert.equivalence.sentences import Sentence
from convert.equivalence.tensorflow_side import BATCH, ReferenceGraph
from convert.export import fingerprint
from convert.savedmodel import SavedModel
from convert.savedmodel.objects import CALL
from convert.tokenizer import probe_tokenizer, read_vocabulary

OUR_TOKENIZER = "the exported tokenizer: the encoder has no preprocessor"

Packed = Mapping[str, np.ndarray]  # "ids", "mask", "types" → int [texts, max_length]


class ReferenceFunctions:
    """An encoder of ids, and what makes ids for it.

    Args:
        model: the SavedModel of the encoder.
        preprocessor: that of its text side; without one the compiled tokenizer makes the ids.
        vocabulary: as for `read_blueprint`.
    """

    def __init__(
        self, model: SavedModel, preprocessor: SavedModel | None = None, vocabulary: Path | None = None
    ) -> None:
        self.model = model
        self.blueprint: Blueprint = read_blueprint(model, preprocessor, vocabulary)
        self._sources = (model, preprocessor, vocabulary)
        self._encode = _encoder(model, self.blueprint)
        self._pack = _preprocessor(preprocessor) if preprocessor is not None else _tokenizer(self.blueprint)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return the embeddings of `texts`, float32 [texts, hidden]."""
        parts = [outputs[self.blueprint.output_name] for _, outputs in self._run(texts)]
        return np.concatenate(parts)

    def outputs(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """Return every output of the encoder by name, and "ids" and "mask", [texts, …]."""
        parts = [{**outputs, "ids": packed["ids"], "mask": packed["mask"]} for packed, outputs in self._run(texts)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def token_ids(self, texts: Sequence[str]) -> np.ndarray:
        """Return the packed, padded ids of `texts`, int32 [texts, max_length]."""
        return np.concatenate([self._pack(batch)["ids"] for batch in _batches(texts)]).astype(np.int32)

    def record(self, sentences: Sequence[Sentence]) -> Recording:
        """Return what TensorFlow makes of `sentences`, and those stages that the encoder gives."""
        texts = [sentence.text for sentence in sentences]
        wanted = {stage: name for name, stage in self.blueprint.outputs.items() if stage.startswith("layer ")}
        ids: list[list[int]] = []
        parts: dict[str, list[np.ndarray]] = {stage: [] for stage in (*sorted(wanted, key=_number), EMBEDDING)}
        for packed, outputs in self._run(texts):
            masks = packed["mask"].astype(bool)
            ids += [row[mask].tolist() for row, mask in zip(packed["ids"], masks, strict=True)]
            for stage, name in wanted.items():
                parts[stage].append(outputs[name][:, 0])
            parts[EMBEDDING].append(outputs[self.blueprint.output_name])
        return Recording(
            tf.__version__,
            self.fingerprint,
            self.blueprint.text.pack.max_length,
            list(sentences),
            ids,
            {stage: np.concatenate(values) for stage, values in parts.items()},
            "" if self.blueprint.preprocessor is not None else OUR_TOKENIZER,
        )

    @cached_property
    def fingerprint(self) -> str:
        """The fingerprint of all sources, as in `hub2hf.json`."""
        return str(fingerprint(*self._sources)["fingerprint"])

    def _run(self, texts: Sequence[str]) -> Iterator[tuple[Packed, dict[str, np.ndarray]]]:
        for batch in _batches(texts):
            packed = self._pack(batch)
            yield packed, self._encode(packed)

    def __enter__(self) -> ReferenceFunctions:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del self._encode, self._pack


def open_reference(
    model: SavedModel, preprocessor: SavedModel | None = None, vocabulary: Path | None = None
) -> Reference:
    """Return the witness that fits `model`: of text in a session, of ids by its functions."""
    blueprint = read_blueprint(model, preprocessor, vocabulary)
    return ReferenceFunctions(model, preprocessor, vocabulary) if blueprint.inputs else ReferenceGraph(model.folder)


def _batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    return (texts[start : start + BATCH] for start in range(0, len(texts), BATCH))


def _number(stage: str) -> int:
    return int(stage.removeprefix("layer "))


def _encoder(model: SavedModel, blueprint: Blueprint) -> Callable[[Packed], dict[str, np.ndarray]]:
    """Return the function from packed ids to every output by name."""
    loaded, entry = tf.saved_model.load(str(model.folder)), ids_entry(model)
    role_of = {name: role for role, name in blueprint.inputs.items()}

    def run(packed: Packed) -> dict[str, np.ndarray]:
        given = {
            name: tf.constant(packed[role_of.get(name, "types")], tensor.dtype) for name, tensor in entry.inputs.items()
        }
        if entry.name == CALL:
            found = dict(zip(entry.outputs, tf.nest.flatten(_call(loaded, entry, given)), strict=True))
        else:
            found = loaded.signatures[entry.name](**given)
        return {name: found[name].numpy() for name in blueprint.outputs}

    run.loaded = loaded  # type: ignore[attr-defined]  # its variables live as long as it does
    return run


def _call(loaded: Any, entry: Entry, given: Mapping[str, Any]) -> Any:
    """Call the root object with tensors by name, as TensorFlow Hub does."""
    whole: Any = {}
    for name, tensor in given.items():
        at = whole
        *inner, last = entry.paths[name]
        for key in inner:
            at = at.setdefault(key, {})
        at[last] = tensor
    arguments, named = (_nested(whole.get(part, {})) for part in ("0", "1"))
    try:
        return loaded(*arguments, **(named or {}))
    except (TypeError, ValueError):  # a Keras layer that has no default for it
        return loaded(*arguments, **{**(named or {}), "training": False})


def _nested(value: Any) -> Any:
    """Return dictionaries whose keys are positions as lists."""
    if not isinstance(value, dict):
        return value
    items = {key: _nested(item) for key, item in value.items()}
    if all(key.isdigit() for key in items):
        return [items[key] for key in sorted(items, key=int)]
    return items


def _preprocessor(model: SavedModel) -> Callable[[Sequence[str]], Packed]:
    """Return the function from texts to packed ids that a preprocessor is."""
    loaded, entry = tf.saved_model.load(str(model.folder)), preprocessor_entry(model)
    (source,) = entry.inputs

    def run(texts: Sequence[str]) -> Packed:
        found = loaded.signatures[entry.name](**{source: tf.constant([text.encode() for text in texts])})
        values = {name: value.numpy() for name, value in found.items()}
        packed = {role: values[name] for role, name in output_roles(values).items()}
        return {"types": np.zeros_like(packed["ids"]), **packed}

    run.loaded = loaded  # type: ignore[attr-defined]
    return run


def _tokenizer(blueprint: Blueprint) -> Callable[[Sequence[str]], Packed]:
    """Return the function from texts to packed ids that the exported tokenizer is."""
    text = blueprint.text
    tokenizer = probe_tokenizer(text, read_vocabulary(text.vocabulary).ids)

    def run(texts: Sequence[str]) -> Packed:
        ids = np.full((len(texts), text.pack.max_length), text.pack.pad_id, np.int32)
        mask = np.zeros_like(ids)
        for i, encoding in enumerate(tokenizer.encode_batch_fast(list(texts))):
            ids[i, : len(encoding.ids)] = encoding.ids
            mask[i, : len(encoding.ids)] = 1
        return {"ids": ids, "mask": mask, "types": np.zeros_like(ids)}

    return run
