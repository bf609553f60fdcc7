"""What the command answers and says, with verbs that answer at once: exit codes, arguments handed on, words."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from report_cases import report, row

import hub2hf
from hub2hf.blueprint.text import Pack, ReplacePattern, SplitCharacters, SplitDelimiters, WordPiece
from hub2hf.commands.printed import describe
from hub2hf.errors import SourceError
from hub2hf.hub.result import FileChange, Publication
from hub2hf.proof import Conditions

Run = Callable[..., tuple[int, str, str]]


class Verb:
    """Stands in for a verb, and keeps what it was given."""

    def __init__(self, result: Any) -> None:
        self.result = result
        self.given: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        self.given = (arguments, options)
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Any], Verb]:
    def put(name: str, result: Any) -> Verb:
        found = Verb(result)
        monkeypatch.setattr(hub2hf, name, found)
        return found

    return put


@pytest.mark.parametrize(("difference", "code"), [(1e-7, 0), (0.5, 1), (float("nan"), 1)])
@pytest.mark.parametrize("option", [[], ["--json"]])
def test_verify_answers_with_its_exit_code(
    run_hub2hf: Run, verb: Callable[[str, Any], Verb], difference: float, code: int, option: list[str]
) -> None:
    verb("verify", report([row(difference=difference)]))
    answered, out, _ = run_hub2hf("verify", "--golden", "recording", "folder", *option)
    assert answered == code
    if option:
        assert json.loads(out)["equivalent"] is (code == 0)


def test_a_way_that_must_be_exact_and_cannot_be_loaded_is_an_open_question(
    run_hub2hf: Run, verb: Callable[[str, Any], Verb]
) -> None:
    found = report([row(), row("bertmodel", difference=0.5)], held=["automodel"])
    broken = {"onnx-runtime": Conditions("2.19.0", held=True, refused="No graph was found.")}
    verb("verify", replace(found, conditions={**found.conditions, **broken}))
    code, out, _ = run_hub2hf("verify", "--golden", "recording", "folder", "--quiet")
    assert (code, out[:50]) == (2, "NOT MEASURED: ONNX Runtime (No graph was found). E")
    differs = {"bertmodel": Conditions("2.19.0", held=True)}
    verb("verify", replace(found, conditions={**found.conditions, **broken, **differs}))
    assert run_hub2hf("verify", "--golden", "recording", "folder")[0] == 1


def test_verify_takes_a_recording_in_place_of_the_source(
    run_hub2hf: Run, verb: Callable[[str, Any], Verb], monkeypatch: pytest.MonkeyPatch
) -> None:
    verify, find = verb("verify", report([row()])), Verb("found")
    monkeypatch.setattr(hub2hf.Source, "find", find)
    assert run_hub2hf("verify", "--golden", "recording", "folder", "--languages", "de, ja,")[0] == 0
    arguments, options = verify.given
    assert arguments == (None, "folder")
    assert (options["golden"], options["languages"], options["surfaces"]) == ("recording", ["de", "ja"], [])
    assert find.given == ((), {})
    assert run_hub2hf("verify", "source", "folder")[0] == 0
    assert verify.given[0] == ("found", "folder")
    assert find.given[0] == ("source",)
    for wrong in (("verify", "folder"), ("verify", "--golden", "recording", "source", "folder")):
        assert run_hub2hf(*wrong)[0] == 2


@pytest.mark.parametrize("option", [[], ["--json"]])
def test_integrity_answers_with_its_exit_code(
    run_hub2hf: Run, verb: Callable[[str, Any], Verb], option: list[str]
) -> None:
    verb("integrity", {})
    assert run_hub2hf("verify", "--integrity", "folder", *option)[0] == 0
    verb("integrity", {"vocab.txt": "is missing"})
    code, out, _ = run_hub2hf("verify", "--integrity", "folder", *option)
    assert (code, "vocab.txt" in out) == (1, True)
    assert ("or make the folder again: hub2hf convert SOURCE OUT" in out) == (not option)


def test_an_error_is_one_line_whatever_it_quotes(run_hub2hf: Run, verb: Callable[[str, Any], Verb]) -> None:
    verb("card", SourceError("Node 'a\x1b[31m\nb\u202e' is odd.", "Report it."))
    code, out, error = run_hub2hf("card", "folder")
    assert (code, out) == (2, "")
    assert error == "hub2hf: Node 'a\\x1b[31m\\nb\\u202e' is odd. Report it.\n"


def test_an_error_is_json_where_the_option_asks_for_it_and_not_a_name(
    run_hub2hf: Run, verb: Callable[[str, Any], Verb]
) -> None:
    verb("integrity", SourceError("It is odd.", "Report it."))
    code, out, _ = run_hub2hf("verify", "--integrity", "folder", "--json")
    assert (code, json.loads(out)) == (2, {"error": "It is odd. Report it."})
    code, out, _ = run_hub2hf("inspect", "--odd", "--json")  # what stands before the option may be wrong as well
    assert (code, "--odd" in json.loads(out)["error"]) == (2, True)
    verb("fetch", SourceError("It is odd.", "Report it."))
    assert run_hub2hf("fetch", "--", "--json") == (2, "", "hub2hf: It is odd. Report it.\n")


def publication(**changes: Any) -> Publication:
    facts: dict[str, Any] = {
        "state": "planned",
        "repository": "me/model",
        "url": "https://hub/me/model",
        "revision": "main",
        "commit": "",
        "verified": True,
        "created": ["private repository me/model"],
        "files": [FileChange("model.safetensors", 1234, "new"), FileChange("old.txt", 5, "deleted")],
        "foreign": ["notes.txt"],
        "card_diff": "-old\n+new",
    }
    return Publication(**{**facts, **changes})


def test_a_plan_is_told_as_one(run_hub2hf: Run, verb: Callable[[str, Any], Verb]) -> None:
    push = verb("push", publication())
    code, out, _ = run_hub2hf("push", "folder", "me/model", "--dry-run", "--private")
    assert code == 0
    assert (push.given[0], push.given[1]["dry_run"], push.given[1]["private"]) == (
        (Path("folder"), "me/model"),
        True,
        True,
    )
    for said in (
        "dry run: nothing was published or changed",
        "would be published at https://hub/me/model",
        "to be created: private repository",
        "1,234",
        "deleted",
        "+new",
        "notes.txt",
    ):
        assert said in out
    verb("push", publication(state="published", verified=False))
    out = run_hub2hf("push", "folder", "me/model")[1]
    assert "not verified" in out
    assert "to be created" not in out
    assert "dry run" not in out
    assert "would be" not in out


def test_text_operations_are_told_in_words() -> None:
    told = [
        describe(operation)
        for operation in (
            ReplacePattern(r"\p{Cc}", "", "n"),
            ReplacePattern("a", "b", "n"),
            SplitDelimiters(r"\s+", "", "n"),
            SplitCharacters(("a", "b", "c", "d"), "n"),
            SplitCharacters(("a",), "n"),
            WordPiece("##", "[UNK]", 100, "n"),
            Pack(101, 102, 0, 128, "n"),
        )
    ]
    assert told == [
        r"delete \p{Cc}",
        "replace a by 'b'",
        r"split at \s+; keep no delimiter",
        "cut into characters the words that match a or b or c (and 1 more pattern)",
        "cut into characters the words that match a",
        "WordPiece, suffixes ##, unknown [UNK], words of at most 100 UTF-8 bytes",
        "[101] + at most 126 pieces + [102], padded with 0 to 128",
    ]
