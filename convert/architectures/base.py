"""What an architecture must give. One file, or one folder, holds all that is particular to it; see `Architecture`.

Everybody else asks: reading the graph asks it to recognise itself and to compute its stages, writing the folder asks for
configuration, class and modules, diagnosis for what may be blamed, cards and messages for its words.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from hub2hf.analysis.alike import Span
from hub2hf.analysis.flow import Flow, Join
from hub2hf.analysis.places import Asking
from hub2hf.analysis.read import Read
from hub2hf.analysis.run import ObservedRun, Probe
from hub2hf.architectures.activations import transformers_name
from hub2hf.architectures.encoder import EncoderBlueprint
from hub2hf.architectures.head import HEAD, Head, TensorOf, dense_key, head_config
from hub2hf.errors import MappingError
from hub2hf.savedmodel.node import TensorRef
from hub2hf.state_dict import Mapped, Rule

MODEL_FILE = "modeling_hub2hf.py"
# A tensor without numbers in the weights of a folder that ships this file, whose class expects it. A stock class does not:
# what it says on loading, at the libraries' default level of logging, then tells the remedy. sentence-transformers says it
# too, though it is exact: `key_mapping` in the `model_args` of `sentence_bert_config.json` would keep it quiet, in
# transformers 4.57 and 5, but optimum, its backend for ONNX, refuses arguments that it does not know.
NOTICE = "AutoModel_needs_trust_remote_code__SentenceTransformer_does_not"
INPUTS = ("input_ids", "token_type_ids", "attention_mask")  # of `BertModel` and its kin
# The form of `config.json`. Without one, or with one after 4.57.2, transformers 4.57 takes the tokenizer of any local folder
# of more than 100,000 pieces for Mistral's, and advises a flag that would change the ids.
CONFIG_VERSION = "4.57.0"
UNTAKEN = re.compile(r" +(token_type_ids|position_ids)\b")  # lines of the model class
EMBEDDINGS = "embeddings"  # the first stage


def layer_stage(number: int) -> str:
    """Return the name of the stage that a layer makes."""
    return f"layer {number}"


def layer_of(stage: str) -> int:
    """Return the number of the layer that makes a stage; -1 where none does."""
    number = stage.removeprefix("layer ")
    return int(number) if number != stage and number.isdecimal() else -1


class Unlike(MappingError):
    """A graph that does not even look words up as encoders of an architecture do: told only where nothing else is known."""


@dataclass(frozen=True)
class Claim:
    """A variable, and what it is to the encoder.

    Attributes:
        key: a state-dict key that it goes to, at least in part, or one that stands for it where several share a product.
        leaf: the variable.
        role: a role of `hub2hf.analysis.substitutes`.
        shared: the product where several keys may share one.
    """

    key: str
    leaf: str
    role: str
    shared: Join | None = None


@dataclass(frozen=True)
class Found:
    """The mapping: `mapped` in state-dict order, and the number of heads."""

    mapped: tuple[Mapped, ...]
    heads: int


@dataclass(frozen=True)
class Change:
    """What diagnosis may change in a loaded model, to see whether it explains a difference.

    Attributes:
        cause: what is then to blame, in a few words.
        instead: what is put in place of what, as "X in place of Y".
        attributes: (owner, name of its attribute, value).
    """

    cause: str
    instead: str
    attributes: Sequence[tuple[Any, str, Any]]


# From first tokens [batch, hidden] to those after the dense layer, the name of the activation, and what it makes of them.
StockPooler = Callable[[np.ndarray], tuple[np.ndarray, str, np.ndarray]]


class Recognised(ABC):
    """An encoder of one architecture, as it was recognised in one graph.

    Attributes:
        architecture: which.
        flow: the graph.
        ids: the tensor of the ids that the word embeddings are looked up by.
        types: the variable of the token-type embeddings, and how many rows it has; ("", 1) where there are none.
        layers: how many there are.
        head: what follows them.
        taps: stage → the tensor that holds it, [batch * length, hidden] or [batch, length, hidden], in the order of the
            computation, without the last layer.
    """

    architecture: Architecture
    flow: Flow
    ids: TensorRef
    types: tuple[str, int]
    layers: int
    head: Head
    taps: Mapping[str, TensorRef]

    @abstractmethod
    def claims(self) -> Iterator[Claim]:
        """Yield every variable that has a place."""

    @abstractmethod
    def size(self, name: str) -> Read[int]:
        """Return vocab_size, hidden_size, type_vocab_size or max_position_embeddings."""

    def entering(self) -> set[TensorRef]:
        """Return the tensors whose values `settle` asks of a run."""
        return set()

    def spans(self) -> Sequence[Span]:
        """Return where each layer but the last begins and ends, if some may be left out of a run; see `alike`."""
        return ()

    @abstractmethod
    def settle(self, asking: Asking, run: ObservedRun) -> None:
        """Settle what the graph alone does not tell, such as which operands are queries and which keys."""

    @abstractmethod
    def mapping(self, asking: Asking, names: Mapping[str, Sequence[str]]) -> Found:
        """Return the mapping.

        Args:
            asking: asks the graph.
            names: variable → the names that it goes by.

        Raises:
            MappingError: something in the graph is more than a move, or sizes do not agree.
        """

    @abstractmethod
    def read(self, run: ObservedRun, found: Found) -> dict[str, Read[Any]]:
        """Return what is read of the layers, by the names of `EncoderBlueprint`.

        Raises:
            GraphError: it is nothing that is known.
        """

    @abstractmethod
    def stages(
        self, probe: Probe, weights: TensorOf, read: Mapping[str, Read[Any]], layers: Sequence[int]
    ) -> Iterator[tuple[str, np.ndarray]]:
        """Yield (name, value) of each stage up to the last layer, in NumPy, float64: [rows of `Probe.counted`, hidden].

        Args:
            probe: ids, token types, and which of them attention sees.
            weights: from a state-dict key to its tensor.
            read: what `read` returned.
            layers: which to compute, each on what the one before it makes, the last of them as the last of all.
        """


class Architecture(ABC):
    """All that is known of one architecture.

    Attributes:
        name: that of the registry; the file has it too.
        title: as messages and cards call it.
        published: in which year; a graph that several could hold becomes the oldest.
        model_class, config_class: its class in transformers, and that of its configuration.
        families: name of an exporter's convention → its rules from variable names to state-dict keys.
        token_types: the state-dict key of the token-type embeddings; "" where there are none.
        word_table: the state-dict key of the word embeddings, [pieces, size].
        inputs: what the model class takes of what a tokenizer can give.
        config_names: by what name of ours → what the configuration class calls it, where that is another.
        fixed: what the model class has in its code, by our name: no configuration can tell it otherwise.
        sees_padding: whether the last token of a text sees the padding behind it: then every text must be padded to one
            length, for what becomes of it not to depend on others.
    """

    name: str
    title: str
    published: int
    model_class: str
    config_class: str
    families: Mapping[str, tuple[Rule, ...]]
    token_types: str = ""
    word_table: str = "embeddings.word_embeddings.weight"
    inputs: tuple[str, ...] = INPUTS
    config_names: Mapping[str, str] = MappingProxyType({})
    fixed: Mapping[str, Any] = MappingProxyType({})
    sees_padding: bool = False

    @abstractmethod
    def recognise(self, flow: Flow) -> Recognised:
        """Return the encoder in a graph.

        Raises:
            MappingError: the computation is not of this architecture; says where it parts.
        """

    def dense_key(self, encoder: EncoderBlueprint, number: int) -> str:
        """Return the start of the keys of a dense layer of the head that was read: those of our model class."""
        return dense_key(number)

    @abstractmethod
    def config(self, encoder: EncoderBlueprint, pad_id: int) -> dict[str, Any]:
        """Return `config.json`; dropout is not in the graph and is left to the default."""

    def common_config(self, encoder: EncoderBlueprint, pad_id: int, own: Mapping[str, Any]) -> dict[str, Any]:
        """Return `config.json` with what every architecture has in it, and `own`, by the names of the class."""
        config: dict[str, Any] = {
            "architectures": [self.model_class],
            "model_type": self.name,
            "vocab_size": encoder.vocab_size.value,
            "hidden_size": encoder.hidden_size.value,
            "num_hidden_layers": encoder.layers.value,
            "num_attention_heads": encoder.heads.value,
            "intermediate_size": encoder.intermediate_size.value,
            **own,
            "pad_token_id": pad_id,
            "dtype": "float32",  # what the graph computes in, however its variables are stored
            "transformers_version": CONFIG_VERSION,
        }
        config = {self.config_names.get(name, name): value for name, value in config.items() if name not in self.fixed}
        if self.needs_model_class(encoder):
            stock = self.stock_activation(encoder)
            if stock is None:
                config[HEAD] = head_config(encoder)
            else:
                config["pooler_act"] = transformers_name(stock)
            config["pooler_normalize"] = encoder.normalised.value
            config["auto_map"] = {"AutoModel": f"{Path(MODEL_FILE).stem}.HubEncoderModel"}
        return config

    def needs_model_class(self, encoder: EncoderBlueprint) -> bool:
        """Return whether `pooler_output` of the stock class (first token, dense, tanh, not normalised) is another."""
        return self.stock_activation(encoder) != "tanh" or encoder.normalised.value

    def model_code(self) -> bytes:
        """Return the model class that a folder then ships as `MODEL_FILE`: one text, of whichever class it derives."""
        code = (Path(__file__).parent / "bert" / MODEL_FILE).read_text(encoding="utf-8")
        for name, own in (("BertModel", self.model_class), ("BertConfig", self.config_class), ("BERT", self.title)):
            code = code.replace(name, own)
        if "token_type_ids" not in self.inputs:  # nor positions: a class that takes neither
            code = "".join(line for line in code.splitlines(keepends=True) if not UNTAKEN.match(line))
        return code.encode()

    def key(self, place: str) -> str:
        """Return the state-dict key of the Hugging Face class for a key of the mapping that `recognise` leads to."""
        return place

    def named_as_ours(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return the content of `config.json` by the names that `BertConfig` has, with what is fixed."""
        ours = {theirs: name for name, theirs in self.config_names.items()}
        return {**self.fixed, **{ours.get(name, name): value for name, value in config.items()}}

    def packed(self, encoder: EncoderBlueprint, pad_id: int, length: int) -> EncoderBlueprint:
        """Return an encoder that was read as its class is to compute texts padded with `pad_id` to `length`."""
        return encoder

    def finished(self, mapped: Sequence[Mapped], encoder: EncoderBlueprint) -> tuple[Mapped, ...]:
        """Return the mapping with the keys of the Hugging Face class for the head that was read."""
        keys = {
            f"{dense_key(number)}.{part}": f"{self.dense_key(encoder, number)}.{part}"
            for number in range(len(encoder.dense))
            for part in ("weight", "bias")
        }
        return tuple(replace(item, key=keys.get(item.key) or self.key(item.key)) for item in mapped)

    def dense_keys(self, encoder: EncoderBlueprint) -> list[tuple[str, str]]:
        """Return the keys of weight and bias of each dense layer of the head, "" for one without bias."""
        starts = [(self.dense_key(encoder, number), layer.bias) for number, layer in enumerate(encoder.dense)]
        return [(f"{start}.weight", f"{start}.bias" if bias else "") for start, bias in starts]

    def modules(self) -> list[tuple[str, str]]:
        """Return (folder, class) of the sentence-transformers modules before the pooling."""
        return [("", "Transformer")]

    def stock_activation(self, encoder: EncoderBlueprint) -> str | None:
        """Return the activation of the pooler, where the head has the weights of the stock class; None where it has not."""
        return None

    def stock_pooler(self, model: Any) -> StockPooler | None:
        """Return the pooler of a loaded model of the stock class, for diagnosis; None where there is none."""
        return None

    def changes(self, model: Any) -> Iterator[Change]:
        """Yield what diagnosis may change in a loaded model."""
        yield from ()

    def keys_named(self, name: str) -> set[str]:
        """Return the state-dict keys that the name of a variable may mean, in any family."""
        found, end = set(), name.rpartition("/")[2]
        for rules in self.families.values():
            for rule in rules:
                match = rule.pattern.fullmatch(name) if rule.variable.endswith(end) else None
                if match:
                    found.add(rule.key.replace("{i}", match.groupdict().get("i") or ""))
        return found


def owners(encoder: Recognised) -> dict[str, Claim]:
    """Return variable → the claim on it.

    Raises:
        MappingError: a variable stands at two places.
    """
    found: dict[str, Claim] = {}
    for claim in encoder.claims():
        other = found.setdefault(claim.leaf, claim)
        if other is not claim and (claim.shared is None or other.shared is not claim.shared):
            raise MappingError(
                f"Variable {encoder.flow.shown([claim.leaf])} stands at two places, that of '{other.key}' and of "
                f"'{claim.key}'.",
                f"{encoder.architecture.model_class} has weights of its own at each place.",
            )
    return found
