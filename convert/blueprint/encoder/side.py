"""The encoder of one SavedModel: its variables paired with state-dict keys, its values read, the whole proved."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from hub2hf.analysis.alike import Shortened, one_mapping, shortened
from hub2hf.analysis.as_stored import same_values
from hub2hf.analysis.chunks import at_once
from hub2hf.analysis.decided import Decision, decided, decisions
from hub2hf.analysis.flow import ADDITIONS, DATA, MULTIPLICATIONS, Flow
from hub2hf.analysis.many import check_many
from hub2hf.analysis.places import Asking
from hub2hf.analysis.read import Read
from hub2hf.analysis.rows import before_picking
from hub2hf.analysis.run import Feeding, Feeds, ObservedRun, Watched
from hub2hf.analysis.settle import PRODUCTS
from hub2hf.analysis.substitutes import Weights, by_node
from hub2hf.architectures import recognise
from hub2hf.architectures.base import Found, layer_stage, owners
from hub2hf.architectures.encoder import EncoderBlueprint
from hub2hf.blueprint.encoder.leaves import Leaves, Sample
from hub2hf.blueprint.encoder.prove import Believed, prove
from hub2hf.blueprint.probe import EveryPiece
from hub2hf.errors import REPORT, GraphError, MappingError
from hub2hf.interpreter import Substitutes, no_variable
from hub2hf.interpreter.plan import order_of
from hub2hf.interpreter.shapes import HALVES
from hub2hf.savedmodel.graph import Graph
from hub2hf.savedmodel.model import SavedModel
from hub2hf.savedmodel.node import TensorRef
from hub2hf.state_dict import SWAP_ROWS, Mapped, pair, tensor_of

NO_VARIABLE = no_variable("takes part where none should")
ARITHMETIC = PRODUCTS | ADDITIONS | MULTIPLICATIONS


class EncoderSide:
    """Reads the encoder that leads to one tensor.

    Args:
        model: the SavedModel.
        graph: its main graph, calls inlined, `settled`.
        output: the tensor of the embedding.
        looping: the graph of which `graph` is what it does for one text, where it loops over texts.
        sample: returns what the graph may be run on, and its lookup tables, to see the shapes of values.

    Attributes:
        graph: the graph that is run: constants that hold weights are variables in it.
        ids: the tensor that the word embeddings are looked up by.
        decisions: between ways of computing the same, of which one is run for all texts.

    Raises:
        MappingError: the computation is of no architecture that is known.
    """

    def __init__(
        self,
        model: SavedModel,
        graph: Graph,
        output: TensorRef,
        looping: Graph | None = None,
        *,
        sample: Sample,
    ) -> None:
        self.model, self.looping = model, looping
        self.leaves: Leaves
        self.decisions: Sequence[Decision] = ()
        try:
            self._recognise(graph, output, sample)
        except MappingError:
            stored = self.leaves.as_stored
            for other in self._others(graph, sample):
                with suppress(MappingError):
                    self._recognise(other, output, sample)
                    break
            else:
                raise
            self.leaves.as_stored, self.leaves.rewritten = stored, True

    def _recognise(self, graph: Graph, output: TensorRef, sample: Sample) -> None:
        """Find the parts of the encoder in a graph."""
        leaves = self.leaves = Leaves(self.model, graph, output, self.looping)
        leaves.find(sample)
        self.output, self.shapes = leaves.output, leaves.shapes
        self.flow = Flow(leaves.graph, self.output, {n: leaf for n, (leaf, _) in leaves.of.items()}, self.shapes)
        self._check_precision()
        self.encoder = recognise(self.flow)
        self.conditionals = self.flow.conditionals(self.encoder.ids)
        self.owners = owners(self.encoder)
        self._check_claimed()
        self.keys = {n: (self.owners[leaf].key, part) for n, (leaf, part) in leaves.of.items() if leaf in self.owners}
        leaves.thaw(self.owners)
        self.graph, self.ids = leaves.graph, self.encoder.ids

    def _others(self, graph: Graph, sample: Sample) -> Iterator[Graph]:
        """Yield graphs that compute the same, as a run on random variables shows: what is computed in parts is computed at
        once, or one side of what values choose between is taken for all texts."""
        stored, output = self.leaves.as_stored, self.leaves.output
        order = order_of(graph, [output])
        try:
            feeds, tables = sample()
            substitutes = Substitutes(NO_VARIABLE, EveryPiece(), tables)
            whole = at_once(graph, order, lambda graph, refs: stored.run(graph, refs, substitutes, feeds))
        except GraphError:
            return  # whoever reads the graph says why
        if whole is not graph:
            yield whole
        self.decisions = [] if self.looping else decisions(graph, order)
        given = [ref.node for ref in feeds]
        for other in decided(graph, output, given, self.decisions) if self.decisions else ():
            with suppress(GraphError):  # that side may not be for such texts
                (found,), (expected,) = (stored.run(each, [output], substitutes, feeds) for each in (other, graph))
                if same_values(found, expected):
                    yield other

    def _check_precision(self) -> None:
        """Raise where the graph computes in half precision, whose sums depend on their order by more than any bound."""
        for node in self.flow.nodes.values():
            if node.op in ARITHMETIC and self.flow.kind[node.name] == DATA and str(node.attr("T", "")) in HALVES:
                raise MappingError(
                    f"Node '{node.name}' ({node.op}) computes in {node.attr('T')}: no folder gives the same numbers.",
                    "Export the model in float32.",
                )

    def _check_claimed(self) -> None:
        leaves = self.leaves
        own = {name for name, made in leaves.made.items() if leaves.frozen.keys() >= {*made.variables}}
        left = sorted({leaf for leaf, _ in leaves.of.values()} - set(self.owners) - set(leaves.frozen) - own)
        if left:
            raise MappingError(
                f"Variables reach the output and have no place in a {self.encoder.architecture.title} encoder: "
                f"{self.flow.shown(left)}.",
                "The model is not a plain encoder of that kind: report it.",
            )

    def takes_ids_before(self) -> bool:
        """Take the ids before those without padding are picked of them, where the words are looked up by such."""
        before = before_picking(self.graph, self.ids)
        if before is None or self.flow.kind[before.node] != DATA:
            return False
        self.ids = before
        return True

    def sides(self, feeds: Feeds, substitutes: Substitutes) -> set[tuple[str, int]]:
        """Return which sides of its `decisions` the graph takes, as it is stored."""
        by = [decision.by for decision in self.decisions]
        stored = self.leaves.as_stored
        values = stored.run(stored.graph, by, substitutes, feeds) if by else []
        return {(each.node, each.side(value)) for each, value in zip(self.decisions, values, strict=True)}

    def likely(self) -> tuple[Mapped, ...]:
        """Return what the names of the variables say that their keys are, where they say it; nothing is proved of that."""
        if self.leaves.are_made:
            return ()
        try:
            return pair({leaf: self.shapes[leaf] for leaf in self.owners}, self.encoder.architecture.families).mapped
        except MappingError:
            return ()

    def size(self, name: str) -> int:
        """Return a size of the model: vocab_size, hidden_size, type_vocab_size or max_position_embeddings."""
        return self.encoder.size(name).value

    def weights(self, rows: int) -> Weights:
        """Return substitutes for the variables, the word embeddings cut to `rows`."""
        claims = self.owners.values()
        shapes = {claim.key: self.shapes[claim.leaf] for claim in claims}
        return Weights(shapes, {claim.key: claim.role for claim in claims}, rows)

    def substitutes(self, rows: int, vocabulary: Mapping[bytes, int]) -> Substitutes:
        """Return the substitutes for variables and vocabulary."""
        return Substitutes(by_node(self.weights(rows), self.keys), vocabulary)

    def stage_tensors(self) -> dict[str, str]:
        """Return stage → the tensor of the graph that holds it; see `Blueprint.stages`."""
        return {stage: str(ref) for stage, ref in self._taps.items()}

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
            MappingError: the weights are used in a way that the class of its architecture cannot.
        """
        encoder = self.encoder
        asked = frozenset(lookup.ids for lookup in self.leaves.lookups if lookup.ids is not None)
        watched = Watched(encoder.taps, self.ids, self.conditionals, encoder.head.watched() | asked)
        first = replace(watched, kept=watched.kept | encoder.entering(), outputs=others or {})
        for short in (None if others else self._shortened(), None):
            graph, twins = (short.graph, short.twins) if short else (self.graph, {})
            taps = {**encoder.taps, **({layer_stage(0): short.first} if short else {})}
            run = ObservedRun(graph, self.output, replace(first, taps=taps), substitutes, given[0], twins)
            asking = self._asking(run)
            encoder.settle(asking, run)
            found = encoder.mapping(asking, self.leaves.names)
            if short is None or one_mapping(found.mapped, encoder.spans(), self._twins(short)):
                break
        read: dict[str, Any] = {**encoder.read(run, found)}
        layers = range(0, encoder.layers, encoder.layers - 1) if short else range(encoder.layers)
        believed = Believed(encoder, read, self._tensors(found, rows), layers)
        proved = prove(run, believed)
        self._check_lookups(run)
        self._taps = proved.taps
        assert proved.head is not None  # the first run is of all stages
        believed = replace(believed, head=proved.head)
        chosen = set(run.chosen)
        for more in given[1:]:
            again = ObservedRun(graph, self.output, replace(watched, taps=taps), substitutes, more, twins)
            prove(again, believed, range(proved.row, proved.row + 1))
            self._check_lookups(again)
            chosen |= again.chosen
        self._check_chosen(chosen.union(*(self.sides(each.feeds, substitutes) for each in given)))
        if not self.looping and len(run.probe.ids) > 1:
            before = {node.name for node in order_of(self.graph, [self.ids])}
            check_many(self.flow, before, run.probe.ids.shape, run.shape_seen)
        self._check_as_stored([more.feeds for more in given], substitutes)
        mapped = tuple(self.leaves.of_whole(self._with_row(item, proved.row)) for item in found.mapped)
        used = {item.variable for item in mapped} | self.leaves.inside | set(elsewhere)
        stored = set(self.model.checkpoint.variables) if self.model.has_checkpoint else set()
        blueprint = EncoderBlueprint(
            **read,
            architecture=encoder.architecture.name,
            **vars(proved.head),
            vocab_size=encoder.size("vocab_size"),
            hidden_size=encoder.size("hidden_size"),
            positions=encoder.size("max_position_embeddings"),
            type_vocab_size=encoder.size("type_vocab_size"),
            token_type_row=Read(proved.row, self._type_evidence()),
            mapped=mapped,
            unused=tuple(sorted(stored - used)),
            frozen=self.leaves.frozen,
            made=self.leaves.of_several(mapped),
        )
        mapped = tuple(map(self._named, encoder.architecture.finished(mapped, blueprint)))
        return replace(blueprint, mapped=mapped), dict(proved.named)

    def _check_as_stored(self, given: Sequence[Feeds], substitutes: Substitutes) -> None:
        """See that the graph that is run computes what the stored one does, whichever of its ways that takes."""
        leaves, run = self.leaves, (self.graph, self.output)
        if not (leaves.made or leaves.rewritten or self.looping):
            return
        stored = leaves.as_stored
        of_node = {node: (leaves.made_of(leaf), part) for node, (leaf, part) in leaves.of.items()}
        if not self.decisions:
            stored.check(run, of_node, substitutes, given if self.looping else given[:1])
        elif not all(stored.is_same(run, of_node, substitutes, [feeds]) for feeds in given):
            names = ", ".join(f"'{each.node}'" for each in self.decisions)
            raise GraphError(f"The ways that are chosen between at {names} do not compute the same.", REPORT)

    def _shortened(self) -> Shortened | None:
        """Return the graph without the layers that are like the first, where they are, and no text decides its way."""
        if self.conditionals or self.looping:
            return None
        return shortened(self.graph, self.output, self.encoder.spans(), self.keys)

    def _twins(self, short: Shortened) -> dict[str, str]:
        """Return variable of a layer that was left out → the one in its place in the first."""
        return {self.leaves.of[two][0]: self.leaves.of[one][0] for two, one in short.twins.items() if two in self.keys}

    def _check_lookups(self, run: ObservedRun) -> None:
        for lookup in self.leaves.lookups:
            if lookup.ids is not None:
                lookup.check(run.value(lookup.ids))

    def _check_chosen(self, chosen: Collection[tuple[str, int]]) -> None:
        """Raise where a conditional has a side that no probe has seen: it may compute anything."""
        sides = {node.name: (node.op, len(node.calls.get("branches", ())) or 2) for node in self.conditionals}
        sides |= {each.node: (self.leaves.as_stored.graph.node(each.node).op, each.sides) for each in self.decisions}
        for name, (op, count) in sides.items():
            if len([value for node, value in chosen if node == name]) < count:
                raise GraphError(
                    f"Node '{name}' ({op}) computes something else for some texts, which no probe has seen.", REPORT
                )

    def _asking(self, run: ObservedRun) -> Asking:
        leaf_of = {claim.key: claim.leaf for claim in self.owners.values()}

        def evaluate(
            fetches: Sequence[TensorRef], feeds: Mapping[TensorRef, np.ndarray], weights: Mapping[str, np.ndarray]
        ) -> list[np.ndarray]:
            def variable(name: str) -> np.ndarray:
                key, part = self.keys[name]
                value = weights.get(leaf_of[key])
                return (np.zeros(self.shapes[leaf_of[key]]) if value is None else value)[part]

            return run.part(fetches, feeds, variable)

        return Asking(self.flow, evaluate, run.shape)

    def _tensors(self, found: Found, rows: int) -> Callable[[str], np.ndarray]:
        """Return the substitutes by state-dict key, as Hugging Face has them."""
        weights, items = self.weights(rows), {item.key: item for item in found.mapped}

        def tensor(key: str) -> np.ndarray:
            item = items[key]
            value = weights(self.owners[item.variable].key)
            # Word embeddings are cut.
            return tensor_of(item, value) if value.size == prod(self.shapes[item.variable]) else value

        return tensor

    def _named(self, item: Mapped) -> Mapped:
        """Return a pair with what the name of its variable tells."""
        names = self.leaves.names.get(item.variable, (item.variable,))
        named = any(item.key in self.encoder.architecture.keys_named(name) for name in names)
        return item if named else replace(item, named=False)

    def _with_row(self, item: Mapped, row: int) -> Mapped:
        """Bring the token-type row that the graph adds to the front, where Hugging Face looks by default."""
        if item.key != self.encoder.architecture.token_types or row == 0:
            return item
        return replace(item, operation=SWAP_ROWS, row=row)

    def _type_evidence(self) -> str:
        types, _ = self.encoder.types
        if not types:
            return self.encoder.size("type_vocab_size").evidence
        return f"node '{next(join.node.name for join in self.flow.joins() if types in join.leaves)}'"
