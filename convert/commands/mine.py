"""`hub2hf mine`: translations among the texts of two corpora."""

from __future__ import annotations

from dataclasses import asdict

import click

import hub2hf as verbs
from hub2hf.commands import options
from hub2hf.commands.bars import progress_bar
from hub2hf.proof.text import count


@options.verb()
@click.argument("one", metavar="A", help="Texts with their vectors, as hub2hf embed writes them: Parquet, JSON lines.")
@click.argument(
    "other", metavar="B", help="Texts in another language, likewise; or A again, to find texts alike in it."
)
@click.argument("out", metavar="OUT", help="The file of pairs to write: pairs.parquet or pairs.jsonl, or a URL.")
@options.text
@options.option("--embedding", default="embedding", help="The column of vectors.")
@options.option("--by", default="margin", help="How pairs are scored: margin, or cosine, as for duplicates.")
@options.option("--threshold", type=float, help="The least score of a pair; by default 1 by margin, and 0 by cosine.")
@options.option("--neighbours", default=4, help="How many of the nearest texts are looked at.")
@options.quiet
@options.as_json
def run(
    one: str,
    other: str,
    out: str,
    text: str,
    embedding: str,
    by: str,
    threshold: float | None,
    neighbours: int,
    quiet: bool,
    as_json: bool,
) -> None:
    """Find translations among the texts of two corpora, by the vectors that embed gave them."""
    with progress_bar("read and looked up", "rows", quiet=quiet) as progress:
        found = verbs.mine(
            one,
            other,
            out,
            text=text,
            embedding=embedding,
            by=by,
            threshold=threshold,
            neighbours=neighbours,
            progress=progress,
        )
    left = "".join(f"; {number:,} left out: {why}" for why, number in found.left_out.items())
    said = f"{found.out}: {count(found.pairs, 'pair')} of {found.rows[0]:,} and {found.rows[1]:,} rows{left}"
    options.answer(as_json, quiet, content=lambda: asdict(found), line=str(found.pairs), people=lambda: print(said))
    options.name_unreadable(found.unreadable, "The rest is done", "another OUT")
