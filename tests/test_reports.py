"""Reports say what was found, worst first, and nothing in a sentence can become markup or a control: text and data."""

from __future__ import annotations

import io
import json
import math
import re

import numpy as np
import pytest
from report_cases import LANGUAGES, NASTY, failing, no_controls, passing, report, row, terminal
from rich.console import Console

from hub2hf.equivalence.reports import print_report, report_html, report_json, report_markdown, summary
from hub2hf.equivalence.reports.scale import NO_NUMBER, STEPS, step
from hub2hf.equivalence.sentences import TRAPS, UNKNOWN
from hub2hf.proof import Cause, Report
from hub2hf.proof.summary import worst_first
from hub2hf.proof.text import difference, language_tag, printable, tolerance


class TestSummary:
    def test_pass(self) -> None:
        assert summary(passing(["automodel", "sentence-transformers"])) == (
            "EQUIVALENT: automodel and sentence-transformers within 2e-06 in all 109 languages "
            "(436 sentences, worst 3.6e-07, ko)"
        )

    def test_a_wide_tolerance_is_said(self) -> None:
        rows = [row(), row("card", difference=0.04, tolerance=0.05)]
        assert summary(report(rows)) == (
            "EQUIVALENT: automodel within 2e-06 (worst 3.6e-07, de), "
            "card differing, as the tolerance of 5e-02 allows (worst 4.0e-02, de) in de (4 sentences)"
        )

    def test_surfaces_that_saw_fewer_languages_claim_no_more(self) -> None:
        rows = [row("automodel", "de"), row("automodel", "ja"), row("automodel", TRAPS), row("card", "ja")]
        found = summary(report(rows))
        assert "automodel within 2e-06 in all 2 languages and the traps (worst" in found
        assert "card within 2e-06 in 1 of 2 languages (worst" in found

    def test_other_ids_are_said_even_where_the_embeddings_pass(self) -> None:
        assert summary(report([row(other_ids=3)])).endswith("; but other token ids in 3 sentences of automodel")

    def test_fail(self) -> None:
        rows = [row("card", "ja", 0.45), row("card", "de"), row("automodel", "ja"), row("automodel", "de")]
        assert summary(report(rows, causes=[Cause("pooler", "tanh")])) == (
            "NOT EQUIVALENT: card outside its tolerance in 1 of 2 languages (worst 4.5e-01, ja); likely cause: pooler"
        )

    @pytest.mark.parametrize("value", [math.nan, math.inf, float("-nan")])
    def test_no_number_fails_and_is_shown(self, value: float) -> None:
        found = report([row(difference=value), row(language="ja", difference=0.9)])
        shown = "infinite" if math.isinf(value) else "NaN"
        assert (
            summary(found) == f"NOT EQUIVALENT: automodel outside its tolerance in all 2 languages (worst {shown}, de)"
        )
        assert report_json(found)["equivalent"] is False
        assert f"{shown} F" in terminal(found)
        assert f"**{shown}**" in report_markdown(found)
        assert f'class="s{NO_NUMBER}"' in report_html(found)

    def test_nothing_compared_is_no_proof(self) -> None:
        found = report([])
        assert summary(found).startswith("NOTHING COMPARED")
        assert report_json(found)["equivalent"] is False
        assert "banner bad" in report_html(found)
        assert "NOTHING COMPARED" in terminal(found)
        assert "❌" in report_markdown(found)

    def test_a_wide_tolerance_alone_proves_nothing(self) -> None:
        found = report([row(), row(language="ja", tolerance=0.5)])
        assert all(one.passed for one in found.rows)
        assert summary(found).startswith("NOT EQUIVALENT")
        assert report_json(found)["equivalent"] is False

    def test_one_line_whatever_is_in_it(self) -> None:
        line = summary(report([row("a\nb", "x\u2028y\x00", 1.0)], causes=[Cause(NASTY + "\n", "")]))
        assert len(line.splitlines()) == 1
        assert no_controls(line)

    def test_traps_and_unknown_are_not_languages(self) -> None:
        rows = [row(language="de"), row(language=TRAPS), row(language=UNKNOWN)]
        assert "in de, the traps and the sentences of no stated language (12 sentences" in summary(report(rows))


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

    def test_a_difference_outside_never_looks_like_the_tolerance(self) -> None:
        assert difference(row(difference=2.000001e-6)) == "2.000001e-06"
        assert difference(row(difference=2.1e-6)) == "2.1e-06"
        assert difference(row(difference=0.0)) == "0"

    @pytest.mark.parametrize(("value", "text"), [(2e-6, "2e-06"), (0.05, "5e-02"), (2.5e-6, "2.5e-06"), (0.0, "0")])
    def test_tolerance(self, value: float, text: str) -> None:
        assert tolerance(value) == text

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("", "(empty text)"),
            ("   ", r"\u0020\u0020\u0020"),
            ("a\tb\r\n", r"a\tb\r\n"),
            ("do\x00g\x1b[31m", r"do\u0000g\u001b[31m"),
            ("\u202edog\u202c", r"\u202edog\u202c"),
            ("dog\u200cs", r"dog\u200cs"),
            ("می\u200cخواهم", "می\u200cخواهم"),
            ("\u0301a\u0301", "\\u0301a\u0301"),
            ("\U000e0067\ud83d", r"\U000e0067\ud83d"),
            ("a\u00a0b\u3164", r"a\u00a0b\u3164"),
        ],
    )
    def test_what_cannot_be_seen_is_escaped(self, text: str, shown: str) -> None:
        assert printable(text) == shown

    def test_long_texts_are_cut_and_counted(self) -> None:
        assert printable("a" * 10_000, 10) == "a" * 9 + "… (10,000 characters)"

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
        assert "… and 97 more languages, all within tolerance" in lines
        assert all(len(line) <= width for line in lines[:-1])
        table = [line.split() for line in lines if re.match(r"[a-z]+ .*e-07", line)]
        assert len(table) == 12
        assert table[0] == ["ko", *["3.6e-07"] * 4]

    def test_every_language_on_demand(self) -> None:
        text = terminal(passing(), every=True)
        assert "more languages" not in text
        assert all(re.search(rf"^{name} ", text, re.M) for name in LANGUAGES)

    def test_all_failing_languages_are_shown(self) -> None:
        rows = [row("card", name, 1.0 if n < 40 else 1e-7) for n, name in enumerate(LANGUAGES)]
        text = terminal(report(rows))
        assert len(re.findall(r"1\.0e\+00 F$", text, re.M)) == 40
        assert "… and 69 more languages, all within tolerance" in text

    @pytest.mark.parametrize("width", [80, 150])
    def test_failures(self, width: int) -> None:
        text = terminal(failing(), width)
        lines = [line.rstrip() for line in text.splitlines()]
        worst = [line.split()[0] for line in lines if line.endswith(" F")]
        assert worst == ["ug", "ja", "zh", "th", "ar"]
        assert re.search(r"^ja .*2 ids  1\.0e-01 F$", text, re.M)
        assert "[bold]x[/bold]" in text
        assert r"\u202eabc\u202c" in text
        assert "\u0000".encode("unicode_escape").decode() not in text.replace(r"\u0000", "")
        assert no_controls(text)
        assert "ug, card: differs by NaN" in text
        assert text.index("ug, card") < text.index("en, bert") < text.index("ja, card")
        assert "… and 1 more sentence" in text
        assert "… and 2 more in the report" in text
        assert lines[-1] == summary(failing())

    def test_a_right_to_left_sentence_has_a_line_of_its_own(self) -> None:
        assert "    גורי כלבים" in terminal(failing()).splitlines()

    def test_an_encoding_without_the_characters(self) -> None:
        text = terminal(failing(), encoding="ascii")
        assert r"\u05d2" in text
        assert "<= 2e-06" in text

    def test_a_surface_that_saw_no_such_language(self) -> None:
        assert "not compared" in terminal(report([row("card", "ja"), row("automodel", "de")]))

    def test_colour_on_a_terminal(self) -> None:
        file = io.StringIO()
        print_report(failing(), Console(file=file, force_terminal=True, width=150, color_system="standard"))
        assert re.search(r"\x1b\[1;31m1\.0e-01 F", file.getvalue())


class TestJson:
    @pytest.mark.parametrize("found", [passing(), failing(), report([])])
    def test_round_trip(self, found: Report) -> None:
        data = report_json(found)
        assert json.loads(json.dumps(data, allow_nan=False)) == data
        assert len(data["rows"]) == len(found.rows)
        assert data["versions"] == found.versions
        assert [item["text"] for item in data["failures"]] == [item.text for item in found.failures]

    def test_nan_is_a_word_that_no_comparison_takes_for_a_pass(self) -> None:
        bad = [one for one in report_json(failing())["rows"] if one["language"] == "ug" and not one["passed"]]
        assert [one["difference"] for one in bad] == ["NaN"]

    def test_numpy_numbers(self) -> None:
        found = report([row(difference=np.float32(1e-7), sentences=np.int64(4))])  # type: ignore[arg-type]
        assert json.loads(json.dumps(report_json(found)))["rows"][0]["passed"] is True
