"""`hub2hf evaluate`: are translations found?"""

from __future__ import annotations

from pathlib import Path

import click

import hub2hf as verbs
from hub2hf.commands import options
from hub2hf.commands.bars import progress_bar
from hub2hf.errors import SourceError


@options.verb()
@click.argument(
    "model",
    metavar="MODEL",
    help="A Hugging Face folder, or a SavedModel, which TensorFlow runs, and that is no sandbox.",
)
@options.option(
    "--pairs",
    required=True,
    multiple=True,
    type=options.PATH,
    help="A folder of files such as tatoeba.deu-eng.deu and tatoeba.deu-eng.eng; or a TSV file with the columns "
    "text, translation, or language, text, translation, without a header; or two files that match line by "
    "line: --pairs A --pairs B.",
)
@options.option("--against", help="Another folder or SavedModel, to measure beside it.")
@options.option("--languages", default="", help="Only these languages, as the pairs name them: deu,jpn.")
@options.option("--sample", type=int, help="Only the first pairs of each language, this many; not drawn.")
@options.runtime
@options.device
@options.precision
@options.option("--report", type=options.PATH, help="Write the table to this Markdown file.")
@options.option("--plot", type=options.PATH, help="Draw accuracies and intervals to this SVG file.")
@options.option("--force", is_flag=True, help="Replace a table or plot that evaluate wrote.")
@options.option("--add", is_flag=True, help="Write the result into the folder's manifest and card.")
@options.quiet
@options.as_json
def run(
    model: str,
    pairs: tuple[Path, ...],
    against: str | None,
    languages: str,
    sample: int | None,
    runtime: str | None,
    device: str,
    precision: str,
    report: Path | None,
    plot: Path | None,
    force: bool,
    add: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Measure how often the nearest neighbour of a text is its translation, both ways, and F1 of mining, by language."""
    if add and precision != "float32":
        raise SourceError("--add writes down what the folder itself gives.", f"Leave out --precision {precision}.")
    from hub2hf.folder.files import check_own, write_whole
    from hub2hf.retrieval.adding import add_evaluation, addable
    from hub2hf.retrieval.evaluate import is_table
    from hub2hf.retrieval.plot import is_plot

    if report is not None and report == plot:
        raise SourceError(f"{report} cannot be both the table and the plot.", "Name two files.")
    if plot is not None and plot.suffix.casefold() != ".svg":
        raise SourceError(f"The plot is an SVG file, and {plot} is not named as one.", f"Name {plot.stem}.svg.")
    for file, is_ours in ((report, is_table), (plot, is_plot)):
        if file is not None:
            check_own(file, is_ours, force=force)
    if add:
        addable(Path(model))
    with progress_bar("embedded", "sentences", quiet=quiet) as progress:
        found = verbs.evaluate(
            model,
            pairs,
            against=against,
            languages=languages,
            sample=sample,
            runtime=runtime,
            device=device,
            precision=precision,
            progress=progress,
        )
    from hub2hf.retrieval.plot import plot as draw

    if report is not None:
        write_whole(report, found.to_markdown().encode(), "Name another file.")
    if plot is not None:
        write_whole(plot, draw(found).encode(), "Name another file.")
    if add:
        add_evaluation(Path(model), found, runtime or ("torch" if device != "cpu" else None))
    options.answer(
        as_json, quiet, content=found.to_json, line=found.line(), people=lambda: print(found.to_markdown(), end="")
    )
