"""The encoder of one SavedModel: its variables paired with state-dict keys, its values read, the whole proved."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from hub2hf.blueprint.encoder import EncoderBlueprint, Read
from hub2hf.blueprint.inline import FlatGraph, resolved
from hub2hf.blueprint.mapping import TYPES, Found, Mapper, owners
from hub2hf.blueprint.parts import apart, parts_of
from hub2hf.blueprint.places import Asking
from hub2hf.blueprint.probe import Weights, by_node
from hub2hf.blueprint.prove import Believed, Feeding, ObservedRun, stage_tensors
from hub2hf.blueprint.read_encoder import read_epsilon
from hub2hf.blueprint.reference import Hypothesis
from hub2hf.blueprint.structure import Structure
from hub2hf.errors import GraphError, MappingError
from hub2hf.interpreter import Substitutes
from hub2hf.interpreter.plan import order_of
from hub2hf.savedmodel.graph import Graph
from hub2hf.savedmodel.model import SavedModel
from hub2hf.savedmodel.node import Node, TensorRef
from hub2hf.savedmodel.variables import VARIABLE_OPS, Binding
from hub2hf.state_dict import SWAP_ROWS, Mapped, tensor_of

PART = re.compile(r"/part_\d+$")  # tensorflow/python/ops/partitioned_variables.py names the slices so
FLOATS = frozenset({"float16", "bfloat16", "float32", "float64"})


class EncoderSide:
    """Reads the encoder that leads to one tensor.

    Args:
        model: the SavedModel.
        graph: its main graph, calls inlined, `settled`.
        output: the tensor of the embedding.

    Attributes:
        graph: the graph that is run: constants that hold weights are variables in it.
        ids: the tensor that the word embeddings are looked up by.

    Raises:
        MappingError: the computation is not that of a BERT encoder.
    """

    def __init__(self, model: SavedModel, graph: Graph, output: TensorRef) -> None:
        self.model, self.graph = model, graph
        self.output = resolved(self.graph, output)
        order = order_of(self.graph, [self.output])
        leaves = self._apart(self._leaves(order), order)
        self.structure = Structure(self.graph, self.output, {n: leaf for n, (leaf, _) in leaves.items()}, self.shapes)
        self.owners = owners(self.structure)
        self._check_claimed(leaves)
        self.keys = {n: (self.owners[leaf], part) for n, (leaf, part) in leaves.items() if leaf in self.owners}
        self._thaw()
        self.ids = self.structure.lookup.node.input(1)

    def _leaves(self, nodes: Sequence[Node]) -> dict[str, tuple[str, tuple[slice, ...]]]:
        """Return node → (variable, part of the whole variable) of what may be weights."""
        bindings = {node.name: self.model.variable_binding(node.name) for node in nodes if node.op in VARIABLE_OPS}
        variables = {name: self.model.checkpoint.variable(binding.key) for name, binding in bindings.items()}
        self.shapes = {v.name: tuple(v.shape) for v in variables.values()}
        self.names: dict[str, Sequence[str]] = {v.name: (v.name, PART.sub("", n)) for n, v in variables.items()}
        self.frozen: dict[str, Node] = {}
        if any(len(shape) > 1 for shape in self.shapes.values()):
            return {name: (variables[name].name, _part(binding)) for name, binding in bindings.items()}
        for node in nodes:
            if node.op == "Const" and str((form := node.value_form)[0]) in FLOATS and form[1] is not None:
                shape = tuple(size or 0 for size in form[1])
                if prod(shape) > 1:
                    self.frozen[node.name], self.shapes[node.name] = node, shape
        return {name: (name, ()) for name in self.frozen}

    def _apart(
        self, leaves: dict[str, tuple[str, tuple[slice, ...]]], order: Sequence[Node]
    ) -> dict[str, tuple[str, tuple[slice, ...]]]:
        """Make variables of the parts of those that are used by parts; return `leaves` with these in their place."""
        wholes = {node: leaf for node, (leaf, part) in leaves.items() if not part}
        parts = parts_of(self.graph, order, wholes, self.shapes)
        self.parts = {part.name: part for part in parts}
        if not parts:
            return leaves
        self.graph = apart(self.graph, order, parts)
        self.shapes |= {part.name: part.numbers.shape for part in parts}
        divided = {part.node for part in parts}
        kept = {node: leaf for node, leaf in leaves.items() if node not in divided}
        return kept | {part.variable: (part.name, ()) for part in parts}

    def _check_claimed(self, leaves: Mapping[str, tuple[str, Any]]) -> None:
        left = sorted({leaf for leaf, _ in leaves.values()} - set(self.owners) - set(self.frozen))
        if left:
            raise MappingError(
                f"Variables reach the output and have no place in a BERT encoder: {self.structure.shown(left)}.",
                "The model is not a plain BERT encoder: report it.",
            )

    def _thaw(self) -> None:
        """Make variables of the constants that hold weights: they are run on substitutes too."""
        divided = {part.whole for part in self.parts.values() if part.name in self.owners}
        self.frozen = {name: node for name, node in self.frozen.items() if name in self.owners or name in divided}
        if self.frozen:
            thawed = {name: Node(name, "VariableV2", (), (), "", {}, {}) for name in self.frozen}
            self.graph = FlatGraph({**self.graph.nodes, **thawed}, self.graph.functions)

    def size(self, dimension: str) -> int:
        """Return a size of the model: vocab_size, hidden_size, type_vocab_size or max_position_embeddings."""
        return self._size(dimension).value

    def _size(self, dimension: str) -> Read[int]:
        table, axis = {
            "vocab_size": ("words", 0),
            "hidden_size": ("words", -1),
            "type_vocab_size": ("types", 0),
            "max_position_embeddings": ("positions", 0),
        }[dimension]
        leaf = self.structure.tables[table]
        shape = self.shapes[leaf]
        return Read(shape[-1] if axis else prod(shape[:-1]), f"variable '{leaf}'")

    @property
    def layers(self) -> int:
        """The number of layers."""
        return len(self.structure.layers)

    def weights(self, rows: int) -> Weights:
        """Return substitutes for the variables, the word embeddings cut to `rows`."""
        return Weights({key: self.shapes[leaf] for leaf, key in self.owners.items()}, rows)

    def substitutes(self, rows: int, vocabulary: Mapping[bytes, int]) -> Substitutes:
        """Return the substitutes for variables and vocabulary."""
        return Substitutes(by_node(self.weights(rows), self.keys), vocabulary)

    def stage_tensors(self) -> dict[str, str]:
        """Return stage → the tensor of the graph that holds it; see `Blueprint.stages`."""
        tensors = {stage: str(ref) for stage, ref in stage_tensors(self.structure).items()}
        tensors[f"layer {self.layers - 1}"] = tensors.pop("first token")
        return tensors

    def blueprint(
        self,
        given: Sequence[Feeding],
        substitutes: Substitutes,
        rows: int,
        *,
        others: Mapping[str, TensorRef] | None = None,
        elsewhere: Collection[str] = (),
    ) -> tuple[EncoderBlueprint, dict[str, str]]:
        """Return the encoder, and which stage each of the outputs `others` is.

        Args:
            given: what the graph is run on, one after another.
            substitutes: see `substitutes`.
            rows: as for `substitutes`.
            others: further outputs, by name.
            elsewhere: variables that something else than the encoder uses.

        Raises:
            GraphError: something is not understood, or the graph computes something else than was read.
            MappingError: the weights are used in a way that a BertModel cannot.
        """
        entering = self._entering()
        run = ObservedRun(self.graph, self.output, self.structure, substitutes, given[0], others, entering)
        asking = self._asking(run)
        if asking.keys_are_queries(self.structure.layers[0], {ref: run.value(ref) for ref in entering}):
            self.structure.exchange()
        found = Mapper(self.structure, asking, self.names).found()
        believed, read = self._believed(run, found, rows)
        row = run.prove(believed)
        chosen = set(run.chosen)
        for more in given[1:]:
            again = ObservedRun(self.graph, self.output, self.structure, substitutes, more)
            again.prove(believed, range(row, row + 1))
            chosen |= again.chosen
        self._check_chosen(chosen)
        mapped = tuple(self._of_whole(_with_row(item, row)) for item in found.mapped)
        used = {item.variable for item in mapped} | set(elsewhere)
        kept = set(self.model.checkpoint.variables) if self.model.has_checkpoint else set()
        encoder = EncoderBlueprint(
            **read,
            vocab_size=self._size("vocab_size"),
            hidden_size=self._size("hidden_size"),
            positions=self._size("max_position_embeddings"),
            type_vocab_size=self._size("type_vocab_size"),
            token_type_row=Read(row, self._type_evidence()),
            mapped=mapped,
            unused=tuple(sorted(kept - used)),
            frozen=self.frozen,
        )
        return encoder, run.named

    def _entering(self) -> set[TensorRef]:
        """Return what the weights of the first attention are made of besides the scores."""
        layer = self.structure.layers[0]
        (scores, _), (context, position) = layer.key.places[0], layer.value.places[0]
        return self.structure.entering(scores, context.input(1 - position))

    def _of_whole(self, item: Mapped) -> Mapped:
        """Return the pair of a variable as it is stored."""
        part = self.parts.get(item.variable)
        return item if part is None else part.of_whole(item, self.shapes[part.whole])

    def _check_chosen(self, chosen: Collection[tuple[str, bool]]) -> None:
        """Raise where a conditional has a side that no probe has seen: it may compute anything."""
        for node in self.structure.conditionals:
            if len([value for name, value in chosen if name == node.name]) < 2:
                raise GraphError(
                    f"Node '{node.name}' ({node.op}) computes something else for some texts, which no probe has seen.",
                    "Report the model, so that support can be added.",
                )

    def _asking(self, run: ObservedRun) -> Asking:
        leaf_of = {key: leaf for leaf, key in self.owners.items()}

        def evaluate(
            fetches: Sequence[TensorRef], feeds: Mapping[TensorRef, np.ndarray], weights: Mapping[str, np.ndarray]
        ) -> list[np.ndarray]:
            def variable(name: str) -> np.ndarray:
                key, part = self.keys[name]
                value = weights.get(leaf_of[key])
                return (np.zeros(self.shapes[leaf_of[key]]) if value is None else value)[part]

            return run.part(fetches, feeds, variable)

        return Asking(self.structure, evaluate, run.shape)

    def _believed(self, run: ObservedRun, found: Found, rows: int) -> tuple[Believed, dict[str, Any]]:
        """Return what is believed, and the part of the blueprint that tells it with its evidence."""
        layers, first = self.structure.layers, self.structure.layers[0]
        norms = [self.structure.norm, *(norm for layer in layers for norm in (layer.attention_norm, layer.norm))]
        inner = {item.key: item for item in found.mapped}["encoder.layer.0.intermediate.dense.bias"]
        scores, hidden = first.query.places[0][0].name, self.size("hidden_size")
        read: dict[str, Read[Any]] = {
            "layers": Read(len(layers), f"variable '{layers[-1].norm.beta.leaves[0]}'"),
            "heads": Read(found.heads, f"node '{scores}' contracts {hidden // found.heads} of {hidden} numbers"),
            "intermediate_size": Read(inner.shape[0], f"variable '{inner.variable}'"),
        }
        activation, _ = run.activation(first.inner.bias.node, first.outer.product.data, last=False)
        pooler, normalised = run.activation(self.structure.pooler.bias.node, self.output, last=True)
        epsilon = read_epsilon(self.structure.nodes, [norm.beta.node for norm in norms])
        read |= {
            "hidden_activation": activation,
            "pooler_activation": pooler,
            "layer_norm_epsilon": epsilon,
            "normalised": normalised,
        }
        hypothesis = Hypothesis(
            len(layers), found.heads, activation.value, pooler.value, epsilon.value, normalised.value
        )
        weights, items = self.weights(rows), {item.key: item for item in found.mapped}

        def tensor(key: str) -> np.ndarray:
            item = items[key]
            value = weights(self.owners[item.variable])
            if value.size != prod(self.shapes[item.variable]):  # word embeddings are cut
                return value
            value = tensor_of(item, value)
            return value.T if value.ndim == 2 and "embeddings" not in key else value

        return Believed(hypothesis, tensor, self.size("type_vocab_size")), read

    def _type_evidence(self) -> str:
        types = self.structure.tables["types"]
        return f"node '{next(join.node.name for join in self.structure.joins() if types in join.leaves)}'"


def _part(binding: Binding) -> tuple[slice, ...]:
    """Return the part of the whole variable that a node of a partitioned variable holds."""
    return () if binding.slice is None else binding.slice.index


def _with_row(item: Mapped, row: int) -> Mapped:
    """Bring the token-type row that the graph adds to the front, where Hugging Face looks by default."""
    if item.key != TYPES or row == 0:
        return item
    return replace(item, operation=SWAP_ROWS, row=row)
