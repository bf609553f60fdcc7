"""Reports say what was found, worst first, and nothing in a sentence can become markup or a control: text and data."""

from __future__ import annotations

import io
import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import ModelCard
from report_cases import LANGUAGES, NASTY, failing, no_controls, passing, report, row, terminal
from rich.console import Console

from hub2hf.equivalence.reports import print_report, report_html, report_json, report_markdown, summary
from hub2hf.equivalence.reports.scale import NO_NUMBER, STEPS, step
from hub2hf.equivalence.sentences import TRAPS, UNKNOWN
from hub2hf.folder.about import read_proof
from hub2hf.folder.card import render_card
from hub2hf.folder.manifest import read_manifest
from hub2hf.proof import Cause, Conditions, Report
from hub2hf.proof.summary import grid, worst_first
from hub2hf.proof.text import cosine, join, language_tag, number, printable, tolerance


def test_a_list_ends_with_and() -> None:
    assert [join(list(names)) for names in ("", "a", "ab", "abc")] == ["", "a", "a and b", "a, b and c"]


def test_a_difference_is_rounded_alike_wherever_it_stands(verified: Path) -> None:
    """Upwards, to two digits: 5.01e-07 is 5.1e-07, 0.4901 is 0.50. What programs read is not rounded."""
    manifest = read_manifest(verified)
    proof = read_proof(verified, manifest)
    assert proof is not None
    worst = {"automodel": 5.01e-7, "sentence-transformers": 3.01e-7, "bertmodel": 0.4901, "berttokenizerfast": 0.3901}
    apart = {(one.surface, one.language): worst[one.surface] if one.language == "ko" else 1e-7 for one in proof.rows}
    rows = [
        replace(one, difference=apart[one.surface, one.language], similarity=0.0, cosine=None) for one in proof.rows
    ]
    found = report(rows, held=["automodel", "sentence-transformers"])
    card = render_card(manifest, replace(proof, rows=rows))
    shown = {
        "verdict": summary(found),
        "terminal": terminal(found, every=True),
        "Markdown": report_markdown(found),
        "page": report_html(found),
        "JSON": report_json(found)["summary"],
        "card": card,
        "metadata of the card": str([result.metric_value for result in ModelCard(card).data.eval_results or ()]),
    }
    for place, text in shown.items():
        assert ("5.1e-07" in text, "0.5" in text) == (True, True), place
        assert not re.search(r"5\.0\d*e-07|\b0\.49", text), place
        if place not in ("verdict", "JSON"):
            assert ("3.1e-07" in text, "0.4" in text, "0.39" in text) == (True, True, False), place
    assert {row["difference"] for row in report_json(found)["rows"]} == {1e-7, *worst.values()}


class TestSummary:
    def test_exact(self) -> None:
        assert summary(passing(["automodel", "sentence-transformers"])) == (
            "EXACT: AutoModel, sentence-transformers (worst 3.6e-07, ko). 436 sentences, all 109 languages"
        )

    def test_what_is_not_exact_is_called_so_and_never_within_anything(self) -> None:
        rows = [row(), row("bertmodel", difference=0.49), row("berttokenizerfast", difference=0.412)]
        assert summary(report(rows, held=["automodel"])) == (
            "EXACT: AutoModel (worst 3.6e-07, de). "
            "NOT THE SAME: BertModel, BertTokenizerFast (off by up to 0.49, de). 4 sentences, de"
        )

    def test_a_language_with_a_tolerance_of_its_own_is_named_with_its_reason(self) -> None:
        kana = row(language="ja", difference=0.11, tolerance=0.13, reason="kana are one script there")
        found = report([row(), kana])
        said = "AutoModel differs by 0.11 in ja, where 0.13 is allowed: kana are one script there"
        assert summary(found) == f"EXACT: AutoModel (worst 3.6e-07, de); but {said}. 8 sentences, de and ja"
        assert found.equivalent
        assert "".join(said.split()) in "".join(terminal(found).split())
        assert said in report_markdown(found)
        assert said in report_html(found)
        (way,) = report_json(found)["ways"]
        assert (way["exact"], way["same"], way["allowed"]) == (False, True, ["ja"])

    def test_other_ids_are_not_the_same_though_the_embeddings_are(self) -> None:
        assert (
            summary(report([row(other_ids=3)])) == "NOT THE SAME: AutoModel (off by up to 3.6e-07, de). 4 sentences, de"
        )

    def test_the_languages_in_which_it_differs_are_counted(self) -> None:
        rows = [
            row("berttokenizerfast", "ja", 0.45),
            row("berttokenizerfast", "de"),
            row("automodel", "ja"),
            row("automodel", "de"),
        ]
        assert summary(report(rows, causes=[Cause("pooler", "tanh")])) == (
            "NOT THE SAME: BertTokenizerFast in ja (off by up to 0.45, ja); likely cause: pooler. "
            "EXACT: AutoModel (worst 3.6e-07, ja). 8 sentences, de and ja"
        )

    def test_what_could_not_be_measured_is_said(self) -> None:
        found = report([row()])
        refused = {"berttokenizerfast": Conditions("2.19.0", refused="it cannot be run: IndexError.")}
        found = replace(found, conditions={**found.conditions, **refused})
        assert summary(found) == (
            "EXACT: AutoModel (worst 3.6e-07, de). NOT MEASURED: BertTokenizerFast (it cannot be run: IndexError). "
            "4 sentences, de"
        )
        for text in (terminal(found), report_markdown(found), report_html(found)):
            assert "it cannot be run: IndexError." in text
        must = replace(found, conditions={"berttokenizerfast": Conditions("2.19.0", held=True, refused="no")})
        assert not must.equivalent
        said = "NOT MEASURED: BertTokenizerFast (no). EXACT: AutoModel (worst 3.6e-07, de). NOT THE SAME: BertModel "
        stock = replace(must, rows=[*must.rows, row("bertmodel", difference=0.5)])
        assert summary(stock).startswith(said)
        differs = replace(must, rows=[row("sentence-transformers", difference=0.5)])
        held = {"sentence-transformers": Conditions("2.19.0", held=True)}
        differs = replace(differs, conditions={**must.conditions, **held})
        assert summary(differs).startswith(
            "NOT THE SAME: sentence-transformers (off by up to 0.50, de). NOT MEASURED: "
        )

    def test_what_a_reader_can_feel_of_a_way_that_is_not_exact(self) -> None:
        rows = [
            row(),
            row("berttokenizerfast", difference=0.5, cosine=0.4519, neighbours=3, other_ids=1, reason="kana"),
        ]
        found = report(rows, held=["automodel"])
        said = "cosine to the true embedding as low as 0.451; a different nearest neighbour for 3 of 4 sentences"
        assert "".join(f"{said}; different token ids in 1 kana".split()) in "".join(terminal(found).split())
        assert f"**Not the same** in de: {said}; different token ids in 1. Kana." in report_markdown(found)
        text = report_html(found)
        assert 'data-head="smallest cosine">0.451<' in text
        assert 'data-head="other neighbours">3 of 4<' in text

    @pytest.mark.parametrize("value", [math.nan, math.inf, float("-nan")])
    def test_no_number_fails_and_is_shown(self, value: float) -> None:
        found = report([row(difference=value), row(language="ja", difference=0.9)])
        shown = "infinite" if math.isinf(value) else "NaN"
        assert summary(found) == f"NOT THE SAME: AutoModel (off by up to {shown}, de). 8 sentences, de and ja"
        assert report_json(found)["equivalent"] is False
        assert f"{shown} ≠" in terminal(found)
        assert f"**{shown}**" in report_markdown(found)
        assert f'class="s{NO_NUMBER}"' in report_html(found)

    def test_nothing_compared_is_no_proof(self) -> None:
        found = report([])
        assert summary(found).startswith("NOTHING COMPARED")
        assert report_json(found)["equivalent"] is False
        assert "banner bad" in report_html(found)
        assert "NOTHING COMPARED" in terminal(found)
        assert "❌" in report_markdown(found)

    def test_what_may_differ_everywhere_proves_nothing(self) -> None:
        found = report([row(difference=0.1, tolerance=0.5)])
        assert all(one.passed for one in found.rows)
        assert summary(found).startswith("NOT THE SAME")
        assert report_json(found)["equivalent"] is False

    def test_one_line_whatever_is_in_it(self) -> None:
        line = summary(report([row("a\nb", "x\u2028y\x00", 1.0)], causes=[Cause(NASTY + "\n", "")]))
        assert len(line.splitlines()) == 1
        assert no_controls(line)

    def test_traps_and_unknown_are_not_languages(self) -> None:
        rows = [row(language="de"), row(language=TRAPS), row(language=UNKNOWN)]
        assert summary(report(rows)).endswith(
            "12 sentences, de, the traps (texts that ports get wrong) and the sentences of no stated language"
        )


class TestText:
    def test_order(self) -> None:
        names = {"nan": math.nan, "inf": math.inf, "large": 0.1, "small": 3e-6, "good": 1.9e-6, "zero": 0.0}
        rows = [row(language=name, difference=value) for name, value in names.items()]
        rows += [
            row(language="wide", difference=0.5, tolerance=0.6),
            row(language="none", difference=1e-9, tolerance=0.0),
        ]
        order = [one.language for one in worst_first(reversed(rows))]
        assert order == ["nan", "inf", "none", "large", "small", "good", "wide", "zero"]

    def test_the_ways_that_are_exact_order_the_languages(self) -> None:
        rows = [row(language="de", difference=1e-7), row(language="ja", difference=2e-7)]
        other = [row("bertmodel", "de", 0.5), row("bertmodel", "ja", 0.1)]
        assert grid(report([*rows, *other], held=[])).languages == ["ja", "de"]
        assert grid(report(other, held=[])).languages == ["de", "ja"]

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (3.725e-07, "3.8e-07"),
            (3.7e-07, "3.7e-07"),
            (0.0, "0"),
            (2.000001e-6, "2.1e-06"),
            (0.0123, "0.013"),
            (0.495, "0.50"),
            (0.00099999, "0.0010"),
            (1.01, "1.1"),
            (math.inf, "infinite"),
        ],
    )
    def test_a_difference_is_never_said_to_be_smaller_than_it_is(self, value: float, text: str) -> None:
        assert number(value) == text

    @pytest.mark.parametrize(
        ("value", "text"), [(None, ""), (0.99999994, "1.000"), (0.4519, "0.451"), (-0.2, "-0.200"), (math.nan, "NaN")]
    )
    def test_a_cosine_is_never_said_to_be_larger_than_it_is(self, value: float | None, text: str) -> None:
        assert cosine(value) == text

    @pytest.mark.parametrize(("value", "text"), [(2e-6, "2e-06"), (0.05, "0.05"), (2.5e-6, "2.5e-06"), (0.0, "0")])
    def test_tolerance(self, value: float, text: str) -> None:
        assert tolerance(value) == text

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("", "(empty text)"),
            ("   ", "⟨SPACE × 3⟩"),
            ("a\tb\r\n", "a⟨TAB⟩b⟨CARRIAGE RETURN⟩⟨NEW LINE⟩"),
            ("do\x00g\x1b[31m", "do⟨U+0000⟩g⟨U+001B⟩[31m"),
            ("\u202edog\u202c", "⟨RIGHT-TO-LEFT OVERRIDE⟩dog⟨POP DIRECTIONAL FORMATTING⟩"),
            ("dog\u200cs", "dog⟨ZERO WIDTH NON-JOINER⟩s"),
            ("می\u200cخواهم", "می\u200cخواهم"),
            ("\u0301a\u0301", "⟨COMBINING ACUTE ACCENT⟩a\u0301"),
            ("\U000e0067\ud83d", "⟨TAG LATIN SMALL LETTER G⟩⟨U+D83D⟩"),
            ("a\u00a0b\u3164", "a⟨NO-BREAK SPACE⟩b⟨HANGUL FILLER⟩"),
        ],
    )
    def test_what_cannot_be_seen_is_named(self, text: str, shown: str) -> None:
        assert printable(text) == shown

    def test_long_texts_are_cut_and_counted(self) -> None:
        assert printable("a" * 10_000, 10) == "a" * 9 + "… (10,000 characters)"
        assert printable("a dog runs", 3) == "a… (10 characters)"

    def test_language_tags(self) -> None:
        assert [language_tag(name) for name in ("de", "zh-Hant", TRAPS, UNKNOWN, 'x" onload="')] == [
            "de",
            "zh-Hant",
            "",
            "",
            "",
        ]

    def test_the_colour_of_a_pass_is_within_and_of_a_failure_outside(self) -> None:
        steps = [step(row(difference=2e-6 * share)) for share in (0, 0.005, 0.05, 1, 1.0000001, 500, 1e5, math.nan)]
        assert steps == [0, 0, 1, 2, 3, 4, 5, 6]
        assert [step(row(other_ids=1)), step(row(difference=0.1, tolerance=0.2))] == [3, 7]

    def test_contrast(self) -> None:
        def luminance(colour: str) -> float:
            parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
            red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
            return 0.2126 * red + 0.7152 * green + 0.0722 * blue

        for pair in [pair for one in STEPS for pair in (one.light, one.dark)]:
            low, high = sorted(map(luminance, pair))
            assert (high + 0.05) / (low + 0.05) >= 4.5, pair


class TestTerminal:
    @pytest.mark.parametrize("width", [80, 150])
    def test_pass_shows_the_worst_and_counts_the_rest(self, width: int) -> None:
        lines = terminal(passing(), width).splitlines()
        assert lines[-1] == summary(passing())  # whole, on the last line, however narrow
        assert "… and 97 more languages, exact in the same ways" in lines
        assert all(len(line) <= width for line in lines[:-1])
        table = [line.split() for line in lines if re.match(r"[a-z]+ .*e-07", line)]
        assert len(table) == 12
        assert table[0] == ["ko", *["3.6e-07"] * 4]

    def test_every_language_on_demand(self) -> None:
        text = terminal(passing(), every=True)
        assert "more languages" not in text
        assert all(re.search(rf"^{name} ", text, re.M) for name in LANGUAGES)

    def test_all_failing_languages_are_shown(self) -> None:
        rows = [row("berttokenizerfast", name, 1.0 if n < 40 else 1e-7) for n, name in enumerate(LANGUAGES)]
        text = terminal(report(rows))
        assert len(re.findall(r"1\.0 ≠$", text, re.M)) == 40
        assert "… and 69 more languages, exact in the same ways" in text

    @pytest.mark.parametrize("width", [80, 150])
    def test_failures(self, width: int) -> None:
        text = terminal(failing(), width)
        lines = [line.rstrip() for line in text.splitlines()]
        worst = [line.split()[0] for line in lines if line.endswith(" ≠")]
        assert worst == ["ug", "ja", "zh", "th", "ar"]
        assert re.search(r"^ja .*2 ids  0\.10 ≠$", text, re.M)
        assert "[bold]x[/bold]" in text
        assert "⟨RIGHT-TO-LEFT OVERRIDE⟩abc" in text
        assert "⟨U+0000⟩" in text
        assert no_controls(text)
        assert "ug, BertTokenizerFast: differs by NaN" in text
        assert text.index("ug, BertTok") < text.index("en, BertModel") < text.index("ja, BertTok")
        assert "… and 1 more sentence" in text
        assert "… and 2 more in the report" in text
        assert lines[-1] == summary(failing())

    def test_where_most_languages_fail_only_the_worst_are_shown(self) -> None:
        text = terminal(
            report([row("berttokenizerfast", name, 1.0 if n < 41 else 1e-7) for n, name in enumerate(LANGUAGES)])
        )
        assert len(re.findall(r"1\.0 ≠$", text, re.M)) == 12
        assert "… and 97 more languages, most of them not exact either" in text

    def test_the_share_of_a_cause_is_said(self) -> None:
        causes = [Cause("pooler", "tanh", share=0.934), Cause("rule", "kana", share=0.0), Cause("weights", "1")]
        found = report([row(difference=0.5)], causes=causes)
        assert "likely causes: pooler (93 %); rule (under 1 %); and 1 more" in summary(found)
        assert "likely cause: pooler (93 %)\n" in terminal(found)
        assert "- **pooler** (93 %): tanh" in report_markdown(found)
        assert "<h3>pooler (93 %)</h3>" in report_html(found)
        assert [one["share"] for one in report_json(found)["causes"]] == [0.934, 0.0, None]

    def test_a_right_to_left_sentence_has_a_line_of_its_own(self) -> None:
        assert "    גורי כלבים" in terminal(failing()).splitlines()

    def test_an_encoding_without_the_characters(self) -> None:
        text = terminal(failing(), encoding="ascii")
        assert r"\u05d2" in text
        assert "0.10 !=" in text
        assert "<RIGHT-TO-LEFT OVERRIDE>abc" in text

    def test_a_surface_that_saw_no_such_language(self) -> None:
        assert "not compared" in terminal(report([row("berttokenizerfast", "ja"), row("automodel", "de")]))

    def test_colour_on_a_terminal(self) -> None:
        file = io.StringIO()
        print_report(failing(), Console(file=file, force_terminal=True, width=150, color_system="standard"))
        assert re.search(r"\x1b\[1;31m0\.10 ≠", file.getvalue())


class TestJson:
    @pytest.mark.parametrize("found", [passing(), failing(), report([])])
    def test_round_trip(self, found: Report) -> None:
        data = report_json(found)
        assert json.loads(json.dumps(data, allow_nan=False)) == data
        assert len(data["rows"]) == len(found.rows)
        assert data["versions"] == found.versions
        assert [item["text"] for item in data["failures"]] == [item.text for item in found.failures]

    def test_nan_is_a_word_that_no_comparison_takes_for_a_pass(self) -> None:
        bad = [one for one in report_json(failing())["rows"] if one["language"] == "ug" and not one["exact"]]
        assert [one["difference"] for one in bad] == ["NaN"]

    def test_numpy_numbers(self) -> None:
        found = report([row(difference=np.float32(1e-7), sentences=np.int64(4))])  # type: ignore[arg-type]
        assert json.loads(json.dumps(report_json(found)))["rows"][0]["exact"] is True
