"""`hub2hf convert`: write the Hugging Face folder of a SavedModel."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import hub2hf as verbs
from hub2hf.bars import progress_bar
from hub2hf.commands import options
from hub2hf.report import print_conversion


def run(
    source: options.Source,
    out: Annotated[Path, typer.Argument(help="The folder to make; it must not exist or be empty.")],
    preprocessor: options.Preprocessor = None,
    vocab: options.Vocab = None,
    output: options.Output = "",
    thorough: options.Thorough = False,
    model: options.Model = None,
    force: Annotated[bool, typer.Option("--force", help="Replace OUT if it is there.")] = False,
    onnx: Annotated[bool, typer.Option("--onnx", help="Write onnx/model.onnx too, as `export OUT onnx` does.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Write the Hugging Face folder of a SavedModel. Needs neither TensorFlow nor PyTorch."""
    found = options.find(source, preprocessor, vocab, output, thorough=thorough, quiet=as_json)
    with progress_bar(enabled=not as_json) as report:
        conversion = verbs.convert(found, out, model=model, force=force, onnx=onnx, progress=report)
    if as_json:
        options.print_json({"out": str(out), **conversion.manifest})
    else:
        print_conversion(found, conversion)
