"""What the command prints for people."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from hub2hf.architectures import architecture_of
from hub2hf.architectures.words import OUTPUT, words_of
from hub2hf.blueprint.blueprint import Blueprint
from hub2hf.blueprint.text import (
    NO_START,
    CaseFold,
    FoldWords,
    LowerCase,
    Normalize,
    Pack,
    ReplacePattern,
    SentencePiece,
    SplitAround,
    SplitCharacters,
    SplitDelimiters,
    SplitScripts,
    TextBlueprint,
    TextOperation,
    WordPiece,
    WordPieceOfCharacters,
)
from hub2hf.blueprint.text_side.probed import Seen
from hub2hf.commands.tables import screen, table
from hub2hf.errors import pasted, printable
from hub2hf.extras import command
from hub2hf.interpreter.independence import NOT_INDEPENDENT
from hub2hf.savedmodel.graph_only import left_out
from hub2hf.savedmodel.objects import CALL

if TYPE_CHECKING:
    from hub2hf.blueprint.refused.diagnosis import Diagnosis
    from hub2hf.hub.result import Publication

LABELS = {
    "vocab_size": "vocabulary size",
    "hidden_size": "hidden size",
    "layers": "layers",
    "heads": "attention heads",
    "intermediate_size": "intermediate size",
    "positions": "positions",
    "type_vocab_size": "token types",
    "token_type_row": "token-type row used",
    "hidden_activation": "hidden activation",
    "layer_norm_epsilon": "LayerNorm epsilon",
    "pooler": "pooler",
}
LAST_LABEL = "L2 norm at the output"


def describe(operation: TextOperation) -> str:
    """Return one text operation in words."""
    match operation:
        case CaseFold() | FoldWords() | LowerCase() | Normalize() | ReplacePattern():
            return _described_change(operation)
        case SplitDelimiters() | SplitScripts() | SplitAround():
            return _described_split(operation)
        case SplitCharacters(patterns, _):
            rest = len(patterns) - 3
            more = f" (and {rest} more pattern{'s' if rest > 1 else ''})" if rest > 0 else ""
            return "cut into characters the words that match " + " or ".join(map(_short, patterns[:3])) + more
        case WordPiece(suffix, unknown, limit, _):
            unit = "characters" if isinstance(operation, WordPieceOfCharacters) else "UTF-8 bytes"
            return f"WordPiece, suffixes {suffix}, unknown {unknown}, words of at most {limit} {unit}"
        case SentencePiece(undecided, _):
            but = (
                f"; where two cuts are as likely to float32, as of {undecided!r}, not surely the same"
                if undecided
                else ""
            )
            return f"the cut into pieces of a SentencePiece model, with its normalizer{but}"
        case Pack(start, end, pad, length, _):
            pieces = f"[{start}] + at most {length - 2} pieces" if start != NO_START else f"at most {length - 1} pieces"
            return f"{pieces} + [{end}], padded with {pad} to {length}"


def undecided(text: TextBlueprint) -> bool:
    """Tell whether round-off decides some cuts of a SentencePiece model."""
    return any(isinstance(op, SentencePiece) and op.undecided for op in text.operations)


def _described_split(operation: SplitDelimiters | SplitScripts | SplitAround) -> str:
    match operation:
        case SplitDelimiters(delimiters, kept, _):
            return f"split at {_short(delimiters)}; keep {_short(kept) if kept else 'no delimiter'}"
        case SplitScripts():
            return "split where the Unicode script changes; drop white space"
        case SplitAround(characters, _):
            return f"separate each character of {_short(characters)} from its neighbours"


def _described_change(operation: CaseFold | FoldWords | LowerCase | Normalize | ReplacePattern) -> str:
    match operation:
        case CaseFold():
            return "fold case (NFKC_Casefold)"
        case FoldWords():
            return "fold case of each word (NFKC_Casefold)"
        case LowerCase():
            return "lower case (str.lower)"
        case Normalize(form, _):
            return f"normalize to {form}"
        case ReplacePattern(pattern, rewrite, _):
            return f"delete {_short(pattern)}" if not rewrite else f"replace {_short(pattern)} by {rewrite!r}"


def _short(pattern: str, width: int = 32) -> str:
    return pattern if len(pattern) <= width else f"{pattern[: width - 1]}…"


def headline(source: str, blueprint: Blueprint) -> str:
    """Return what `source` is, in a line."""
    words = words_of(blueprint.encoder)
    takes = "ids" if blueprint.inputs else "text"
    entry = f"function '{CALL}'" if blueprint.signature == CALL else f"signature '{blueprint.signature}'"
    return (
        f"{source}: {words.title}, a sentence encoder; {entry}, "
        f"{blueprint.input_name} ({takes}) → {blueprint.output_name} [batch, {words.embedding_size}]"
    )


def print_blueprint(source: str, blueprint: Blueprint) -> None:
    """Print what `source` is, what it will become, and what is unused."""
    console, encoder = screen(), blueprint.encoder
    architecture, words = architecture_of(encoder), words_of(encoder)
    console.print(escape(headline(source, blueprint)))
    encoder_table = table("encoder", "value", "read from")
    for name, label in LABELS.items():
        read = getattr(encoder, name)
        encoder_table.add_row(label, _value(read.value), escape(read.evidence))
    for number, layer in enumerate(encoder.dense, 1):
        told = f"{layer.outputs} numbers, {layer.activation}" + ("" if layer.bias else ", no bias")
        encoder_table.add_row(f"dense layer {number}", told, escape(layer.evidence))
    encoder_table.add_row(LAST_LABEL, _value(encoder.normalised.value), escape(encoder.normalised.evidence))
    console.print(encoder_table)
    text = table("text, in order", "read from")
    for operation in blueprint.text.operations:
        text.add_row(escape(describe(operation)), escape(operation.evidence))
    text.add_row(escape(f"vocabulary {blueprint.text.vocabulary.name}"), escape(blueprint.text.vocabulary_evidence))
    console.print(text)
    if blueprint.inputs:
        console.print(f"[bold]text side[/bold] from {escape(blueprint.text.origin)}")
    console.print(
        f"[bold]becomes[/bold] {len(encoder.mapped)} tensors of a {words.model_class}"
        + (
            f", with a model class of its own: {words.model_class} has another pooler"
            if architecture.needs_model_class(encoder)
            else f", whose {OUTPUT} is the embedding"
        )
        + f"; {'a' if undecided(blueprint.text) else 'an exact'} tokenizer.json; sentence-transformers modules"
    )
    mapping = table("variable", "state-dict key", "operation", "shape")
    for row, count in _mapping_rows(blueprint).items():
        mapping.add_row(*map(escape, row[:2]), row[2] if count == 1 else f"{row[2]}, × {count}", escape(row[3]))
    console.print(mapping)
    console.print("[bold]unused[/bold] (reaches no output): " + (", ".join(map(escape, encoder.unused)) or "nothing"))
    for line in blueprint.absent:
        console.print(f"[bold]absent[/bold] (a graph-only file): {escape(line)}")
    console.print(f"[bold]proved[/bold] by running the graph, without TensorFlow, on {_seen(blueprint.seen)}")
    if blueprint.seen.texts:
        console.print(
            "[bold]what the proof rests on[/bold]\n" + "\n".join(f"- {escape(text)}" for text in NOT_INDEPENDENT)
        )


def _seen(seen: Seen) -> str:
    """Return what a proof has seen, in words."""
    if not seen.texts:
        return "probes of ids"
    batches = ", ".join(map(str, seen.batches))
    asked = f"; its rule for cutting words was asked of it, with {seen.asked:,} words" if seen.asked else ""
    pieced = f"; it cuts words into pieces by hand: {seen.pieced:,} were held against it" if seen.pieced else ""
    ways = f"; {seen.ways} conditionals gone through in every way" if seen.ways else ""
    return (
        f"{seen.texts} texts of up to {seen.longest} ids, in batches of {batches}, and on {seen.words:,} words of "
        f"{seen.code_points:,} code points{asked}{pieced}{ways}"
    )


def _mapping_rows(blueprint: Blueprint) -> Counter[tuple[str, str, str, str]]:
    """Return (variable, key, operation, shape) of each rule with the number of its layers, the layer number as {i}."""
    rows: Counter[tuple[str, str, str, str]] = Counter()
    for item in blueprint.encoder.mapped:
        key, variable = item.key, item.variable
        layer = re.search(r"encoder\.layer\.(\d+)\.", key)
        if layer:
            key = key.replace(f"layer.{layer[1]}.", "layer.{i}.")
            variable = re.sub(rf"(layer\D?){layer[1]}(?=/)", r"\1{i}", variable)
        operation = item.operation if item.named else f"{item.operation}, found by its place"
        rows[variable, key, operation, str(list(item.shape))] += 1
    return rows


def _value(value: Any) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def print_diagnosis(source: str, found: Diagnosis) -> None:
    """Print what was read of a model that is refused, and everything that was not understood."""
    console = screen()
    console.print(f"[bold]{escape(source)}[/bold] cannot be converted")
    if found.read:
        read = table("read", "", "where")
        last = ""
        for item in found.read:
            shown = [item.question if item.question != last else "", item.value, item.evidence]
            read.add_row(*map(escape, map(printable, shown)))
            last = item.question
        console.print(read)
    trouble = table("not understood", "")
    for each in found.not_understood:
        trouble.add_row(escape(each.question), escape(each.problem))
    console.print(trouble)
    if found.read:
        console.print(
            escape(f"to report it: {pasted(command(), 'inspect', source, '--graph-only', 'graph.zip')}"), soft_wrap=True
        )


def print_graph_only(source: str, written: Mapping[str, Any]) -> None:
    """Print what a graph-only file holds and what was left out of it."""
    console = screen()
    console.print(f"[bold]{escape(written['file'])}[/bold]: {written['bytes']:,} bytes, the graph of {escape(source)}")
    console.print(f"holds {escape(', '.join(written['holds']))}")
    console.print(
        "of the weights only names, shapes and dtypes; of each vocabulary only the number of lines and the pieces that the "
        "graph names; nothing else of the SavedModel"
    )
    for place in ("model", "preprocessor"):
        if place in written:
            for line in left_out(written[place]):
                console.print(f"[bold]left out[/bold] of the {place}: {escape(line)}")
    console.print(escape(f"look at it: {pasted(command(), 'inspect', written['file'])}"), soft_wrap=True)


def print_publication(found: Publication) -> None:
    """Print what was published, or would be."""
    console = screen()
    says, where = {
        "published": ("published", ""),
        "unchanged": ("unchanged: nothing to do", ""),
        "planned": ("dry run: nothing was published or changed", "would be published at "),
    }[found.state]
    console.print(f"[bold]{escape(found.repository)}[/bold], {escape(found.revision)}: {says}")
    if not found.verified:
        console.print("[bold]not verified[/bold]: the card says so")
    for name in found.created:
        console.print(f"{'to be created' if found.state == 'planned' else 'created'}: {escape(name)}")
    if found.state != "unchanged":
        files = table("file", "bytes", "on the Hub")
        for file in found.files:
            files.add_row(escape(file.name), f"{file.bytes:,}", file.change)
        console.print(files)
    for note in found.notes:
        console.print(f"[bold]note[/bold]: {escape(note)}")
    if found.foreign:
        console.print(f"also there, not from hub2hf, kept: {escape(', '.join(found.foreign))}")
    if found.state == "planned" and found.card_diff:
        console.print(escape(found.card_diff), highlight=False, soft_wrap=True)
    console.print(escape(f"{where}{found.url}"), soft_wrap=True)
