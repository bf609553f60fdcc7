"""Faults planted in what is compiled, and in what is probed: the proof must see each of them.

The first group changes the tokenizer that is compiled of lealla-mini; each conversion must be refused. The second takes a
probe away from the proof; a fault that only this probe shows must then go unseen, or the probe would be for nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from references import EMBEDDED
from tokenizers import Regex, Tokenizer, pre_tokenizers

import hub2hf
from hub2hf.blueprint.blueprint import Blueprint
from hub2hf.blueprint.text import Pack, SplitCharacters, WordPiece
from hub2hf.errors import GraphError
from hub2hf.folder import tokenizer_proof
from hub2hf.folder.tokenizer_proof import prove_tokenizer
from hub2hf.tokenizer import pipeline
from hub2hf.tokenizer.oniguruma import Oniguruma


@pytest.fixture(scope="module")
def blueprint() -> Blueprint:
    return hub2hf.Source.find(EMBEDDED).blueprint


def changed(blueprint: Blueprint, kind: type, **changes: Any) -> Blueprint:
    """Return the blueprint with one operation changed, as if it had been misread."""
    operations = tuple(replace(op, **changes) if isinstance(op, kind) else op for op in blueprint.text.operations)
    return replace(blueprint, text=replace(blueprint.text, operations=operations))


def cuts(blueprint: Blueprint) -> tuple[str, ...]:
    return next(op.patterns for op in blueprint.text.operations if isinstance(op, SplitCharacters))


MISREAD: dict[str, Callable[[Blueprint], Blueprint]] = {
    "a limit of 99 bytes": lambda b: changed(b, WordPiece, max_bytes_per_word=99),
    "a limit of 101 bytes": lambda b: changed(b, WordPiece, max_bytes_per_word=101),
    "127 ids": lambda b: changed(b, Pack, max_length=127),
    "another end": lambda b: changed(b, Pack, end_id=103),
    "no Han": lambda b: changed(b, SplitCharacters, patterns=cuts(b)[1:]),
    "Hiragana too": lambda b: changed(b, SplitCharacters, patterns=(*cuts(b), r"\p{Hiragana}+")),
    "one Han is enough": lambda b: changed(b, SplitCharacters, patterns=(*cuts(b), r".*\p{S}.*")),
    "letters of Han only": lambda b: changed(b, SplitCharacters, patterns=(r"\p{Lo}+", *cuts(b)[1:])),
    "no punctuation": lambda b: changed(b, SplitCharacters, patterns=cuts(b)[:-1]),
}


@pytest.mark.parametrize("name", MISREAD)
def test_what_was_misread_is_seen(name: str, blueprint: Blueprint) -> None:
    prove_tokenizer(blueprint)
    with pytest.raises(GraphError):
        prove_tokenizer(MISREAD[name](blueprint))


def from_the_left(tokenizer: Tokenizer) -> None:
    tokenizer.enable_truncation(128, direction="left")


def not_truncated(tokenizer: Tokenizer) -> None:
    tokenizer.no_truncation()


def joined_at_spaces(tokenizer: Tokenizer) -> None:
    tokenizer.normalizer = tokenizer.normalizer[0]


def cut_everywhere(tokenizer: Tokenizer) -> None:
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")


@pytest.mark.parametrize("fault", [from_the_left, not_truncated, joined_at_spaces, cut_everywhere])
def test_what_was_miscompiled_is_seen(
    fault: Callable[[Tokenizer], None], blueprint: Blueprint, monkeypatch: pytest.MonkeyPatch
) -> None:
    compile_ = tokenizer_proof.probe_tokenizer

    def faulty(*arguments: Any) -> Tokenizer:
        tokenizer = compile_(*arguments)
        fault(tokenizer)
        return tokenizer

    monkeypatch.setattr(tokenizer_proof, "probe_tokenizer", faulty)
    with pytest.raises(GraphError):
        prove_tokenizer(blueprint)


def test_a_step_left_out_is_seen(blueprint: Blueprint, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = len(pipeline.build_pipeline(blueprint.text, "\U0010ffff", Oniguruma()).steps)
    build = pipeline.build_pipeline
    unseen = []
    for i in range(steps):

        def without(text: Any, never: str, engine: Any, i: int = i) -> Any:
            whole = build(text, never, engine)
            return replace(whole, steps=whole.steps[:i] + whole.steps[i + 1 :])

        monkeypatch.setattr("hub2hf.tokenizer.files.build_pipeline", without)
        try:
            prove_tokenizer(blueprint)
            unseen.append(i)
        except GraphError:
            pass
    assert unseen == []


def test_the_texts_of_many_words_are_what_shows_which_end_is_kept(
    blueprint: Blueprint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text of one word again and again, as there once was, is the same from either end."""
    same = tuple(probe for probe in blueprint.probes if len(set(probe.text.split())) < 100)
    compile_ = tokenizer_proof.probe_tokenizer

    def faulty(*arguments: Any) -> Tokenizer:
        tokenizer = compile_(*arguments)
        from_the_left(tokenizer)
        return tokenizer

    monkeypatch.setattr(tokenizer_proof, "probe_tokenizer", faulty)
    prove_tokenizer(replace(blueprint, probes=same))
    with pytest.raises(GraphError):
        prove_tokenizer(blueprint)
