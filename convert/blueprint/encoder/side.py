"""The encoder of one SavedModel: its variables paired with state-dict keys, its values read, the whole proved."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from hub2hf.analysis.affine import with_biases
from hub2hf.analysis.alike import Shortened, one_mapping, shortened
from hub2hf.analysis.as_stored import AsStored, FromStored, same_values
from hub2hf.analysis.beside import as_one
from hub2hf.analysis.chunks import at_once
from hub2hf.analysis.decided import Decision, decided, decisions
from hub2hf.analysis.flow import ADDITIONS, DATA, MULTIPLICATIONS, Flow
from hub2hf.analysis.inline import resolved
from hub2hf.analysis.joined import PART, joined_in, lookups
from hub2hf.analysis.made import made_in, with_made, without
from hub2hf.analysis.many import check_many
from hub2hf.analysis.parts import apart, parts_of, with_variables
from hub2hf.analysis.places import Asking
from hub2hf.analysis.read import Read
from hub2hf.analysis.rows import before_picking, in_another_shape, in_rows, looked_up_in_rows, rows_added, side_by_side
from hub2hf.analysis.run import Feeding, Feeds, ObservedRun, Watched
from hub2hf.analysis.settle import PRODUCTS
from hub2hf.analysis.substitutes import Weights, by_node
from hub2hf.analysis.summed import as_products, sums_of_products
from hub2hf.architectures import recognise
from hub2hf.architectures.base import Found, layer_stage, owners
from hub2hf.architectures.encoder import EncoderBlueprint
from hub2hf.blueprint.encoder.prove import Believed, prove
from hub2hf.blueprint.probe import EveryPiece
from hub2hf.errors import REPORT, GraphError, MappingError
from hub2hf.interpreter import Interpreter, Substitutes, no_variable
from hub2hf.interpreter.plan import order_of
from hub2hf.interpreter.shapes import HALVES
from hub2hf.savedmodel.dtypes import FLOATS
from hub2hf.savedmodel.graph import Graph
from hub2hf.savedmodel.model import SavedModel
from hub2hf.savedmodel.node import Node, TensorRef
from hub2hf.savedmodel.values import Computed, Joined, Values
from hub2hf.savedmodel.variables import VARIABLE_OPS, Binding
from hub2hf.state_dict import SWAP_ROWS, Mapped, pair, tensor_of

NO_VARIABLE = no_variable("takes part where none should")
Sample = Callable[[], tuple[Feeds, Mapping[str, Any]]]  # what a graph may be run on, and its lookup tables
Places = dict[str, tuple[str, tuple[slice, ...]]]  # node → the variable that it is, and which part of that
# Each takes a graph, its nodes in order, and node of a variable → its shape.
REWRITES = (side_by_side, with_biases, as_one)
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
        self.as_stored: AsStored
        self.decisions: Sequence[Decision] = ()
        try:
            self._recognise(graph, output, sample)
        except MappingError:
            stored = self.as_stored
            for other in self._others(graph, sample):
                with suppress(MappingError):
                    self._recognise(other, output, sample)
                    break
            else:
                raise
            self.as_stored, self.rewritten = stored, True

    def _recognise(self, graph: Graph, output: TensorRef, sample: Sample) -> None:
        """Find the parts of the encoder in a graph."""
        self.graph, looping = graph, self.looping
        self.output = resolved(self.graph, output)
        order = order_of(self.graph, [self.output])
        stored = self._leaves(order)
        self.as_stored = AsStored(
            looping or graph, resolved(looping or graph, output), stored, dict(self.shapes), dict(self.frozen)
        )
        self.rewritten = False
        order = self._multiplied(stored, order, sample)
        stored, order = self._in_rows_of_lookups(stored, order)
        leaves, order = self._together(stored, order)
        leaves, order = self._made(leaves, order)
        leaves = self._apart(leaves, order)
        self.leaves = leaves
        self.graph = in_rows(self.graph, order_of(self.graph, [self.output]), leaves)
        self.flow = Flow(self.graph, self.output, {n: leaf for n, (leaf, _) in leaves.items()}, self.shapes)
        self._check_precision()
        self.encoder = recognise(self.flow)
        self.conditionals = self.flow.conditionals(self.encoder.ids)
        self.owners = owners(self.encoder)
        self._check_claimed(leaves)
        self.keys = {n: (self.owners[leaf].key, part) for n, (leaf, part) in leaves.items() if leaf in self.owners}
        self._thaw()
        self.ids = self.encoder.ids

    def _others(self, graph: Graph, sample: Sample) -> Iterator[Graph]:
        """Yield graphs that compute the same, as a run on random variables shows: what is computed in parts is computed at
        once, or one side of what values choose between is taken for all texts."""
        stored, output = self.as_stored, self.output
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

    def _leaves(self, nodes: Sequence[Node]) -> Places:
        """Return node → (variable, part of the whole variable) of what may be weights."""
        bindings = {node.name: self.model.variable_binding(node.name) for node in nodes if node.op in VARIABLE_OPS}
        variables = {name: self.model.checkpoint.variable(binding.key) for name, binding in bindings.items()}
        for name, binding in bindings.items():
            stored = variables[name].shape if binding.slice is None else binding.slice.shape
            self.model.check_stated(self.graph.node(name), tuple(stored))
        self.shapes = {v.name: tuple(v.shape) for v in variables.values()}
        self.names: dict[str, Sequence[str]] = {v.name: (v.name, PART.sub("", n)) for n, v in variables.items()}
        self.frozen: dict[str, Node] = {}
        leaves: Places = {name: (variables[name].name, _part(binding)) for name, binding in bindings.items()}
        rows = None
        if any(len(shape) > 1 for shape in self.shapes.values()):  # else all weights are constants
            rows = rows_added(self.graph, nodes, leaves)
        for node in nodes:
            if node.op == "Const" and str((form := node.value_form)[0]) in FLOATS and form[1] is not None:
                shape = tuple(size or 0 for size in form[1])
                if prod(shape) > 1 and (rows is None or node.name in rows):
                    self.frozen[node.name], self.shapes[node.name] = node, shape
        return (leaves if rows is not None else {}) | {name: (name, ()) for name in self.frozen}

    def _rewrite(self, graph: Graph) -> list[Node]:
        """Take another graph, which should compute the same, for the one that is run; return its nodes in order."""
        self.rewritten = self.rewritten or graph is not self.graph
        self.graph = graph
        return order_of(graph, [self.output])

    def _multiplied(self, leaves: Places, order: list[Node], sample: Sample) -> list[Node]:
        """Make products of what is multiplied number by number and added up; return the order of nodes as it is then."""
        sums = sums_of_products(self.graph, order)
        if not sums:
            return order
        shapes: dict[str, tuple[int, ...]] = {}
        feeds, tables = sample()
        zeros = {node: np.broadcast_to(0.0, self._shape_of(leaf, part)) for node, (leaf, part) in leaves.items()}
        substitutes = Substitutes(zeros.__getitem__, EveryPiece(), tables)

        def take(node: Node, inputs: Any, outputs: tuple[Any, ...]) -> None:
            if not node.function and outputs:
                shapes[node.name] = np.shape(outputs[0])

        try:
            Interpreter(self.graph, substitutes, take).run([self.output], feeds)
        except GraphError:
            return order  # whoever reads the graph says why
        return self._rewrite(as_products(self.graph, sums, shapes))

    def _in_rows_of_lookups(self, leaves: Places, order: list[Node]) -> tuple[Places, list[Node]]:
        """Give tables the rows that are looked up in them; return `leaves` and `order` as they are then."""
        wholes = {node: self.shapes[leaf] for node, (leaf, part) in leaves.items() if not part}
        found = in_another_shape(self.graph, order, wholes)
        if not found:
            return leaves, order
        for table, shape in found.values():
            self.shapes[leaves[table][0]] = shape
        graph = with_variables(self.graph, order, {TensorRef(node): f"{node}/hub2hf/rows" for node in found})
        given = {f"{node}/hub2hf/rows": leaves[table] for node, (table, _) in found.items()}
        tables = {table for table, _ in found.values()}
        return {node: leaf for node, leaf in leaves.items() if node not in tables} | given, self._rewrite(graph)

    def _together(self, leaves: Places, order: list[Node]) -> tuple[Places, list[Node]]:
        """Make one variable of those that hold the rows of one table; return `leaves` and `order` as they are then."""
        self.lookups = lookups(self.graph, order, leaves, self.shapes)
        self.joined: dict[str, Joined] = {}
        if not self.lookups:
            return leaves, order
        self.graph = joined_in(self.graph, self.lookups)
        inside = {node for lookup in self.lookups for node in lookup.nodes}
        kept = {node: leaf for node, leaf in leaves.items() if node not in inside}
        values = Values(self.model.checkpoint if self.model.has_checkpoint else None, self.frozen)
        for lookup in self.lookups:
            joined = lookup.joined(leaves)
            names = [shard.variable for shard in joined.shards]
            if len({values.stored(name).dtype for name in names}) > 1:
                raise MappingError(f"{', '.join(names)} make one table, and have several dtypes.", REPORT)
            if len({*names}) > 1 or joined.dealt or joined.rows != self.shapes[names[0]][0]:
                name = f"{names[0]} and {len(names) - 1} more"
                self.joined[name] = joined
                self.shapes[name] = (joined.rows, lookup.width)
                self.names[name] = tuple(PART.sub("", other) for other in self.names.get(names[0], (names[0],)))
                names = [name]
            kept[lookup.node] = (names[0], ())
        return kept, order_of(self.graph, [self.output])

    def _made(self, leaves: Places, order: list[Node]) -> tuple[Places, list[Node]]:
        """Make variables of the weights that the graph makes of those; return `leaves` and `order` as they are then."""
        most = max((prod(self.shapes[leaf]) for leaf, _ in leaves.values()), default=0)  # those of the words' table
        tables = {n for n, (leaf, part) in leaves.items() if not part and len(self.shapes[leaf]) == 2}
        tables = {n for n in tables if prod(self.shapes[leaves[n][0]]) == most}
        self.graph = looked_up_in_rows(self.graph, order, tables)
        order = order_of(self.graph, [self.output])
        shapes = {node: self._shape_of(leaf, part) for node, (leaf, part) in leaves.items()}
        for rewrite in REWRITES:
            order = self._rewrite(rewrite(self.graph, order, shapes))
        found = made_in(self.graph, order, leaves, self.shapes)
        self.made = {made.name: made for made in found}
        if not found:
            return leaves, order
        self.graph = with_made(self.graph, order, found)
        self.shapes |= {made.name: made.shape for made in found}
        for made in found:
            self.names[made.name] = self.names.get(made.variables[0], ()) if len(made.variables) == 1 else ()
        order = order_of(self.graph, [self.output])
        reached = {node.name for node in order}
        kept = {node: leaf for node, leaf in leaves.items() if node in reached}
        return kept | {made.variable: (made.name, ()) for made in found}, order

    def _shape_of(self, leaf: str, part: tuple[slice, ...]) -> tuple[int, ...]:
        return tuple(each.stop - each.start for each in part) or self.shapes[leaf]

    def _apart(self, leaves: Places, order: Sequence[Node]) -> Places:
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

    def _check_precision(self) -> None:
        """Raise where the graph computes in half precision, whose sums depend on their order by more than any bound."""
        for node in self.flow.nodes.values():
            if node.op in ARITHMETIC and self.flow.kind[node.name] == DATA and str(node.attr("T", "")) in HALVES:
                raise MappingError(
                    f"Node '{node.name}' ({node.op}) computes in {node.attr('T')}: no folder gives the same numbers.",
                    "Export the model in float32.",
                )

    def _check_claimed(self, leaves: Mapping[str, tuple[str, Any]]) -> None:
        own = {name for name, made in self.made.items() if self.frozen.keys() >= {*made.variables}}
        left = sorted({leaf for leaf, _ in leaves.values()} - set(self.owners) - set(self.frozen) - own)
        if left:
            raise MappingError(
                f"Variables reach the output and have no place in a {self.encoder.architecture.title} encoder: "
                f"{self.flow.shown(left)}.",
                "The model is not a plain encoder of that kind: report it.",
            )

    def _thaw(self) -> None:
        """Make variables of the constants that hold weights: they are run on substitutes too."""
        divided = {part.whole for part in self.parts.values() if part.name in self.owners}
        divided |= {shard.variable for joined in self.joined.values() for shard in joined.shards}
        divided |= {name for made in self.made.values() if made.name in self.owners for name in made.variables}
        self.graph = without(self.graph, [made for name, made in self.made.items() if name not in self.owners])
        self.made = {name: made for name, made in self.made.items() if name in self.owners}
        self.frozen = {name: node for name, node in self.frozen.items() if name in self.owners or name in divided}
        if self.frozen:
            thawed = {name: Node.made(name, "VariableV2") for name in self.frozen}
            self.graph = Graph({**self.graph.nodes, **thawed}, self.graph.functions)

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
        values = self.as_stored.run(self.as_stored.graph, by, substitutes, feeds) if by else []
        return {(each.node, each.side(value)) for each, value in zip(self.decisions, values, strict=True)}

    def likely(self) -> tuple[Mapped, ...]:
        """Return what the names of the variables say that their keys are, where they say it; nothing is proved of that."""
        if self.frozen or self.joined or self.made or self.parts:
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
        asked = frozenset(lookup.ids for lookup in self.lookups if lookup.ids is not None)
        watched = Watched(encoder.taps, self.ids, self.conditionals, encoder.head.watched() | asked)
        first = replace(watched, kept=watched.kept | encoder.entering(), outputs=others or {})
        for short in (None if others else self._shortened(), None):
            graph, twins = (short.graph, short.twins) if short else (self.graph, {})
            taps = {**encoder.taps, **({layer_stage(0): short.first} if short else {})}
            run = ObservedRun(graph, self.output, replace(first, taps=taps), substitutes, given[0], twins)
            asking = self._asking(run)
            encoder.settle(asking, run)
            found = encoder.mapping(asking, self.names)
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
        mapped = tuple(self._of_whole(self._with_row(item, proved.row)) for item in found.mapped)
        used = {item.variable for item in mapped} | set(elsewhere)
        used |= {shard.variable for joined in self.joined.values() for shard in joined.shards}
        used |= {name for made in self.made.values() for name in made.variables}
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
            frozen=self.frozen,
            made=self._of_several(mapped),
        )
        mapped = tuple(map(self._named, encoder.architecture.finished(mapped, blueprint)))
        return replace(blueprint, mapped=mapped), dict(proved.named)

    def _check_as_stored(self, given: Sequence[Feeds], substitutes: Substitutes) -> None:
        """See that the graph that is run computes what the stored one does, whichever of its ways that takes."""
        if not (self.made or self.rewritten or self.looping):
            return
        run, stored = (self.graph, self.output), self.as_stored
        of_node = {node: (self._made_of(leaf), part) for node, (leaf, part) in self.leaves.items()}
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
        return {self.leaves[two][0]: self.leaves[one][0] for two, one in short.twins.items() if two in self.keys}

    def _made_of(self, leaf: str) -> FromStored:
        """Return what a variable of the graph that is run is made of: from a way to read what is stored to its value."""
        if leaf in self.made:
            value, of = self.made[leaf].value, self._made_of
            return lambda read: value(lambda name: of(name)(read))
        if leaf in self.parts:
            part = self.parts[leaf]
            whole = self._made_of(part.whole)
            return lambda read: whole(read).reshape(-1)[part.numbers]
        if leaf in self.joined:
            return self.joined[leaf].of
        return lambda read: read(leaf).reshape(self.shapes[leaf])

    def _check_lookups(self, run: ObservedRun) -> None:
        for lookup in self.lookups:
            if lookup.ids is not None:
                lookup.check(run.value(lookup.ids))

    def _of_whole(self, item: Mapped) -> Mapped:
        """Return the pair of a variable as it is stored."""
        part = self.parts.get(item.variable)
        item = item if part is None else part.of_whole(item, self.shapes[part.whole])
        made = self.made.get(item.variable)
        return item if made is None else made.of_stored(item)

    def _of_several(self, mapped: Sequence[Mapped]) -> dict[str, Joined | Computed]:
        """Return how what is paired with a key, and no variable, is made of those."""
        values = Values(self.model.checkpoint if self.model.has_checkpoint else None, self.frozen, self.joined)
        names = {item.variable for item in mapped} & self.made.keys()
        made = {name: self.made[name] for name in sorted(names)}
        dtypes = {name: values.stored(name).dtype for each in made.values() for name in each.variables}
        return {**self.joined, **{name: each.computed(dtypes) for name, each in made.items()}}

    def _check_chosen(self, chosen: Collection[tuple[str, int]]) -> None:
        """Raise where a conditional has a side that no probe has seen: it may compute anything."""
        sides = {node.name: (node.op, len(node.calls.get("branches", ())) or 2) for node in self.conditionals}
        sides |= {each.node: (self.as_stored.graph.node(each.node).op, each.sides) for each in self.decisions}
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
        names = self.names.get(item.variable, (item.variable,))
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


def _part(binding: Binding) -> tuple[slice, ...]:
    """Return the part of the whole variable that a node of a partitioned variable holds."""
    return () if binding.slice is None else binding.slice.index
