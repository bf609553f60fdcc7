"""What a SavedModel means: its text side and its encoder, each value with its evidence."""

from hub2hf.analysis.read import Read
from hub2hf.architectures.encoder import EncoderBlueprint
from hub2hf.blueprint.blueprint import Blueprint
from hub2hf.blueprint.entry import gives
from hub2hf.blueprint.refused.refusal import read_blueprint
from hub2hf.blueprint.text import TextBlueprint
from hub2hf.blueprint.text_side.probed import ProbedText, Seen

__all__ = [
    "Blueprint",
    "EncoderBlueprint",
    "ProbedText",
    "Read",
    "Seen",
    "TextBlueprint",
    "gives",
    "read_blueprint",
]
