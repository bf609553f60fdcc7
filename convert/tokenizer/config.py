"""What `tokenizer_config.json` says of every tokenizer, whatever cuts its words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hub2hf.blueprint.text import Pack


def common_config(pack: Pack, inputs: Sequence[str]) -> dict[str, Any]:
    """Return the part of `tokenizer_config.json` that all tokenizers share.

    `PreTrainedTokenizerFast` is the class that obeys `tokenizer.json` in transformers 4 and 5.
    `split_special_tokens` makes a literal `[CLS]` in a text plain text, as it is to the graph.

    Args:
        pack: how ids are packed.
        inputs: what the model takes.
    """
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": pack.max_length,
        "model_input_names": list(inputs),
        "padding_side": "right",
        "truncation_side": "right",
        "clean_up_tokenization_spaces": False,
        "split_special_tokens": True,
    }


def write_json(content: dict[str, Any], path: Path) -> None:
    """Write one of the small files beside `tokenizer.json`."""
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8", newline="\n")
