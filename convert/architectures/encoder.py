"""`EncoderBlueprint`: what the graph computes from ids to embedding, each value with its evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hub2hf.analysis.read import Read
from hub2hf.savedmodel.model import SavedModel
from hub2hf.savedmodel.node import Node
from hub2hf.savedmodel.values import Computed, Joined, Values
from hub2hf.state_dict import Mapped


@dataclass(frozen=True)
class DenseRead:
    """One dense layer after the pooler.

    Attributes:
        outputs: how many numbers it makes.
        bias: whether it adds one.
        activation: a name of `hub2hf.architectures.activations.ACTIVATIONS`.
        evidence: the nodes between which the activation was read.
    """

    outputs: int
    bias: bool
    activation: str
    evidence: str


@dataclass(frozen=True)
class EncoderBlueprint:
    """An encoder: an architecture with its sizes, and what becomes of its tokens.

    Attributes:
        architecture: a name of `hub2hf.architectures.ARCHITECTURES`.
        vocab_size, hidden_size, layers, heads, intermediate_size: counts.
        positions: rows of the position embeddings; position p of a text uses row p.
        type_vocab_size: rows of the token-type embeddings.
        token_type_row: the one row the graph adds to every token.
        hidden_activation: a name of `hub2hf.architectures.activations.ACTIVATIONS`.
        layer_norm_epsilon: added to the variance under the root, the same in every LayerNorm.
        pooler: a name of `hub2hf.architectures.poolers.POOLERS`.
        dense: the layers after the pooler, in order.
        normalised: whether the embedding is divided by its L2 norm.
        mapped: the variables with their state-dict keys, in state-dict order.
        unused: variables of the checkpoint that do not reach the output.
        frozen: constants of the graph that hold weights, by the names that `mapped` has for them.
        made: what is made of several variables, by the names that `mapped` has for it.
    """

    architecture: str
    vocab_size: Read[int]
    hidden_size: Read[int]
    layers: Read[int]
    heads: Read[int]
    intermediate_size: Read[int]
    positions: Read[int]
    type_vocab_size: Read[int]
    token_type_row: Read[int]
    hidden_activation: Read[str]
    layer_norm_epsilon: Read[float]
    pooler: Read[str]
    dense: tuple[DenseRead, ...]
    normalised: Read[bool]
    mapped: tuple[Mapped, ...]
    unused: tuple[str, ...]
    frozen: Mapping[str, Node] = field(default_factory=dict)
    made: Mapping[str, Joined | Computed] = field(default_factory=dict)

    @property
    def embedding_size(self) -> int:
        """How many numbers an embedding has."""
        return self.dense[-1].outputs if self.dense else self.hidden_size.value

    @property
    def variables(self) -> Mapping[str, str]:
        """State-dict key → variable name."""
        return {item.key: item.variable for item in self.mapped}

    def values(self, model: SavedModel) -> Values:
        """Return where the values of the variables are read from."""
        return Values(model.checkpoint if model.has_checkpoint else None, self.frozen, self.made)
