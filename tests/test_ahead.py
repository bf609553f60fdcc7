"""The weights, written beside the proof: once where names tell the truth, again where they do not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from references import EMBEDDED
from test_folder import contents

import hub2hf
from hub2hf.architectures import ARCHITECTURES, Architecture
from hub2hf.blueprint.encoder.side import EncoderSide
from hub2hf.errors import GraphError, MappingError
from hub2hf.folder import ahead, write
from hub2hf.state_dict import Mapped, pair


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is done, in order."""
    done: list[str] = []

    def noted(module: Any, name: str) -> None:
        function = getattr(module, name)

        def wrapper(*arguments: Any) -> Any:
            done.append(name)
            return function(*arguments)

        monkeypatch.setattr(module, name, wrapper)

    noted(ahead, "write_safetensors")
    noted(write, "prove_tokenizer")
    return done


def test_they_are_begun_before_the_proof_and_written_once(said: list[str], converted: Path, tmp_path: Path) -> None:
    assert contents(hub2hf.convert(EMBEDDED, tmp_path / "out").out) == contents(converted)
    assert said == ["write_safetensors", "prove_tokenizer"]


def exchanged(mapped: tuple[Mapped, ...]) -> tuple[Mapped, ...]:
    """Keys for queries, and queries for keys."""
    swapped = {"query": "key", "key": "query"}
    keys = [item.key.split(".") for item in mapped]
    return tuple(
        replace(item, key=".".join(swapped.get(p, p) for p in key)) for item, key in zip(mapped, keys, strict=True)
    )


@pytest.mark.parametrize("lie", [exchanged, lambda mapped: mapped[::-1], lambda mapped: ()])
def test_where_the_names_lie_the_blueprint_is_right(
    lie: Any, said: list[str], converted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    likely = EncoderSide.likely
    monkeypatch.setattr(EncoderSide, "likely", lambda side: lie(likely(side)))
    assert contents(hub2hf.convert(EMBEDDED, tmp_path / "out").out) == contents(converted)
    assert said[-1] == "write_safetensors"


def test_a_refusal_stops_them_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(blueprint: object) -> None:
        raise GraphError("Other ids.", "Report it.")

    monkeypatch.setattr(write, "prove_tokenizer", refuse)
    with pytest.raises(GraphError, match="Other ids"):
        hub2hf.convert(EMBEDDED, tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=lambda known: known.name)
def test_names_are_paired_or_refused_and_never_stop_a_conversion(architecture: Architecture) -> None:
    for rules in architecture.families.values():
        for left_out in range(len(rules) + 1):
            some = [rule for number, rule in enumerate(rules) if number != left_out]
            shapes = {rule.variable.replace("{i}", "0"): (2,) * len(rule.shape) for rule in some}
            try:
                assert pair(shapes, architecture.families).mapped
            except MappingError:
                continue
