"""A source: what a person named, brought to this machine; what is read of it is read once, and handed on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hub2hf.errors import SourceError
from hub2hf.known_models import KnownModel
from hub2hf.names import check_paths
from hub2hf.notices import Progress
from hub2hf.savedmodel.original import Original
from hub2hf.sources import address_of, model_of, resolve

if TYPE_CHECKING:
    from hub2hf.blueprint.blueprint import Blueprint
    from hub2hf.blueprint.encoder.side import EncoderSide
    from hub2hf.savedmodel.model import SavedModel


@dataclass(frozen=True, eq=False)
class Source:
    """A text encoder that a person named; use `Source.find`.

    Attributes:
        name: as the person gave it.
        original: its SavedModel, and what stands beside it.
        known: the known model that the name stands for; None when it stands for none.
        address: where it is fetched from; "" for what was on this machine.
        output: the output that is the embedding; "" for that of the conventions of TensorFlow Hub.
        thorough: whether the text side is held against a hundred times as many generated words and texts.
        blueprints: output → blueprint of those read so far, each also under the whole name SIGNATURE:NAME of its output.
    """

    name: str
    original: Original
    known: KnownModel | None = None
    address: str = ""
    output: str = ""
    thorough: bool = False
    blueprints: dict[str, Blueprint] = field(default_factory=dict, repr=False)

    @classmethod
    def find(
        cls,
        name: str | Path,
        *,
        preprocessor: str | Path | None = None,
        vocab: str | Path | None = None,
        text_rules: str = "",
        output: str = "",
        thorough: bool = False,
        progress: Progress | None = None,
    ) -> Source:
        """Bring a source to this machine; it is opened and read when something is first asked of it.

        Args:
            name, preprocessor, vocab, text_rules, output, thorough: as `source` and the rest for `hub2hf.inspect`.
            progress: called with (bytes here so far, bytes in all or None) while fetching.

        Raises:
            SourceError: there is no such source, or it cannot be fetched.

        Example:
            >>> source = Source.find("lealla-mini")
            >>> hub2hf.convert(source, "out").blueprint is source.blueprint
            True
        """
        check_paths(source=name)
        folder, known = resolve(name, progress=progress), model_of(name)
        if preprocessor is None and vocab is None and not text_rules and known is not None:
            preprocessor = known.preprocessor or None
        beside = resolve(preprocessor, progress=progress) if preprocessor is not None else None
        original = Original(folder, beside, Path(vocab) if vocab is not None else None, text_rules, str(name))
        return cls(str(name), original, known, address_of(name), output, thorough)

    @classmethod
    def of(cls, source: str | Path | Source, **options: Any) -> Source:
        """Return `source` itself where it was found already, and otherwise what `find` does.

        Raises:
            SourceError: as `find`; or it was found already, and one of `options` says otherwise now.
        """
        if not isinstance(source, Source):
            return cls.find(source, **options)
        given = ", ".join(name for name, value in options.items() if value)
        if given:
            raise SourceError(f"{source.name} was found already, without {given}.", "Say it to Source.find.")
        return source

    @property
    def model(self) -> SavedModel:
        """Its SavedModel (SourceError, GraphError: see `SavedModel.open`)."""
        return self.original.model

    @property
    def blueprint(self) -> Blueprint:
        """What it is, each value with its evidence (Hub2HFError: it is not understood, or damaged)."""
        return self.read()

    def read(self, recognised: Callable[[EncoderSide], object] = lambda side: None) -> Blueprint:
        """Return `blueprint`; where it is read only now, `recognised` is called as `read_blueprint` says."""
        if self.output not in self.blueprints:
            # Only now: its files are hashed while this is imported.
            from hub2hf.blueprint.refused.refusal import read_blueprint

            found = read_blueprint(self.original, self.output, thorough=self.thorough, recognised=recognised)
            self.blueprints.update({self.output: found, f"{found.signature}:{found.output_name}": found})
        return self.blueprints[self.output]

    @property
    def fingerprint(self) -> Mapping[str, Any]:
        """The SHA-256 of its files; see `Original.fingerprint`."""
        return self.original.fingerprint

    def whole(self) -> Source:
        """Return it, opened.

        Raises:
            GraphError, SourceError: a SavedModel is missing or damaged, or this is a graph-only file.
        """
        for place, model in self.original.models.items():
            if model.graph_only is not None:
                raise SourceError(
                    f"{self.name if not place else model.folder} is a graph-only file: it has no weights and no vocabulary, "
                    "so it can only be inspected.",
                    "Give the SavedModel that it was made from.",
                )
        return self

    def read_for(self, output: str, text_rules: str = "") -> Source:
        """Return it, read for `output` (SIGNATURE:NAME, "" for any) and by `text_rules` where the person named none.

        An output that it has not, and rules of what brings its own, are left out.
        """
        from hub2hf.blueprint.entry import gives

        other = replace(self, output=output) if not self.output and output and gives(self.model, output) else self
        if not text_rules or self.original.text_rules or self.original.preprocessor is not None:
            return other
        return replace(other, original=self.original.by_rules(text_rules), blueprints={})
