"""What people do without hub2hf: load the module with TensorFlow Hub, copy its variables into a BertModel, save.

Run: python scripts/usual_way.py SAVED_MODEL OUT
A baseline for `scripts/bench.py`: it guesses the activation, the pooler and the tokenizer, as the published ports do.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow_hub
import tensorflow_text  # noqa: F401  (registers the text ops)
import torch
from transformers import BertConfig, BertModel, BertTokenizerFast

from hub2hf.architectures.bert.names import FAMILIES
from hub2hf.state_dict import HEADS, pair, tensor_of


def main() -> None:
    """Convert SAVED_MODEL to OUT."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("saved_model", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    module = tensorflow_hub.load(str(arguments.saved_model))
    values = {
        v.name.split(":")[0]: v.numpy() for v in module.variables if v.dtype.is_floating and "_real" not in v.name
    }
    pairing = pair({name: value.shape for name, value in values.items()}, FAMILIES)
    state = {item.key: torch.from_numpy(tensor_of(item, values[item.variable])) for item in pairing.mapped}
    sizes = {name: size.value for name, size in pairing.sizes.items()}
    heads = sizes.get(HEADS[0], 8)
    model = BertModel(BertConfig(num_attention_heads=heads, **{n: v for n, v in sizes.items() if n not in HEADS}))
    model.load_state_dict(state)
    model.save_pretrained(arguments.out)
    vocabulary = next((arguments.saved_model / "assets").iterdir())
    BertTokenizerFast(vocab=str(vocabulary), do_lower_case=False).save_pretrained(arguments.out)


if __name__ == "__main__":
    main()
