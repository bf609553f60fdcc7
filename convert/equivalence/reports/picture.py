"""The heat map as a PNG, for model cards."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

from hub2hf.equivalence.reports.scale import DIFFERS, NO_NUMBER, STEPS, step
from hub2hf.errors import ExportError
from hub2hf.extras import install
from hub2hf.folder.files import write_whole
from hub2hf.proof import Report, Row
from hub2hf.proof.summary import grid, summary
from hub2hf.proof.text import ASCII, number, printable
from hub2hf.surfaces import title

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont

LANGUAGES = 600  # shown at most
BLOCK = 15  # more languages than this stand side by side in three blocks
MARGIN, GAP, ROW, HEADER = 40, 44, 34, 64  # pixels; for a picture shown at half its size
FONT, SMALL, TITLE = 22, 20, 30
BACKGROUND, INK, SOFT, GOOD, BAD = "#ffffff", "#17212b", "#55616d", "#0a5c9e", "#9c3300"


def require_pillow() -> None:
    """Raise ExportError where Pillow is not installed."""
    try:
        from PIL import Image, ImageDraw, ImageFont, PngImagePlugin  # noqa: F401
    except ImportError as error:
        raise ExportError(
            "Pillow, which draws the picture of the report, is not installed.",
            f"Install it: {install('report')}",
        ) from error


def heat_map_png(report: Report, path: Path) -> None:
    """Write `heat_map` whole or not at all.

    Args:
        report: what `verify` returned.
        path: the PNG; replaced.

    Raises:
        ExportError: Pillow is not installed, or the file cannot be written.
    """
    write_whole(path, heat_map(report))


def heat_map(report: Report) -> bytes:
    """Return a PNG of languages × surfaces, worst first, with title and legend; the summary is its description.

    Raises:
        ExportError: Pillow is not installed.
    """
    require_pillow()
    from PIL import PngImagePlugin

    about = PngImagePlugin.PngInfo()
    about.add_itxt("Description", _ascii(summary(report)))
    buffer = io.BytesIO()
    _Picture(report).image.quantize(128).save(buffer, "PNG", optimize=True, pnginfo=about)
    return buffer.getvalue()


def _ascii(text: str, limit: int | None = None) -> str:
    """Return `text` in the characters that the font which comes with Pillow has."""
    return printable(text, limit).translate(ASCII).encode("ascii", "backslashreplace").decode("ascii")


class _Picture:
    """The layout, and the drawing of it."""

    def __init__(self, report: Report) -> None:
        from PIL import Image, ImageDraw, ImageFont

        self.fonts = {size: ImageFont.load_default(size) for size in (FONT, SMALL, TITLE)}
        self.table = grid(report)
        languages = self.table.languages[:LANGUAGES]
        parts = 1 if len(languages) <= BLOCK else 3
        size = max(1, -(-len(languages) // parts))
        self.blocks = [languages[at : at + size] for at in range(0, len(languages), size)]
        self.label = max([60, *(self.width(_ascii(name, 20), FONT) + 14 for name in languages)])
        self.column = max(
            [110, *(self.width(part, SMALL) + 12 for way in self.table.ways for part in _lines(way.surface))]
        )
        block = self.label + self.column * len(self.table.ways)
        self.step = block + GAP
        width = max(900, 2 * MARGIN + self.step * len(self.blocks) - GAP)
        lines = self.wrap(summary(report), width - 2 * MARGIN, FONT)
        about = self.wrap(
            f"{_ascii(report.candidate, 200)}, compared with {_ascii(report.source, 200)}", width - 80, SMALL
        )
        legend = self.legend(width)
        top = MARGIN + TITLE + 20 + 30 * (len(lines) + len(about)) + 16
        height = top + HEADER + ROW * size + 30 + 40 * (legend[-1][1] + 1) + (34 if self.more() else 0) + MARGIN // 2
        self.image: Image.Image = Image.new("RGB", (width, height), BACKGROUND)
        self.draw: ImageDraw.ImageDraw = ImageDraw.Draw(self.image)
        self.heading(lines, about, good=report.equivalent)
        for nth, names in enumerate(self.blocks):
            self.block(MARGIN + nth * self.step, top, names)
        self.draw_legend(legend, top + HEADER + ROW * size + 24)

    def width(self, text: str, size: int) -> int:
        """Return the width of `text` in pixels."""
        return round(self.font(size).getlength(text))

    def font(self, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
        """Return the font that comes with Pillow, in one of three sizes."""
        return self.fonts[size]

    def wrap(self, text: str, width: int, size: int) -> list[str]:
        """Return `text` in lines of at most `width` pixels; a word longer than that is cut."""
        lines = [""]
        for word in _ascii(text).split(" "):
            longer = f"{lines[-1]} {word}".strip()
            if lines[-1] and self.width(longer, size) > width:
                lines.append("")
                longer = word
            while self.width(longer, size) > width:
                fits = next(n for n in range(len(longer) - 1, 0, -1) if self.width(longer[:n], size) <= width)
                lines[-1], longer = longer[:fits], longer[fits:]
                lines.append("")
            lines[-1] = longer
        return lines

    def heading(self, lines: list[str], about: list[str], *, good: bool) -> None:
        """Draw the title, the summary and what was compared."""
        self.draw.rectangle((0, 0, self.image.width, 14), fill=GOOD if good else BAD)
        self.draw.text((MARGIN, MARGIN), "Largest difference of unit embeddings", INK, self.font(TITLE))
        y = MARGIN + TITLE + 16
        for line in lines:
            self.draw.text((MARGIN, y), line, GOOD if good else BAD, self.font(FONT))
            y += 30
        for line in about:
            self.draw.text((MARGIN, y), line, SOFT, self.font(SMALL))
            y += 30

    def block(self, x: int, y: int, languages: list[str]) -> None:
        """Draw the head and the rows of one block."""
        for at, way in enumerate(self.table.ways):
            parts = _lines(way.surface)
            for line, part in enumerate(parts):
                place = (x + self.label + self.column * (at + 0.5), y + HEADER - 24 * (len(parts) - line) + 14)
                self.draw.text(place, part, INK, self.font(SMALL), anchor="mm")
        y += HEADER
        for at, language in enumerate(languages):
            middle = y + ROW * (at + 0.5)
            self.draw.text((x, middle), _ascii(language, 20), INK, self.font(FONT), anchor="lm")
            for nth, way in enumerate(self.table.ways):
                left = x + self.label + self.column * nth
                self.cell(self.table.cells.get((language, way.surface)), (left + 1, y + ROW * at + 1))

    def cell(self, row: Row | None, corner: tuple[int, int]) -> None:
        """Draw one value on its colour; what is no number, on hatching as well."""
        x, y = corner
        box = (x, y, x + self.column - 3, y + ROW - 3)
        middle = (x + (self.column - 2) / 2, y + (ROW - 2) / 2)
        if row is None:
            self.draw.text(middle, "-", SOFT, self.font(SMALL), anchor="mm")
            return
        background, ink = STEPS[step(row)].light
        self.draw.rectangle(box, fill=background)
        text = number(row.difference) if row.exact else _ascii(f"{number(row.difference)} {DIFFERS}")
        if step(row) == NO_NUMBER:
            self.hatch(box, background, self.width(text, SMALL))
        self.draw.text(middle, text, ink, self.font(SMALL), anchor="mm")

    def hatch(self, box: tuple[int, int, int, int], background: str, clear: int) -> None:
        """Draw hatching in `box`, with a blank of width `clear` in the middle for the text."""
        left, top, right, bottom = box
        for x in range(left, right - (bottom - top), 12):
            self.draw.line((x, bottom - 1, x + bottom - top - 2, top + 1), fill="#8a8a8a", width=2)
        middle = (left + right) // 2
        self.draw.rectangle((middle - clear // 2 - 6, top, middle + clear // 2 + 6, bottom), fill=background)

    def legend(self, width: int) -> list[tuple[int, int, int]]:
        """Return x, line and step of every entry of the legend."""
        places, x, line = [], MARGIN, 0
        for nth, colour in enumerate(STEPS):
            wide = self.width(_ascii(colour.label), SMALL) + 24
            if x + wide > width - MARGIN and x > MARGIN:
                x, line = MARGIN, line + 1
            places.append((x, line, nth))
            x += wide + 10
        return places

    def more(self) -> str:
        """Return what is said about languages that are not shown."""
        rest = len(self.table.languages) - LANGUAGES
        return f"and {rest:,} more" if rest > 0 else ""

    def draw_legend(self, places: list[tuple[int, int, int]], y: int) -> None:
        """Draw the legend, and how much is not shown."""
        for x, line, nth in places:
            background, ink = STEPS[nth].light
            box = (x, y + 40 * line, x + self.width(_ascii(STEPS[nth].label), SMALL) + 24, y + 40 * line + 32)
            self.draw.rectangle(box, fill=background)
            self.draw.text((x + 12, box[1] + 16), _ascii(STEPS[nth].label), ink, self.font(SMALL), anchor="lm")
        if self.more():
            self.draw.text((MARGIN, y + 40 * (places[-1][1] + 1)), self.more(), SOFT, self.font(SMALL))


def _lines(surface: str) -> list[str]:
    """Return what a way of loading is called in lines, cut behind hyphens and before a second word or syllable of names."""
    return re.sub(r"-|(?<=[a-z])(?=[A-Z])| ", lambda cut: cut[0].strip() + "\n", _ascii(title(surface), 40)).split("\n")
