"""Reports as Markdown, web page, picture and files: complete, worst first, and nothing in a sentence becomes markup."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from PIL import Image
from report_cases import LANGUAGES, NASTY, failing, no_controls, passing, report, row

from hub2hf.equivalence.reports import (
    heat_map_png,
    prepare_reports,
    report_html,
    report_json,
    report_markdown,
    summary,
    write_reports,
)
from hub2hf.equivalence.reports.scale import STEPS
from hub2hf.errors import ExportError
from hub2hf.proof import Report


class TestMarkdown:
    def test_nothing_becomes_markup(self) -> None:
        text = report_markdown(failing())
        page = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
        assert no_controls(text)
        assert "<script" not in page
        assert "<a " not in page
        assert page.count("<table>") == page.count("</table>") == 8
        assert set(re.findall(r"<(\w+)", page)) <= {
            "h2",
            "h3",
            "p",
            "ul",
            "li",
            "strong",
            "code",
            "table",
            "thead",
            "tbody",
            "tr",
            "th",
            "td",
            "details",
            "summary",
        }
        assert "@me" not in re.sub("`.*`", "", text)

    def test_a_pipe_in_a_language_stays_in_its_cell(self) -> None:
        page = MarkdownIt().enable("table").render(report_markdown(report([row(language="a|b*<i>")])))
        assert "<td style=\"text-align:left\">a|b*&lt;i&gt;</td>" in page  # fmt: skip

    def test_worst_first_and_the_rest_folded(self) -> None:
        text = report_markdown(failing())
        card = text[text.index("### BertTokenizerFast") :]
        assert re.findall(r"^\| (\w+) \| \*\*", card, re.M) == ["ug", "ja", "zh", "th", "ar"]
        assert "<summary>97 more languages, all exact</summary>" in card
        assert text.startswith("## ❌ NOT THE SAME\n")
        assert report_markdown(passing()).startswith("## ✅ EXACT\n")


class Page(HTMLParser):
    """Keeps the tags, their attributes and the text."""

    VOID = ("meta", "br", "wbr", "input")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


class TestHtml:
    @pytest.mark.parametrize("found", [passing(), failing(), report([])])
    def test_well_formed_and_self_contained(self, found: Report) -> None:
        text = report_html(found)
        page = Page(text)
        assert page.open == []
        assert [tag for tag, _ in page.tags].count("script") == 1
        assert not {"img", "link", "iframe", "form", "object"} & {tag for tag, _ in page.tags}
        for _, attributes in page.tags:
            assert attributes.get("href", "#").startswith("#")  # type: ignore[union-attr]
            assert not {"src", "style", "srcset", "action", "data"} & attributes.keys()
            assert not [name for name in attributes if name.startswith("on")]
        assert "url(" not in text
        assert "@import" not in text

    def test_policy(self) -> None:
        text = report_html(passing())
        digests = [
            base64.b64encode(hashlib.sha256(found.encode()).digest()).decode()
            for tag in ("style", "script")
            for found in re.findall(rf"<{tag}>(.*)</{tag}>", text, re.S)
        ]
        policies = [
            one["content"] for tag, one in Page(text).tags if one.get("http-equiv") == "Content-Security-Policy"
        ]
        assert policies == [
            "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'".format(
                *digests
            )
        ]

    def test_escaping(self) -> None:
        text = report_html(failing())
        assert text.count("<script") == 1
        assert html.escape("<script>alert(1)</script> a|b [bold]x[/bold]") in text
        assert no_controls(text)
        assert '<span class="esc">⟨RIGHT-TO-LEFT OVERRIDE⟩</span>abc' in text

    def test_language_and_direction(self) -> None:
        tags = Page(report_html(failing())).tags
        sentences = [one for tag, one in tags if tag == "p" and one.get("class") == "text"]
        assert {one["dir"] for one in sentences} == {"auto"}
        assert {one["lang"] for one in sentences} == {"ja", "he", "ug", "en"}

    def test_the_map_has_every_value_worst_first(self) -> None:
        text = report_html(failing())
        names = re.findall(r'<tr data-code="\w+" data-name="[^"]+"><th scope="row"><b>(\w+)</b>', text)
        assert names[:5] == ["ug", "ja", "zh", "th", "ar"]
        assert sorted(names) == sorted(LANGUAGES)
        assert len(re.findall(r'<td class="s\d"><span class="v s\d" tabindex="(?:0|-1)">', text)) == 109 * 4
        assert ">0.10<b>≠</b><small>2 ids</small>" in text
        assert text.count("<b>≠</b>") == 5

    def test_facts(self) -> None:
        text = Page(report_html(passing())).text
        for fact in ("lealla-mini", "sha256:0123", "TensorFlow 2.19.0", "4.57.1", "83.4 seconds"):
            assert fact in text


class TestPicture:
    def test_size_and_description(self, tmp_path: Path) -> None:
        path = tmp_path / "map.png"
        heat_map_png(passing(), path)
        with Image.open(path) as image:
            image.load()
            assert image.format == "PNG"
            wide, high = image.size
            assert image.text["Description"] == summary(passing())  # type: ignore[attr-defined]
        assert 1500 < wide < 2200
        assert 37 * 34 < high < 37 * 34 + 450  # 109 languages in three blocks, heading, legend
        heat_map_png(report([row()]), path)
        with Image.open(path) as image:
            assert image.size[0] == 900
            assert image.size[1] < 500

    def test_colours(self, tmp_path: Path) -> None:
        def colours(found: Report) -> set[str]:
            heat_map_png(found, tmp_path / "map.png")
            with Image.open(tmp_path / "map.png") as image:
                counted = image.convert("RGB").getcolors(1 << 16) or []
            return {"#{:02x}{:02x}{:02x}".format(*colour) for number, colour in counted if number > 20_000}  # type: ignore[misc]

        assert STEPS[5].light[0] not in colours(passing())
        assert STEPS[5].light[0] in colours(report([row("berttokenizerfast", name, 0.5) for name in LANGUAGES]))

    def test_names_of_any_kind(self, tmp_path: Path) -> None:
        rows = [row("s" * 200, NASTY, 2.000001e-6), row("日本", "x" * 500), row("", "", math.nan)]
        heat_map_png(replace(report(rows), candidate="c" * 3000, source=NASTY), tmp_path / "map.png")
        heat_map_png(report([]), tmp_path / "map.png")
        with Image.open(tmp_path / "map.png") as image:
            image.load()

    def test_many_languages_are_cut(self, tmp_path: Path) -> None:
        heat_map_png(report([row(language=f"l{n}") for n in range(20_000)]), tmp_path / "map.png")
        with Image.open(tmp_path / "map.png") as image:
            assert image.size[1] < 8000


class TestFiles:
    def test_four_files_replaced(self, tmp_path: Path) -> None:
        folder = tmp_path / "a" / "b"
        write_reports(passing(), folder)
        written = write_reports(failing(), folder)
        assert [path.name for path in written] == ["report.json", "report.md", "report.html", "heatmap.png"]
        assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in written)
        data = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        assert data == report_json(failing())
        assert data["failures"][0]["text"] == NASTY
        assert "NOT THE SAME" in (folder / "report.html").read_text(encoding="utf-8")

    def test_a_file_in_the_place_of_the_folder(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        for make in (prepare_reports, lambda folder: write_reports(passing(), folder)):
            with pytest.raises(ExportError, match="cannot be made"):
                make(tmp_path / "file")

    def test_a_folder_in_the_place_of_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "report.md").mkdir()
        with pytest.raises(ExportError, match=r"report\.md exists already"):
            write_reports(passing(), tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["report.md"]

    def test_without_pillow(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "PIL", None)
        with pytest.raises(ExportError, match=r"Pillow.*pip install"):
            prepare_reports(tmp_path)
        with pytest.raises(ExportError, match="Pillow"):
            write_reports(passing(), tmp_path)
        assert (tmp_path / "report.html").is_file()
