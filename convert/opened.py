"""The sources of a verb, opened: the SavedModel, and what stands beside one that takes ids."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hub2hf.blueprint import gives
from hub2hf.errors import Hub2HFError, SourceError
from hub2hf.extras import install
from hub2hf.savedmodel import SavedModel
from hub2hf.sources import model_of, resolve

if TYPE_CHECKING:
    from hub2hf.blueprint.diagnosis import Diagnosis
    from hub2hf.equivalence.tensorflow_side import ReferenceGraph


@dataclass(frozen=True)
class Opened:
    """A SavedModel and its text side where that stands apart; None for what is not given."""

    model: SavedModel
    preprocessor: SavedModel | None
    vocabulary: Path | None

    @property
    def sources(self) -> tuple[SavedModel, SavedModel | None, Path | None]:
        """All three, in the order in which the readers take them."""
        return self.model, self.preprocessor, self.vocabulary

    @property
    def absent(self) -> tuple[str, ...]:
        """What graph-only files among them lack, a line each."""
        models = (("", self.model), ("preprocessor, ", self.preprocessor))
        given = [(place, model.graph_only) for place, model in models if model is not None]
        return tuple(f"{place}{line}" for place, only in given if only is not None for line in only.absent())


def opened(
    source: str | Path, preprocessor: str | Path | None, vocab: str | Path | None, *, whole: bool = True
) -> Opened:
    """Return the sources opened.

    A known model has a preprocessor of its own, and a graph-only file brings what stood beside the model.

    Args:
        source, preprocessor, vocab: as for `hub2hf.inspect`.
        whole: whether the weights are needed.

    Raises:
        GraphError: a graph is inconsistent.
        SourceError: something is not there or damaged, or is a graph-only file where the weights are needed.
    """
    model = SavedModel.open(resolve(source))
    if whole and model.graph_only is not None:
        raise SourceError(
            f"{source} is a graph-only file: it has no weights and no vocabulary, so it can only be inspected.",
            "Give the SavedModel that it was made from.",
        )
    vocabulary = Path(vocab) if vocab is not None else None
    if preprocessor is not None:
        return Opened(model, SavedModel.open(resolve(preprocessor)), vocabulary)
    if vocabulary is None and model.graph_only is not None:
        return _beside_graph_only(model)
    known = model_of(source) if vocabulary is None else None
    named = known.preprocessor if known is not None else ""
    return Opened(model, SavedModel.open(resolve(named)) if named else None, vocabulary)


def _beside_graph_only(model: SavedModel) -> Opened:
    """Return the model of a graph-only file with what came into the file beside it."""
    inside = model.folder / "preprocessor"
    if inside.is_dir():
        return Opened(model, SavedModel.open(inside), None)
    files = sorted((model.folder / "vocabulary").glob("*"))
    if len(files) > 1:
        raise SourceError(f"{files[0].parent} has {len(files)} vocabularies.", "Make the graph-only file again.")
    return Opened(model, None, files[0] if files else None)


def diagnose(
    error: Hub2HFError,
    source: str | Path,
    *,
    preprocessor: str | Path | None = None,
    vocab: str | Path | None = None,
    output: str = "",
) -> Diagnosis:
    """Return all that can be read of a source that is refused, and everything of it that is not understood.

    Args:
        error: with which `hub2hf.inspect` refused it.
        source, preprocessor, vocab, output: as for `hub2hf.inspect`.
    """
    from hub2hf.blueprint.diagnosis import Diagnosis, diagnose  # only now: what converts need not wait for it

    try:
        sources = opened(source, preprocessor, vocab, whole=False).sources
    except Hub2HFError as closed:
        found = Diagnosis()
        found.add("opening", closed)
        return found
    return diagnose(error, *sources, output)


def reference(
    source: str | Path, preprocessor: str | Path | None, vocab: str | Path | None, output: str, made_from: str = ""
) -> ReferenceGraph:
    """Return TensorFlow about to run `source`, with what stands beside it.

    Where no `output` is named, it is the one that a candidate was `made_from`, if `source` has it.
    """
    sources = opened(source, preprocessor, vocab).sources
    try:
        from hub2hf.equivalence.tensorflow_side import ReferenceGraph
    except ImportError as error:
        raise missing(error, "tensorflow") from error
    if not output and made_from and gives(sources[0], made_from):
        output = made_from
    return ReferenceGraph(*sources, output)


def missing(error: ImportError, extra: str) -> SourceError:
    """Return the error of a library that is not installed, and of the extra that brings it."""
    return SourceError(f"{error.name} is not installed.", f"Install it: {install(extra)}.")
