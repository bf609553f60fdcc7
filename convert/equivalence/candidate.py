"""A Hugging Face folder, or a Hub repository in the local cache, loaded in the ways people load it."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from hub2hf.architectures import MODEL_FILE, ships_own_class
from hub2hf.equivalence.recording import Recording
from hub2hf.errors import SourceError, raised
from hub2hf.folder.files import files_in
from hub2hf.folder.manifest import MANIFEST, Manifest, check_for_python, read_manifest
from hub2hf.names import check_paths
from hub2hf.notices import notice
from hub2hf.proof.limits import Limits
from hub2hf.slimming.scope import SlimScope
from hub2hf.surfaces import CPU, ENCODER, SURFACES, Embedded, Loaded, chosen, title
from hub2hf.surfaces.base import WEIGHT_FILES
from hub2hf.surfaces.onnxruntime import MODEL
from hub2hf.surfaces.transformers import Pooled, is_stock_bert

PROBES = 8  # texts that a way is tried on which cannot be run on many at once
TOKENIZERS = ("tokenizer.json", "vocab.txt", "tokenizer.model", "sentencepiece.bpe.model")


class Candidate:
    """A folder to be verified; nothing is assumed of how it was made.

    Args:
        folder: the folder.
        surfaces: names of `hub2hf.surfaces.SURFACES`; by default all that the folder is made for.
        device: where they compute.

    Attributes:
        surfaces: the names of the ways that it is loaded in.
        held: those that must be exact: the ones that were asked for by name, or on another device; else, of a folder that
            hub2hf made, the ones that it declares exact. Of somebody else's folder nothing is declared.
        versions: surface → name → version of the libraries that load it.

    Raises:
        SourceError: weights, configuration or tokenizer are missing, a surface is unknown, or its libraries are not
            installed.
    """

    def __init__(self, folder: Path, surfaces: Sequence[str] = (), device: str = CPU) -> None:
        self.folder = folder
        self._require(("config.json",), "configuration (config.json)")
        self._require((*WEIGHT_FILES, MODEL), "weights (model.safetensors)")
        self._require(TOKENIZERS, "tokenizer (tokenizer.json or vocab.txt)")
        ways = chosen(surfaces, {*files_in(folder)}, device)
        if not surfaces and not self._is_stock_bert():
            ways = [way for way in ways if not way.stock_head]
        self.surfaces = [way.name for way in ways]
        self.ours = (folder / MANIFEST).is_file()
        self.held = {way.name for way in ways if surfaces or device != CPU or (self.ours and way.exact)}
        self.versions = {way.name: way.versions() for way in ways}
        self._loaded: dict[str, Loaded] = {}

    @classmethod
    def find(cls, name: str | Path, surfaces: Sequence[str] = (), device: str = CPU) -> Candidate:
        """Return the candidate `name`: a folder, or OWNER/NAME of a repository that is already in the Hub cache."""
        check_paths(candidate=name)
        if Path(name).is_dir():
            check_for_python(Path(name))
            return cls(Path(name), surfaces, device)
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

        try:
            return cls(Path(snapshot_download(str(name), local_files_only=True)), surfaces, device)
        except (LocalEntryNotFoundError, HFValidationError, OSError) as error:
            step = "Check the path, or download the repository first: hf download OWNER/NAME"
            raise SourceError(f"{name} is neither a folder nor a repository in the Hub cache.", step) from error

    def _is_stock_bert(self) -> bool:
        """Whether the stock class has all of the folder, as far as the configuration tells."""
        try:
            config = dict(json.loads((self.folder / "config.json").read_bytes()))
        except (OSError, ValueError, TypeError, RecursionError):
            return True  # loading it says what is wrong
        return is_stock_bert(config)

    def _require(self, names: Sequence[str], what: str) -> None:
        if not any((self.folder / name).is_file() for name in names):
            raise SourceError(f"{self.folder} has no {what}.", "Name a Hugging Face model folder.")

    def check_source(self, fingerprint: str, recording: str) -> None:
        """Refuse a recording of another SavedModel than the one that the folder's manifest, if any, says it came from.

        Raises:
            ExportError: the manifest cannot be read.
            SourceError: the fingerprints differ.
        """
        if self.manifest is not None and self.manifest.fingerprint != fingerprint:
            raise SourceError(
                f"{recording} records another model ({fingerprint[:12]}…) than {self.folder} was made from "
                f"({self.manifest.fingerprint[:12]}…).",
                "Record the source of this folder: hub2hf record SOURCE FILE",
            )

    @cached_property
    def manifest(self) -> Manifest | None:
        """What hub2hf wrote of it; None of a folder that it did not make.

        Raises:
            ExportError: it cannot be read.
        """
        return read_manifest(self.folder) if self.ours else None

    @property
    def limits(self) -> Limits | None:
        """What a lossy folder may lose; None of any other.

        Raises:
            ExportError: it cannot be read.
        """
        lossy = self.manifest.lossy if self.manifest is not None else None
        return Limits.from_json(lossy["limits"]) if lossy else None

    @property
    def languages(self) -> Collection[str]:
        """The languages that it was made slim for; none of a whole folder, and of one that was made for a corpus."""
        return self.manifest.slim["languages"] if self.manifest is not None and self.manifest.slim else ()

    @property
    def made_from(self) -> str:
        """The output of the SavedModel that it was made from, as SIGNATURE:NAME; "" where no manifest tells."""
        return self.manifest.made_from if self.manifest is not None else ""

    @property
    def text_rules(self) -> str:
        """The text rules that its manifest says were asked for; "" for none."""
        return self.manifest.text_rules if self.manifest is not None else ""

    @cached_property
    def ships_our_class(self) -> bool:
        """Whether its code is a model class of this package, byte for byte; other code is never run."""
        path = self.folder / MODEL_FILE
        return path.is_file() and ships_own_class(path.read_bytes())

    def load(self, surface: str) -> Loaded:
        """Return the folder loaded as `surface` does.

        Raises:
            SourceError: the libraries cannot load it, or a weight is not a number.
        """
        if surface not in self._loaded:
            notice(f"loading the folder as {title(surface)}")
            try:
                loaded = SURFACES[surface].load(self.folder, self.ships_our_class)
            except Exception as error:  # whatever the libraries raise on a foreign folder
                raise self._failed("loaded", surface, error) from error
            bad = loaded.not_a_number()
            if bad is not None:
                raise SourceError(
                    f"{self.folder}: the weights '{bad}' contain NaN or infinity.", "Make the folder again."
                )
            self._loaded[surface] = loaded
        return self._loaded[surface]

    def embed(self, surface: str, texts: Sequence[str]) -> Embedded:
        """Return what the folder makes of `texts`, loaded as `surface` does, with ids as the SavedModel numbers them.

        Of a text that it cannot be run on, as one of more pieces than embeddings, ids are empty and the embedding is NaN.

        Raises:
            SourceError: as `load`, or it cannot be run on any of them.
        """
        loaded = self.load(surface)
        try:
            found = loaded.embed(texts)
        except Exception as error:  # whatever the libraries raise on a foreign folder
            if len(texts) == 1:
                raise self._failed("run", surface, error) from error
            found = self._singly(surface, texts)
        if self.scope is None:
            return found
        original = self.scope.original_ids
        return replace(found, ids=[[original[number] for number in row] for row in found.ids])

    @cached_property
    def scope(self) -> SlimScope | None:
        """Which texts a slim folder answers for; None of any other.

        Raises:
            ExportError: it cannot be read.
        """
        return SlimScope.of(self.folder, self.manifest) if self.manifest is not None else None

    def answered(self, recording: Recording) -> Recording:
        """Return what of a recording the folder answers for: all, or of a slim one what its promise covers."""
        scope = self.scope
        if scope is None:
            return recording
        pairs = zip(recording.sentences, recording.ids, strict=True)
        return recording.part([at for at, (sentence, ids) in enumerate(pairs) if scope.answers(sentence.text, ids)])

    def own(self, ids: Sequence[int]) -> list[int]:
        """Return ids of the SavedModel as the folder numbers them."""
        own = self.scope.own_ids if self.scope is not None else {}
        return [own.get(number, number) for number in ids]

    def _singly(self, surface: str, texts: Sequence[str]) -> Embedded:
        """Return what it makes of texts on some of which it cannot be run.

        Raises:
            SourceError: it cannot be run on any of a few.
        """
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # often the long ones are those
        size = self._size(surface, [texts[i] for i in order[:: -(-len(order) // PROBES)]])
        ids: list[list[int]] = [[]] * len(texts)
        embeddings = np.full((len(texts), size), np.nan, np.float32)

        def fill(part: list[int]) -> None:
            try:
                found = self._loaded[surface].embed([texts[i] for i in part])
            except Exception:  # as above
                for half in (part[: len(part) // 2], part[len(part) // 2 :]) if len(part) > 1 else ():
                    fill(half)
                return
            embeddings[part] = found.embeddings
            for i, row in zip(part, found.ids, strict=True):
                ids[i] = row

        fill(order)
        return Embedded(ids, embeddings)

    def _size(self, surface: str, texts: Sequence[str]) -> int:
        """Return how many numbers an embedding has, by the first of `texts` that it can be run on."""
        error: SourceError | None = None
        for text in texts:
            try:
                return int(self.embed(surface, [text]).embeddings.shape[-1])
            except SourceError as found:
                error = error or found
        assert error is not None
        raise error

    def _failed(self, done: str, surface: str, error: Exception) -> SourceError:
        return SourceError(
            f"{self.folder.name} cannot be {done} as {title(surface)}: {raised(error)}.",
            f"Check the folder, or leave {title(surface)} out.",
        )

    @cached_property
    def bert(self) -> Pooled:
        """The folder as a plain encoder, for comparing stages."""
        loaded = self.load(ENCODER)
        assert isinstance(loaded, Pooled)
        return loaded
