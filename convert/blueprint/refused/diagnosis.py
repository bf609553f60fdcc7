"""What can be read of a model that is refused, and everything of it that is not understood.

Reading a blueprint ends at the first thing that is not understood. Here every question is asked by itself: what one cannot
answer is taken note of, and the next one is asked.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from hub2hf import limits
from hub2hf.analysis.flow import ADDITIONS
from hub2hf.architectures import ARCHITECTURES
from hub2hf.architectures.activations import ACTIVATIONS
from hub2hf.blueprint.entry import Chosen, described, entries, ids_entry, takes_text, text_entry
from hub2hf.blueprint.refused.kinds import findings, pooling, reached
from hub2hf.blueprint.refused.observed import Observed, flat_graph, observe
from hub2hf.blueprint.refused.other_layers import hidden_size
from hub2hf.blueprint.text_side.preprocessor import preprocessor_entry
from hub2hf.blueprint.vocabulary.lines import count_lines
from hub2hf.errors import Hub2HFError
from hub2hf.interpreter.catalog import find
from hub2hf.interpreter.run import TABLE_OPS
from hub2hf.savedmodel.model import SavedModel
from hub2hf.savedmodel.node import ARGUMENT_OP, CALL_OPS, Node
from hub2hf.savedmodel.original import Original
from hub2hf.savedmodel.variables import VARIABLE_OPS

# What the interpreter does without a kernel: see `Interpreter._step`, and `raised` for the loops of TensorFlow 1.
HANDLED = VARIABLE_OPS | TABLE_OPS | CALL_OPS | {"Const", "ReadVariableOp", "Placeholder", ARGUMENT_OP, "NoOp"}
TEXT = re.compile(
    r"Regex|String|Unicode|UTF8|Wordpiece|Tokeniz|Substr|Sentencepiece|LookupTable|WordShape|Ngrams|FastBert|Trim|Base64"
)
SHOWN = 5  # nodes of an operation
MOST = 40  # variables of a list


@dataclass(frozen=True)
class Answer:
    """What was read: to which question, the value, and where it stands."""

    question: str
    value: str
    evidence: str = ""


@dataclass(frozen=True)
class Trouble:
    """What was not understood, and when: the question, the problem with its nodes, and what to do."""

    question: str
    problem: str
    next_step: str = ""


@dataclass
class Diagnosis:
    """All that was read of a model, and all that was not understood."""

    read: list[Answer] = field(default_factory=list)
    not_understood: list[Trouble] = field(default_factory=list)

    def add(self, question: str, error: Hub2HFError) -> None:
        """Take note of an error."""
        self.not_understood.append(Trouble(question, error.problem, error.next_step))

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data: question → what was read, and a list of troubles."""
        answers: dict[str, list[dict[str, str]]] = defaultdict(list)
        for item in self.read:
            answers[item.question].append({"value": item.value, "evidence": item.evidence})
        return {"read": dict(answers), "not_understood": [asdict(item) for item in self.not_understood]}


def diagnose(error: Hub2HFError, original: Original, output: str = "") -> Diagnosis:
    """Ask every question about a model that is refused.

    Args:
        error: why it is.
        original, output: as for `read_blueprint`.
    """
    try:
        questions, nbytes = _Diagnosing(original, output), original.model.nbytes
    except Hub2HFError as closed:
        return Diagnosis(not_understood=[Trouble("opening", closed.problem, closed.next_step)])
    with threadpool_limits(limits=1, user_api="blas"), limits.budget(nbytes, limits.SECONDS_TO_DIAGNOSE):
        return questions.all(error)


class _Diagnosing:
    """The questions, in the order in which they are asked."""

    def __init__(self, original: Original, output: str) -> None:
        self.original, self.output = original, output
        self.model, self.preprocessor = original.model, original.preprocessor
        self.found = Diagnosis()
        self.chosen: Chosen | None = None
        self.nodes: list[Node] = []
        self.text: list[Node] = []

    def all(self, error: Hub2HFError) -> Diagnosis:
        """Return what was found; the `error` itself is among it."""
        self.ask("entry points", self._entries)
        self.ask("output", self._choose)
        self.ask("operations", self._operations)
        self.ask("text", self._text)
        self.ask("vocabulary", self._vocabulary)
        self.ask("variables", self._variables)
        self.ask("encoder", self._encoder)
        self.ask("kind", self._kind)
        if isinstance(error.__cause__, Hub2HFError):
            error = error.__cause__  # what the kind was told of
        known = [item.problem for item in self.found.not_understood]
        if not any(problem in error.problem or error.problem in problem for problem in known):
            self.found.add("reading", error)
        return self.found

    def ask(self, question: str, answers: Callable[[], Iterable[Answer | Trouble]]) -> None:
        """Take note of the answers to one question, or of the error that it ends with."""
        try:
            for item in answers():
                if isinstance(item, Answer):
                    self.found.read.append(item)
                else:
                    self.found.not_understood.append(item)
        except Hub2HFError as error:
            self.found.add(question, error)

    def _entries(self) -> Iterator[Answer]:
        for entry in entries(self.model):
            yield Answer("entry points", described(entry))

    def _choose(self) -> Iterator[Answer]:
        try:
            self.chosen = text_entry(self.model, self.output) or ids_entry(self.model, self.output)
        except Hub2HFError:
            self.chosen = next(_likely(self.model), None)
            raise
        entry, tensor = self.chosen.entry, self.chosen.tensor
        yield Answer("output", f"{self.chosen.output} of {entry.name}", f"node '{tensor.ref.node}'")
        takes = "text" if takes_text(entry) else "ids"
        yield Answer("input", f"{takes}: {', '.join(entry.inputs)}")

    def _operations(self) -> Iterator[Answer | Trouble]:
        if self.chosen is not None:
            self.nodes = reached(flat_graph(self.chosen), self.chosen)
        self.text = [node for node in self.nodes if TEXT.search(node.op)]
        beside: list[Node] = []
        if self.preprocessor is not None:
            entry = preprocessor_entry(self.preprocessor)
            for name in entry.outputs:
                beside += reached(flat_graph(Chosen(entry, name)), Chosen(entry, name))
            beside = list({(node.function, node.name): node for node in beside}.values())
            self.text = [node for node in beside if TEXT.search(node.op)]
        unknown: dict[str, list[Node]] = defaultdict(list)
        for node in (*self.nodes, *beside):
            if node.op not in HANDLED and find(node.op) is None:
                unknown[node.op].append(node)
        known = {node.op for node in (*self.nodes, *beside)} - unknown.keys()
        yield Answer(
            "operations", f"{len(self.nodes) + len(beside)} nodes of {len(known)} operations that are understood"
        )
        for op, nodes in sorted(unknown.items()):
            yield Trouble("operations", f"The operation {op} is not understood: {_shown(nodes)}.", "Report it.")

    def _text(self) -> Iterator[Answer]:
        for node in self.text:
            pattern = node.attr("pattern", "") if node.op.startswith("Static") else ""
            told = f"{node.op} {pattern!r}" if pattern else node.op
            yield Answer("text", told, _name(node))

    def _vocabulary(self) -> Iterator[Answer]:
        models, vocabulary = self.original.models.values(), self.original.vocabulary
        paths = [path for model in models for path in sorted(set(model.assets.values()))]
        for path in [*paths, *([vocabulary] if vocabulary is not None else [])]:
            try:
                yield Answer("vocabulary", f"{path.name}: {count_lines(path):,} lines")
            except Hub2HFError as error:
                yield Answer("vocabulary", f"{path.name}: {error.problem}")

    def _variables(self) -> Iterator[Answer | Trouble]:
        nodes = [node for node in self.nodes if node.op in VARIABLE_OPS and not node.function]
        variables: dict[str, list[int]] = {}
        for node in nodes:
            self.ask("variables", partial(self._bound, node, variables))
        if not variables:
            yield Answer("variables", "none reach the output")
            return
        families = {name: rules for known in ARCHITECTURES.values() for name, rules in known.families.items()}
        name, rules = max(families.items(), key=lambda item: sum(_fits(item[1], n) for n in variables))
        paired = [variable for variable in variables if _fits(rules, variable)]
        yield Answer("variables", f"{len(variables)} reach the output; {len(paired)} are named as in {name}")
        left = sorted(set(variables) - set(paired))
        for variable in left[:MOST]:
            yield Answer("variables", f"{variable} {variables[variable]} is named as in no family")
        if len(left) > MOST:
            yield Answer("variables", f"and {len(left) - MOST} more")

    def _bound(self, node: Node, into: dict[str, list[int]]) -> Iterator[Answer]:
        variable = self.model.variable(node.name)
        into[variable.name] = list(variable.shape)
        return iter(())

    def _encoder(self) -> Iterator[Answer | Trouble]:
        if self.chosen is None:
            return
        seen = observe(self.model, self.chosen, text=takes_text(self.chosen.entry))
        yield from encoder_answers(seen)

    def _kind(self) -> Iterator[Trouble]:
        for finding in findings(self.model, self.chosen) if self.chosen is not None else ():
            yield Trouble("kind", f"A BERT encoder does not have this: {finding}.")


def encoder_answers(seen: Observed) -> Iterator[Answer | Trouble]:
    """Yield what one run shows of an encoder."""
    if seen.table is not None:
        yield Answer("embeddings", f"looked up by ids, {seen.shapes[seen.table.name][-1]} wide", _name(seen.table))
    hidden = hidden_size(seen)
    if hidden is not None:
        yield Answer("hidden size", str(hidden))
    if not seen.attention:
        yield Trouble("encoder", "No attention was seen in the run: no softmax over pairs of tokens.")
        return
    shape = seen.shapes[seen.attention[0]]
    yield Answer("layers", str(len(seen.attention)), f"shares of attention, the first at node '{seen.attention[0]}'")
    yield Answer("attention heads", str(int(np.prod(shape[:-2])) // max(seen.batch, 1)), f"node '{seen.attention[0]}'")
    yield from _epsilons(seen)
    yield from _activation(seen, hidden)
    pooled = pooling(seen)
    if pooled is None:
        yield Trouble("pooling", "How the tokens become one row a text was not understood.")
    else:
        follows = "a dense layer follows" if pooled.dense else "no dense layer follows"
        yield Answer("pooling", f"{pooled.name}; {follows}", f"node '{pooled.where}'")


def _epsilons(seen: Observed) -> Iterator[Answer]:
    found: dict[str, str] = {}
    for node in seen.nodes.values():
        if node.op in ("Rsqrt", "Sqrt") and node.inputs:
            addition = seen.nodes.get(node.inputs[0].node)
            for ref in addition.inputs if addition is not None and addition.op in ADDITIONS else ():
                constant = seen.graph.nodes[ref.node]
                if constant.op == "Const" and constant.value.size == 1 and constant.value.dtype.kind == "f":
                    found.setdefault(str(np.float32(constant.value.item())), constant.name)
        elif node.op.startswith("FusedBatchNorm"):
            found.setdefault(str(np.float32(node.attr("epsilon", 1e-4))), node.name)
    for value, where in found.items():
        yield Answer("LayerNorm epsilon", value, f"node '{where}'")


def _activation(seen: Observed, hidden: int | None) -> Iterator[Answer | Trouble]:
    """The function before the first dense layer that takes another width than the hidden size, tried on the run."""
    early = seen.behind(seen.attention[0])
    for _, _, data in seen.kernels():
        after = seen.values.get(data.node)
        if data.node in early or after is None or not seen.is_tokens(after.shape) or after.shape[-1] == hidden:
            continue
        before = [
            seen.values[node.name]
            for node in seen.nodes.values()
            if node.op in ADDITIONS and node.name in seen.values and seen.shapes[node.name] == after.shape
        ]
        for name, activation in ACTIVATIONS.items():
            if name != "none" and any(np.abs(activation.function(x) - after).max() < 1e-6 for x in before):
                yield Answer("hidden activation", name, f"node '{data.node}'")
                return
        known = ", ".join(ACTIVATIONS)
        yield Trouble(
            "hidden activation", f"The function that ends at node '{data.node}' is none of: {known}.", "Report it."
        )
        return


def _likely(model: SavedModel) -> Iterator[Chosen]:
    """Yield outputs that the questions may be asked about where it is not known which is meant."""
    for entry in entries(model):
        for name, tensor in entry.outputs.items():
            if str(tensor.dtype) == "float32":
                yield Chosen(entry, name)


def _fits(rules: Iterable[Any], name: str) -> bool:
    return any(rule.pattern.fullmatch(name) for rule in rules)


def _name(node: Node) -> str:
    return f"node '{node.name}'" + (f" of function '{node.function}'" if node.function else "")


def _shown(nodes: list[Node]) -> str:
    more = f" and {len(nodes) - SHOWN} more" if len(nodes) > SHOWN else ""
    return ", ".join(map(_name, nodes[:SHOWN])) + more
