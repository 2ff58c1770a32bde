"""What a thin connection is sent: of all that is drawn, the cells that the terminal does not show already."""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import get_character_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.control import Control
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.strip import Strip

Cell = tuple[str, Style | None]
Piece = tuple[int, int, Strip]
"""Column, row, and what stands from there on."""

_GAP = 6
_REST_OF_WIDE = ""


class ShownCells:
    """The cells that stand on the terminal, as far as they are known."""

    def __init__(self) -> None:
        self._rows: dict[int, dict[int, Cell]] = {}

    def forget(self) -> None:
        """Know nothing any more: the terminal may show anything."""
        self._rows.clear()

    def changed(self, update: CompositorUpdate) -> CompositorUpdate:
        """Return an update without what is on the terminal already, and remember what will be."""
        if isinstance(update, LayoutUpdate):
            pieces = _whole_lines(update)
        elif isinstance(update, ChopsUpdate):
            pieces = _parts_of_lines(update)
        else:
            self.forget()
            return update
        return ChangedCells([run for piece in pieces for run in self._taken(*piece)])

    def _taken(self, x: int, y: int, strip: Strip) -> Iterator[Piece]:
        """Take a piece of a line, and give the runs of it that are new."""
        row = self._rows.setdefault(y, {})
        run: list[Cell] = []
        start = end = x
        for at, cell in _cells(strip, x):
            if row.get(at) == cell:
                continue
            row[at] = cell
            if run and at - end > _GAP:
                yield start, y, _strip(run)
                run = []
            if not run:
                start = end = at
            run += [row.get(between, (" ", None)) for between in range(end, at)]
            run.append(cell)
            end = at + 1
        if run:
            yield start, y, _strip(run)


class ChangedCells(CompositorUpdate):
    """Runs of cells.

    Args:
        runs: Where each begins, and what it is.
    """

    def __init__(self, runs: list[Piece]) -> None:
        self._runs = runs

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Give the segments, as Rich asks for them."""
        for x, y, strip in self._runs:
            yield Control.move_to(x, y).segment
            yield from strip

    def render_segments(self, console: Console) -> str:
        """Return what is sent to the terminal."""
        return "".join(Control.move_to(x, y).segment.text + strip.render(console) for x, y, strip in self._runs)


def _whole_lines(update: LayoutUpdate) -> Iterator[Piece]:
    for y, parts in enumerate(update.strips, update.region.y):
        yield update.region.x, y, Strip.join(list(parts))


def _parts_of_lines(update: ChopsUpdate) -> Iterator[Piece]:
    for y, left, right in update.spans:
        for end, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
            if strip is not None and x <= right and end > left:
                yield x, y, strip if end <= right else strip.crop(0, min(end, right) - x)


def _cells(strip: Strip, x: int) -> Iterator[tuple[int, Cell]]:
    for text, style, _ in strip:
        for character in text:
            width = get_character_cell_size(character)
            if width:
                yield x, (character, style)
                x += 1
            if width == 2:
                yield x, (_REST_OF_WIDE, style)
                x += 1


def _strip(cells: list[Cell]) -> Strip:
    return Strip([Segment(text, style) for text, style in cells]).simplify()
