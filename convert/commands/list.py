"""`hub2hf list`: the models known by name."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.markup import escape

from hub2hf.commands import options
from hub2hf.commands.tables import screen, table

if TYPE_CHECKING:
    from hub2hf.known_models import Documented
    from hub2hf.sources.listing import Listed


@options.verb()
@options.option(
    "--all",
    "every",
    is_flag=True,
    help="Instead: every text module that tfhub.dev documents, and what is expected of it.",
)
@options.quiet
@options.as_json
def run(every: bool, quiet: bool, as_json: bool) -> None:
    """List the models known by name, and what of them and of other sources is on this machine."""
    if every:
        _every(quiet, as_json)
        return
    from hub2hf.sources.listing import listed

    found = list(listed())
    options.answer(
        as_json,
        quiet,
        content=lambda: [{**vars(source), "folder": source.folder and str(source.folder)} for source in found],
        line="\n".join(source.name for source in found),
        people=lambda: _print(found),
    )


def _every(quiet: bool, as_json: bool) -> None:
    from hub2hf.known_models import census

    documented = list(census())
    options.answer(
        as_json,
        quiet,
        content=lambda: [{**vars(module), "fate": module.fate} for module in documented],
        line="\n".join(module.handle for module in documented),
        people=lambda: _print_every(documented),
    )


def _print_every(documented: list[Documented]) -> None:
    """Print a line a module, and one for each family, which says what to expect of it."""
    families = Counter((module.family, module.fate) for module in documented)
    modules = table("module of tfhub.dev", "family", "expected to become")
    for module in documented:
        modules.add_row(escape(module.handle), escape(module.family), escape(module.becomes or "refused"))
    screen().print(modules)
    fates = table("family", "modules", "what to expect")
    for (family, fate), count in sorted(families.items(), key=lambda entry: (entry[0][1], -entry[1])):
        fates.add_row(escape(family), str(count), escape(fate))
    screen().print(fates)
    screen().print("Expected by each module's page on tfhub.dev; `hub2hf inspect ADDRESS` reads the module itself.")


def _print(sources: list[Listed]) -> None:
    """Print what a person can name, and where it is on this machine."""
    found = table("name", "on this machine, or where it comes from")
    for source in sources:
        here = f"{source.nbytes / 1e6:,.1f} MB in {source.folder}"
        found.add_row(escape(source.name), escape(here if source.folder else source.address or source.kaggle))
    screen().print(found)
