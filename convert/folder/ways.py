"""The part of the card on ways of loading: what was measured, what was not, and what the source of servers says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

from hub2hf.architectures import MODEL_FILE
from hub2hf.architectures.words import head_of_facts, words_of_facts
from hub2hf.folder.manifest import ABOUT, Manifest
from hub2hf.proof import PARTLY, TRAPS, Proof, Way
from hub2hf.proof.summary import called, differing, felt, grid
from hub2hf.proof.text import NAMED, OTHERS, count, join, number
from hub2hf.surfaces import CPU, SURFACES, Surface, reads, title
from hub2hf.surfaces.onnxruntime import MODEL
from hub2hf.surfaces.servers import SERVERS, Facts

TEMPLATE = "ways.md.jinja"


def template(name: str) -> Any:
    """Return a template of this package."""
    import jinja2

    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)
    environment.filters["number"] = number
    return environment.from_string(resources.files("hub2hf.folder").joinpath(name).read_text("utf-8"))


def ways_table(manifest: Manifest, proof: Proof | None) -> str:
    """Return the table of all ways of loading, and what is known of those that are not in it, Markdown."""
    ways = proof.worth.ways if proof else ()
    encoder = manifest.blueprint["encoder"]
    pooling, activations = head_of_facts(encoder)
    facts = Facts(manifest.files, pooling, encoder["hidden_activation"]["value"], activations)
    text: str = template(TEMPLATE).render(
        ways=[described(way, manifest, proof) for way in ways],
        places=places(proof) if proof else "",
        unmeasured=list(_unmeasured({way.surface for way in ways}, manifest)),
        servers=[]
        if manifest.lossy  # what is said of them is that they are exact
        else [f"{server.name} {server.version}: {server.tells(facts)}." for server in SERVERS],
    )
    return text


def _unmeasured(measured: set[str], manifest: Manifest) -> Iterator[tuple[str, str, str]]:
    """Yield the title, the code and what is known of each way that was not measured for this folder, Markdown."""
    rest = [surface for surface in SURFACES.values() if surface.name not in measured and surface.device == CPU]
    files = {*manifest.files, *([] if manifest.lossy else [MODEL])}  # as it may be yet
    for surface in rest:
        if surface.applies(files) and (surface.exact or not manifest.lossy):
            yield surface.title, code(surface.name, manifest), "" if manifest.lossy else _elsewhere(surface, manifest)


def _elsewhere(surface: Surface, manifest: Manifest) -> str:
    """Return what a way was for other folders, Markdown."""
    if not surface.exact:
        return f"**not the same**: {plain(surface.differs)}"
    but = f", except in {surface.except_in}" if surface.except_in else ""
    return f"exact{but}" + ("" if surface.applies(manifest.files) else "; first run `hub2hf export FOLDER onnx`")


def described(way: Way, manifest: Manifest, proof: Proof | None) -> dict[str, Any]:
    """Return what the templates show of a way of loading."""
    conditions = proof.conditions.get(way.surface) if proof else None
    return {
        "title": plain(title(way.surface)),
        "code": code(way.surface, manifest),
        "exact": way.exact,
        "same": way.same,
        "lossy": way.lossy,
        "difference": way.difference,
        "versions": _versions(conditions.versions) if conditions else "",
        "told": plain(_told(way)),
    }


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{plain(name)} {plain(version)}" for name, version in versions.items())


def _told(way: Way) -> str:
    """Return what a reader can feel of a way that is not the same everywhere or may not be, and why; "" of others."""
    if way.same and way.allowed:
        return f"{differing(way)}."
    if way.same:
        known = SURFACES.get(way.surface)
        return f"{called(way)} was exact where it was measured, but {known.differs}." if known and known.differs else ""
    return ". ".join(filter(None, [f"{called(way)}: {felt(way)}", way.reason[:1].upper() + way.reason[1:]])) + "."


def code(surface: str, manifest: Manifest) -> str:
    """Return the line of Python that loads the folder so, Markdown; "" for a way that is not known here."""
    known = SURFACES.get(surface)
    trust = ", trust_remote_code=True" if MODEL_FILE in manifest.files else ""
    if known is None:
        return ""
    dim = words_of_facts(manifest.blueprint["encoder"]).embedding_size
    return f"`{known.code.format(id=manifest.repository or '.', trust=trust, dim=dim, length=longest(manifest))}`"


def longest(manifest: Manifest) -> int:
    """Return how many ids a text has at most."""
    return int(next(step["max_length"] for step in manifest.blueprint["text"] if step["operation"] == "Pack"))


def plain(text: str) -> str:
    """Return `text` without what Markdown would read as markup."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#$" else c for c in text)


def places(proof: Proof) -> str:
    """Return in words on what was measured."""
    traps = ", and texts that ports often get wrong" if TRAPS in proof.languages else ""
    sentences, names = count(grid(proof).sentences(), "sentence"), sorted(proof.languages - OTHERS.keys())
    languages = join([plain(name) for name in names]) if 0 < len(names) <= NAMED else count(len(names), "language")
    partly = f", {OTHERS[PARTLY]}" if PARTLY in proof.languages else ""
    return f"{sentences} in all: {languages}{partly}{traps}"


def files_read(manifest: Manifest, surface: str) -> dict[str, str]:
    """Return name → SHA-256 of the files that a way of loading reads, without what is said about the model."""
    return {
        name: entry["sha256"] for name, entry in manifest.files.items() if name not in ABOUT and reads(surface, name)
    }
