"""What people have that is no SavedModel, recognised by the names of its files, and what to do with it instead."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from hub2hf.errors import SourceError, pasted
from hub2hf.sources.here import SAVED_MODEL_FILE


@dataclass(frozen=True)
class Kind:
    """A kind of model that is no SavedModel.

    Attributes:
        what: its name, with an article.
        files: patterns of the names of its files, in lower case; one is enough.
        step: what to do with it, a sentence; `{path}` stands for where it is.
    """

    what: str
    files: tuple[str, ...]
    step: str


KINDS = (
    Kind(
        "a Hugging Face model",
        ("model*.safetensors", "pytorch_model*.bin", "*.pt", "*.pth"),
        "Load it as it is; to compare it with the module it was made from: hub2hf verify SOURCE {path}",
    ),
    Kind(
        "a model in a file of Keras's own",
        ("*.keras", "*.h5", "*.hdf5"),
        "Load it with Keras and write it as a SavedModel: model.export(FOLDER).",
    ),
    Kind("a GGUF file", ("*.gguf",), "It was made from another model: give the SavedModel."),
    Kind("an ONNX file", ("*.onnx",), "It was made from another model: give the SavedModel."),
    Kind("a TensorFlow Lite file", ("*.tflite",), "It was made from another model: give the SavedModel."),
    Kind(
        "a checkpoint without a graph",
        ("checkpoint", "*.ckpt", "*.ckpt.*", "*.ckpt-*", "*.index", "*.data-?????-of-?????"),
        "It has the variables, and nothing says what is computed with them: give the SavedModel.",
    ),
)


def check_kind(path: Path) -> None:
    """See that `path`, in which no SavedModel was found, is not of a kind that is known to be another.

    Raises:
        SourceError: it is; or it is a part of a SavedModel.
    """
    whole = next((above for above in (path, *path.parents[:2]) if (above / SAVED_MODEL_FILE).is_file()), None)
    if whole is not None and whole != path:
        raise SourceError(f"{path} is a part of a SavedModel.", f"Give its folder: {whole}.")
    names = sorted(file.name for file in path.iterdir()) if path.is_dir() else [path.name]
    for kind in KINDS:
        found = next((n for n in names if any(fnmatchcase(n.lower(), pattern) for pattern in kind.files)), None)
        if found is not None:
            inside = f" ({found})" if path.is_dir() else ""
            raise SourceError(f"{path} is {kind.what}{inside}, not a SavedModel.", kind.step.format(path=pasted(path)))
