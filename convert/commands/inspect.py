"""`hub2hf inspect`: tell what a SavedModel is."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

import hub2hf as verbs
from hub2hf.commands import options
from hub2hf.commands.bars import progress_bar
from hub2hf.errors import Hub2HFError


def run(
    source: options.Source,
    preprocessor: options.Preprocessor = None,
    vocab: options.Vocab = None,
    text_rules: options.TextRules = "",
    output: options.Output = "",
    thorough: options.Thorough = False,
    graph_only: Annotated[
        Path | None,
        typer.Option(help="Only write the graph to this file, without weights or vocabulary, to attach to an issue."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a graph that --graph-only wrote.")] = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
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
        raise typer.Exit(options.EXIT_ERROR) from None
    options.answer(
        as_json,
        quiet,
        content=lambda: {"source": source, **verbs.facts(blueprint)},
        line=headline(source, blueprint),
        people=lambda: print_blueprint(source, blueprint),
    )
