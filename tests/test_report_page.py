"""The report's page as a person uses it: names, search, order, keys; `make first-hour` runs it in Chromium."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from builders.javascript import is_installed
from chromium import Tab, chromium
from report_cases import LANGUAGES, failing, passing
from test_report_files import Page

from hub2hf.equivalence.reports import report_html
from hub2hf.equivalence.reports.languages import _names, language_name
from hub2hf.surfaces.web import node

if TYPE_CHECKING:
    from hub2hf.proof import Report

WORST_FIRST = ["ug", "ja", "zh", "th", "ar", "ko", "af"]
BY_NAME = ["af", "sq", "am", "ar", "hy"]  # Afrikaans, Albanian, Amharic, Arabic, Armenian
TAB_STOPS = 6  # the table of ways, which scrolls; search; order, by two buttons; the map; what unfolds


@pytest.mark.skipif(not is_installed(), reason="make test installs Node")
def test_names_are_those_of_cldr_in_node() -> None:
    script = (
        "const names = new Intl.DisplayNames('en', { type: 'language', fallback: 'none' });"
        "process.stdout.write(JSON.stringify(JSON.parse(process.argv[1]).map((code) => names.of(code))))"
    )
    codes = [*_names()]
    found = json.loads(subprocess.check_output(node(script, json.dumps(codes)), encoding="utf-8"))
    assert dict(zip(codes, found, strict=True)) == _names()


def test_every_language_that_is_compared_has_a_name() -> None:
    assert [code for code in LANGUAGES if not language_name(code)] == []
    assert (language_name("pt-BR"), language_name("tlh"), language_name("traps")) == ("Portuguese", "", "")


@pytest.mark.parametrize("found", [failing(), passing(["automodel"])])
def test_a_handful_of_tab_stops(found: Report) -> None:
    tags = Page(report_html(found)).tags
    stops = [tag for tag, one in tags if one.get("tabindex") == "0" or tag in ("input", "summary", "a", "button")]
    assert len(stops) <= TAB_STOPS
    assert sum(one.get("tabindex") == "-1" for _, one in tags) >= 108


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with chromium(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture
def tab(browser: Tab, tmp_path: Path) -> Tab:
    """The page of the report that fails, as it opens."""
    file = tmp_path / "report.html"
    file.write_text(report_html(failing()), "utf-8", "backslashreplace")
    browser.open(file)
    return browser


def languages(tab: Tab) -> list[str]:
    """Return the codes of the rows that are seen, in order."""
    seen = "[...document.querySelectorAll('.map tbody tr')].filter((row) => row.checkVisibility())"
    found: list[str] = tab.see(f"{seen}.map((row) => row.querySelector('b').textContent)")
    return found


def asked(tab: Tab, text: str) -> list[str]:
    """Return the languages after a search."""
    tab.see("search.select()")
    tab.type(text) if text else tab.press("Backspace")
    return languages(tab)


def captions(tab: Tab) -> list[str]:
    found: list[str] = tab.see(
        "[...document.querySelectorAll('caption')].filter((one) => one.checkVisibility()).map((one) => one.textContent)"
    )
    return found


def focused(tab: Tab) -> list[object]:
    """Return the row and the column of the cell that has the focus, and whether what it tells is seen."""
    parts = ("closest('tr')?.dataset.code", "closest('td')?.cellIndex", "querySelector('.tip')?.checkVisibility()")
    found: list[object] = tab.see(f"[{', '.join(f'document.activeElement.{part}' for part in parts)}]")
    return found


@pytest.mark.slow  # make first-hour
class TestInChromium:
    def test_it_opens_with_the_worst_and_all_of_them(self, tab: Tab) -> None:
        assert languages(tab)[:7] == WORST_FIRST
        assert sorted(languages(tab)) == sorted(LANGUAGES)
        assert tab.see("document.documentElement.scrollWidth <= innerWidth")

    def test_search_by_code_name_and_sentence(self, tab: Tab) -> None:
        assert asked(tab, "ja") == ["ja", "jv"]  # Japanese and Javanese, not Azerbaijani
        assert tab.see("found.textContent") == "2 of 109 rows"
        assert captions(tab) == ["ja to jv"]
        assert asked(tab, "haitian") == asked(tab, " HT ") == ["ht"]
        assert captions(tab) == ["ht"]
        assert asked(tab, "dog 3") == []
        seen = "[...document.querySelectorAll('article')].filter((one) => one.checkVisibility()).length"
        assert tab.see(seen) == 1
        assert languages(tab) == asked(tab, "nowhere") == []
        assert tab.see(seen) == 0
        assert asked(tab, "")[:7] == WORST_FIRST
        assert len(languages(tab)) == 109
        assert tab.see(seen) == 7

    def test_order_by_name_and_back(self, tab: Tab) -> None:
        tab.see("document.querySelector('[value=name]').click()")
        assert languages(tab)[:5] == BY_NAME
        assert captions(tab) == ["af to la", "lv to zu"]
        assert asked(tab, "a")[:5] == ["af", "sq", "am", "ar", "hy"]
        tab.see("document.querySelector('[value=difference]').click()")
        assert languages(tab)[:2] == ["ar", "af"]

    def test_keys(self, tab: Tab) -> None:
        stops = []
        for _ in range(TAB_STOPS):
            tab.press("Tab")
            stops.append(
                tab.see("document.activeElement.localName + ' ' + (document.activeElement.type ?? '')").strip()
            )
        assert stops == ["div", "input search", "input radio", "span", "body", "div"]  # and again from the top
        tab.see("document.querySelector('.v[tabindex=\"0\"]').focus()")
        assert focused(tab) == ["ug", 1, True]
        for key, place in (
            ("ArrowRight", ["ug", 2, True]),
            ("ArrowDown", ["ja", 2, True]),
            ("ArrowLeft", ["ja", 1, True]),
            ("ArrowLeft", ["ja", 1, True]),
            ("ArrowUp", ["ug", 1, True]),
            ("ArrowUp", ["ug", 1, True]),
        ):
            tab.press(key)
            assert focused(tab) == place
        assert tab.see("document.querySelectorAll('.v[tabindex=\"0\"]').length") == 1

    @pytest.mark.parametrize(("width", "tables"), [(1400, 2), (420, 1)])
    def test_it_fits(self, tab: Tab, tmp_path: Path, width: int, tables: int) -> None:
        tab.open(tmp_path / "report.html", width)
        assert tab.see("document.documentElement.scrollWidth") <= width
        assert tab.see("new Set([...document.querySelectorAll('.map')].map((one) => one.offsetLeft)).size") == tables
