"""`hub2hf inspect`: tell what a SavedModel is."""

from __future__ import annotations

import sys
from pathlib import Path

import click

import hub2hf as verbs
from hub2hf.commands import options
from hub2hf.commands.bars import progress_bar
from hub2hf.errors import Hub2HFError


@options.verb()
@options.source
@options.preprocessor
@options.vocab
@options.text_rules
@options.output
@options.thorough
@options.option(
    "--graph-only",
    type=options.PATH,
    help="Only write the graph to this file, without weights or vocabulary, to attach to an issue.",
)
@options.option("--force", is_flag=True, help="Replace a graph that --graph-only wrote.")
@options.quiet
@options.as_json
def run(
    source: str,
    preprocessor: str | None,
    vocab: Path | None,
    text_rules: str,
    output: str,
    thorough: bool,
    graph_only: Path | None,
    force: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Show what a SavedModel is, what it becomes, and what in it is unused, with the evidence."""
    from hub2hf.commands.printed import headline, print_blueprint, print_diagnosis, print_graph_only

    found = options.find(source, preprocessor, vocab, output, text_rules=text_rules, thorough=thorough, quiet=quiet)
    if graph_only is not None:
        written = verbs.graph_only(found, graph_only, force=force)
        options.answer(
            as_json,
            quiet,
            content=lambda: written,
            line=str(graph_only),
            people=lambda: print_graph_only(source, written),
        )
        return
    try:
        with progress_bar("reading the model", quiet=quiet):
            blueprint = verbs.inspect(found)
    except Hub2HFError as error:
        diagnosis = verbs.diagnose(error, found)
        if as_json:
            options.print_json({"source": source, **diagnosis.as_json(), "error": str(error)})
        elif not quiet:
            print_diagnosis(source, diagnosis)
        sys.stdout.flush()
        print(f"hub2hf: {error}", file=sys.stderr)
        raise click.exceptions.Exit(options.EXIT_ERROR) from None
    options.answer(
        as_json,
        quiet,
        content=lambda: {"source": source, **verbs.facts(blueprint)},
        line=headline(source, blueprint),
        people=lambda: print_blueprint(source, blueprint),
    )
