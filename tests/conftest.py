"""Reference SavedModels, built by TensorFlow once for all the workers of a run, each in another form."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import pytest
import shared

shared.bound_threads()  # before anything that counts processors is imported
shared.turn()  # before the workers start

from forks import Forks
from references import EMBEDDED, GOLDEN, TF2_VARIANTS, VARIANTS, VOCABULARY, Pair, Reference

import hub2hf
from hub2hf.cli import main


def pytest_report_header() -> str:
    """Say which turn of what is generated this run takes."""
    return f"HUB2HF_TURN={shared.turn()}"


def pytest_collection_finish() -> None:
    """Look for garbage less often, and never among what was imported: with the frameworks, a look takes up to a second."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000)


def pytest_configure(config: pytest.Config) -> None:
    """Give each worker its own place for model classes: transformers copies them there."""
    place = tempfile.TemporaryDirectory(prefix="hub2hf-classes-")
    os.environ["HF_MODULES_CACHE"] = place.name
    config.add_cleanup(place.cleanup)


@pytest.fixture
def run_hub2hf(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Return a function from arguments of the command to its exit code, and what it prints and says."""

    monkeypatch.setattr("hub2hf.commands.bars.EVERY", 3600.0)  # a busy machine says no more than an idle one

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["hub2hf", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        captured = capsys.readouterr()
        request.node.add_report_section("call", "hub2hf", captured.err)  # shown where the test fails
        return int(stopped.value.code or 0), captured.out, captured.err

    return run


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Reference]:
    """Return a function from option values to a reference SavedModel."""
    from builders import lealla as reference

    def make(**changes: Any) -> Reference:
        options = replace(reference.SIZES["mini"], **changes)
        folder = tmp_path_factory.mktemp("reference") / "model"
        reference.build(folder, VOCABULARY, options)
        return Reference(folder, options)

    return make


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Reference]:
    """Return a function from a name of VARIANTS to its reference, built at the first call."""

    @cache
    def built(name: str) -> Reference:
        from builders import lealla as reference

        options = replace(reference.SIZES["mini"], **VARIANTS[name])
        made = shared.made_once(
            tmp_path_factory,
            f"reference-{name}",
            lambda folder: reference.build(folder / "model", VOCABULARY, options),
        )
        return Reference(made / "model", options)

    return built


@pytest.fixture(params=list(VARIANTS))
def variant(request: pytest.FixtureRequest, reference: Callable[[str], Reference]) -> Reference:
    """Each reference in turn."""
    return reference(request.param)


@pytest.fixture
def converted_variant(variant: Reference, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the reference is converted to; not to be changed."""
    name = f"converted-{variant.folder.parent.name}"
    return (
        shared.made_once(tmp_path_factory, name, lambda to: hub2hf.convert(variant.folder, to / "out", onnx=True))
        / "out"
    )


@pytest.fixture(scope="session")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the embedded model, converted; not to be changed."""
    return shared.made_once(
        tmp_path_factory, "converted", lambda folder: hub2hf.convert(EMBEDDED, folder / "lealla-mini")
    ) / ("lealla-mini")


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the embedded model, converted with its ONNX file; not to be changed."""

    def make(folder: Path) -> None:
        hub2hf.convert(EMBEDDED, folder / "lealla-mini", onnx=True)

    return shared.made_once(tmp_path_factory, "exported", make) / "lealla-mini"


@pytest.fixture(scope="session")
def verified(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the embedded model, converted and verified in all languages; not to be changed."""

    def make(folder: Path) -> None:
        out = folder / "lealla-mini"
        hub2hf.convert("lealla-mini", out)
        assert hub2hf.verify(None, out, golden=GOLDEN).note == f"The result was added to {out}."

    return shared.made_once(tmp_path_factory, "verified", make) / "lealla-mini"


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    """Commands in processes of their own, which start with everything imported."""
    made = Forks()
    yield made
    made.close()


def _build_pair(folder: Path, options: Any) -> None:
    from builders import bert_tf2 as tf2

    tf2.build_encoder(folder / "encoder", VOCABULARY, options)
    tf2.build_preprocessor(folder / "preprocessor", VOCABULARY, options)


@pytest.fixture(scope="session")
def build_pair(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Pair]:
    """Return a function from option values to an encoder of ids and its preprocessor."""
    from builders import bert_tf2 as tf2

    def make(**changes: Any) -> Pair:
        options = replace(tf2.SIZES["mini"], **changes)
        folder = tmp_path_factory.mktemp("tf2")
        _build_pair(folder, options)
        return Pair(folder / "encoder", folder / "preprocessor", options)

    return make


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Pair]:
    """Return a function from a name of TF2_VARIANTS to its pair, built at the first call."""

    @cache
    def built(name: str) -> Pair:
        from builders import bert_tf2 as tf2

        options = replace(tf2.SIZES["mini"], **TF2_VARIANTS[name])
        made = shared.made_once(tmp_path_factory, f"pair-{name}", lambda folder: _build_pair(folder, options))
        return Pair(made / "encoder", made / "preprocessor", options)

    return built


@pytest.fixture(params=list(TF2_VARIANTS))
def tf2(request: pytest.FixtureRequest, pair: Callable[[str], Pair]) -> Pair:
    """Each pair in turn."""
    return pair(request.param)


@pytest.fixture
def converted_tf2(tf2: Pair, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pair is converted to; not to be changed."""

    def make(to: Path) -> None:
        hub2hf.convert(tf2.encoder, to / "out", preprocessor=tf2.preprocessor)

    return shared.made_once(tmp_path_factory, f"converted-{tf2.encoder.parent.name}", make) / "out"
