"""What a SavedModel means: its text side and its encoder, each value with its evidence."""

from convert.blueprint.blueprint import Blueprint
from convert.blueprint.encoder import EncoderBlueprint, Read
from convert.blueprint.entry import gives
from convert.blueprint.probed import ProbedText, Seen
from convert.blueprint.refusal import read_blueprint
from convert.blueprint.text import TextBlueprint

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
