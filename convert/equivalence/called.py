"""The root object of a SavedModel, loaded by TensorFlow and called, as TensorFlow Hub does."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import tensorflow as tf

from hub2hf.blueprint.entry import Entry
from hub2hf.equivalence.session import Tensors
from hub2hf.savedmodel.model import SavedModel


def called_object(model: SavedModel, entry: Entry) -> Callable[[Collection[str], Tensors], Tensors]:
    """Return the function from (outputs to give, inputs by name) to those outputs by name.

    Args:
        model: a SavedModel of TensorFlow 2.
        entry: the call of its root object.
    """
    loaded = tf.saved_model.load(str(model.folder), tags=list(model.tags))

    def run(names: Collection[str], given: Tensors) -> Tensors:
        tensors = {name: tf.constant(value) for name, value in given.items()}
        found = dict(zip(entry.outputs, tf.nest.flatten(_call(loaded, entry, tensors)), strict=True))
        return {name: found[name].numpy() for name in names}

    return run


def _call(loaded: Any, entry: Entry, given: Mapping[str, Any]) -> Any:
    """Call the root object with tensors by name."""
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
