"""Ports of the embedded model as people publish them: as wrong as the best-known one, and in the forms that there are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from references import VOCABULARY

from hub2hf.folder.weights import write_arrays

# What transformers 4 wrote beside `vocab.txt`, and what 5 writes; the best-known port has no `model_max_length`.
TOKENIZER_4 = {
    "cls_token": "[CLS]",
    "do_lower_case": False,
    "mask_token": "[MASK]",
    "pad_token": "[PAD]",
    "sep_token": "[SEP]",
    "strip_accents": None,
    "tokenize_chinese_chars": True,
    "tokenizer_class": "BertTokenizer",
    "unk_token": "[UNK]",
}


def best_known(
    converted: Path,
    out: Path,
    *,
    max_length: int | None = None,
    weights: str = "safetensors",
    tokenizer: str = "vocab",
    version: int = 4,
) -> Path:
    """Write the embedded model as the best-known port has it: `BertModel`, whose pooler is another, and `BertTokenizer`.

    Args:
        converted: what hub2hf made of it; its weights are taken.
        out: the folder.
        max_length: `model_max_length`; the best-known port has none, so that no text is cut.
        weights: "safetensors" or "bin".
        tokenizer: "vocab" for `vocab.txt`, "json" for the stock `tokenizer.json`, "both".
        version: of transformers that the files look as if written by.
    """
    import torch
    from safetensors.numpy import load_file
    from tokenizers import BertWordPieceTokenizer

    out.mkdir(parents=True)
    arrays = load_file(converted / "model.safetensors")
    if weights == "bin":
        torch.save({key: torch.from_numpy(value) for key, value in arrays.items()}, out / "pytorch_model.bin")
    else:
        write_arrays(out / "model.safetensors", arrays)
    config = json.loads((converted / "config.json").read_text())
    for name in ("auto_map", "pooler_act", "pooler_normalize", "dtype"):
        config.pop(name, None)
    dtype = {"torch_dtype": "float32"} if version == 4 else {"dtype": "float32"}
    config |= dtype | {"transformers_version": "4.26.0" if version == 4 else "5.23.0"}
    (out / "config.json").write_text(json.dumps(config))
    about = dict(TOKENIZER_4) if version == 4 else {**TOKENIZER_4, "backend": "tokenizers", "is_local": False}
    if max_length is not None:
        about["model_max_length"] = max_length
    (out / "tokenizer_config.json").write_text(json.dumps(about))
    if tokenizer in ("vocab", "both"):
        (out / "vocab.txt").write_bytes(VOCABULARY.read_bytes())
    if tokenizer in ("json", "both"):
        BertWordPieceTokenizer(str(VOCABULARY), lowercase=False, strip_accents=False).save(str(out / "tokenizer.json"))
    return out


def with_weights(folder: Path, **changes: np.ndarray) -> None:
    """Put other weights into a folder."""
    from safetensors.numpy import load_file

    write_arrays(folder / "model.safetensors", {**load_file(folder / "model.safetensors"), **changes})
