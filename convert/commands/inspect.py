"""`hub2hf inspect`: tell what a SavedModel is."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

import hub2hf as verbs
from hub2hf.bars import notices
from hub2hf.commands import options
from hub2hf.errors import Hub2HFError
from hub2hf.report import print_blueprint, print_diagnosis, print_graph_only


def run(
    source: options.Source,
    preprocessor: options.Preprocessor = None,
    vocab: options.Vocab = None,
    output: options.Output = "",
    thorough: options.Thorough = False,
    graph_only: Annotated[
        Path | None,
        typer.Option(
            help="Only write the graph into this file, without weights and vocabulary, to attach to an issue."
        ),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Tell what a SavedModel is, what it will become and what of it is unused, with the evidence for each."""
    found = options.find(source, preprocessor, vocab, output, thorough=thorough, quiet=as_json)
    if graph_only is not None:
        written = verbs.graph_only(found, graph_only)
        if as_json:
            options.print_json(written)
        else:
            print_graph_only(source, written)
        return
    try:
        with notices(enabled=not as_json):
            blueprint = verbs.inspect(found)
    except Hub2HFError as error:
        diagnosis = verbs.diagnose(error, found)
        if as_json:
            options.print_json({"source": source, **diagnosis.as_json(), "error": str(error)})
        else:
            print_diagnosis(source, diagnosis)
        sys.stdout.flush()
        print(f"hub2hf: {error}", file=sys.stderr)
        raise typer.Exit(options.EXIT_ERROR) from None
    if as_json:
        options.print_json({"source": source, **verbs.facts(blueprint)})
    else:
        print_blueprint(source, blueprint)
