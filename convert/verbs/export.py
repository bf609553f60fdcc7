"""The verb `export`: a folder is made ready for other runtimes."""

from __future__ import annotations

from pathlib import Path

from hub2hf.names import check_flags, check_paths


def export(
    folder: str | Path, target: str, out: str | Path | None = None, *, dtype: str = "float32", force: bool = False
) -> Path:
    """Export a converted folder for other runtimes, without TensorFlow or PyTorch.

    Args:
        folder: made by `convert`.
        target: `onnx` adds `onnx/model.onnx` to the folder, with the outputs `sentence_embedding` [batch, hidden] and
            `last_hidden_state` [batch, length, hidden]; killed, it leaves a folder that the same call completes. `web` makes
            a folder for Transformers.js of one that has an ONNX file: its tokenizer is exact in JavaScript.
        out: the folder to make, for a target that makes one.
        dtype: in which the weights are kept, float32 or float16; float16 is `onnx/model_fp16.onnx`, beside the exact one.
        force: replace `out` if it is there and holds nothing but what hub2hf wrote.

    Returns:
        What was written.

    Raises:
        Hub2HFError: the folder is not one that hub2hf made, or was changed; there is no such target; it cannot be written.
    """
    from hub2hf.verbs.targets import export_to

    check_paths(folder=folder, out=folder if out is None else out)
    check_flags(force=force)
    return export_to(Path(folder), target, Path(out) if out is not None else None, dtype, force)
