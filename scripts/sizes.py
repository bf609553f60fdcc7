"""Print how large LEALLA and LaBSE are when they are made slim, computed from their own vocabulary and sizes.

    python scripts/sizes.py

The vocabulary is the real one, which these models share (`fetch_vocabulary.py`); sizes are those of `configs/models/`, text
rules those of lealla-mini, which has LEALLA's. Nothing of it needs weights: their number follows from the sizes.
"""

from __future__ import annotations

import torch
from fetch_vocabulary import fetch_vocabulary
from transformers import BertConfig, BertModel

import hub2hf
from hub2hf.known_models import find_model
from hub2hf.onnx.precision import PART, Precision
from hub2hf.slimming.alphabet import alphabet_of_languages, characters
from hub2hf.slimming.guarantee import Spellings, characters_of_words, kept_pieces
from hub2hf.tokenizer import read_vocabulary, special_tokens

MODELS = ("LEALLA-large", "LEALLA-small", "LaBSE")
KEPT = ("de,en", "en", "de,en,fr,es,it,pt", "ja,en")
POSITIONS = 512  # of all three


def numbers_beside_words(name: str) -> tuple[int, int]:
    """Return how many weights a model has but for its word embeddings, and how many a piece takes."""
    model = find_model(name)
    assert model is not None
    must = model.must_be
    config = BertConfig(
        vocab_size=1,
        hidden_size=must["hidden_size"],
        num_hidden_layers=must["layers"],
        num_attention_heads=must["heads"],
        intermediate_size=must["intermediate_size"],
        max_position_embeddings=POSITIONS,
    )
    with torch.device("meta"):
        count = sum(weight.numel() for weight in BertModel(config).parameters())
    return count - config.hidden_size, config.hidden_size


def size(beside: int, width: int, pieces: int, precision: Precision) -> float:
    """Return megabytes of weights."""
    each = 4 if precision.dtype == "float32" else 2
    row = width + width // PART * 4 if precision.rows else width * each
    return (pieces * row + beside * (1 if precision.matrices else each)) / 1e6


def main() -> None:
    """Print the table."""
    vocabulary = read_vocabulary(fetch_vocabulary())
    text = hub2hf.inspect("lealla-mini").text
    spellings = Spellings(vocabulary, text)
    special = [piece for _, piece in special_tokens(text, vocabulary).items()]
    pieces = {"all": len(vocabulary)}
    for names in KEPT:
        held = characters_of_words(characters(alphabet_of_languages(names.split(","))), text.operations)
        pieces[names] = int(kept_pieces(spellings, special, held).sum())
    forms = {
        "float32": Precision(),
        "float16": Precision("float16"),
        "int8 rows": Precision(rows=True),
        "int8": Precision(rows=True, matrices=True),
    }
    print(f"| model | languages | pieces | {' | '.join(forms)} |\n|:--|:--|--:|{'--:|' * len(forms)}")
    for name in MODELS:
        beside, width = numbers_beside_words(name)
        for names, count in pieces.items():
            cells = (f"{size(beside, width, count, form):,.0f} MB" for form in forms.values())
            print(f"| {name} | {names} | {count:,} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
