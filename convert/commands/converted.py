"""What `convert` prints for people: lines alone, which need nothing that draws."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import click

import hub2hf as verbs
from hub2hf.architectures import architecture_of
from hub2hf.architectures.words import OUTPUT, words_of
from hub2hf.errors import pasted
from hub2hf.extras import command, install


def print_conversion(source: verbs.Source, conversion: verbs.Conversion) -> None:
    """Print what was written and how to load it."""
    manifest, encoder = conversion.manifest, conversion.blueprint.encoder
    size = sum(entry["bytes"] for entry in manifest["files"].values())
    names = [click.style(name, bold=True) for name in (source.name, str(conversion.out))]
    click.echo(f"{' → '.join(names)}: {len(manifest['files']) + 1} files, {size:,} bytes")
    click.echo(
        f"{len(encoder.mapped)} tensors mapped; unused (reaches no output): {', '.join(encoder.unused) or 'none'}; "
        f"embedding: {words_of(encoder).head}; {encoder.layers.value} layers, {encoder.heads.value} heads"
    )
    trust = ", trust_remote_code=True" if architecture_of(encoder).needs_model_class(encoder) else ""
    folder = repr(str(conversion.out))
    click.echo(f"load it: SentenceTransformer({folder})")
    click.echo(
        f"     or: AutoTokenizer.from_pretrained({folder}), "
        f"AutoModel.from_pretrained({folder}{trust})(**inputs).{OUTPUT}"
    )


def print_next(source: str, out: Path, given: Sequence[str]) -> None:
    """Print how the folder is proved, as a line to paste.

    Args:
        source: as the person named it.
        out: the folder.
        given: the options that a proof must repeat.
    """
    missing = [name for name in ("tensorflow", "torch") if find_spec(name) is None]
    need = f"   (first: {install(','.join(missing))})" if missing else ""
    click.echo(f"prove it: {pasted(command(), 'verify', source, out, *given)}{need}")
