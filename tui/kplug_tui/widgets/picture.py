"""A picture, drawn by the terminal itself where it can, and in half blocks where it cannot."""

from __future__ import annotations

import io
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.segment import Segment
from textual.app import ComposeResult
from textual.containers import Container
from textual.strip import Strip
from textual.widget import Widget

from kplug_tui.pictures import cell_pixels, half_blocks, protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL.Image import Image

_FEW_COLOURS = 16


class HalfBlocks(Widget):
    """A picture in half blocks.

    Args:
        picture: The picture, RGB.
        colours: How many colours to do with.
    """

    DEFAULT_CSS = "HalfBlocks { width: 1fr; height: 1fr; }"

    def __init__(self, picture: Image, colours: int | None = None) -> None:
        super().__init__()
        self._picture = picture
        self._colours = colours
        self._drawn: tuple[tuple[int, int], list[Strip]] | None = None

    def render_line(self, y: int) -> Strip:
        """Draw a line."""
        width, height = self.size
        if self._drawn is None or self._drawn[0] != (width, height):
            rows = half_blocks(self._picture, width, height, self._colours)
            self._drawn = (width, height), [Strip(row) for row in rows]
        lines = self._drawn[1]
        strip = lines[y] if y < len(lines) else Strip([Segment("", self.rich_style)])
        return strip.adjust_cell_length(width, self.rich_style)


class Picture(Container):
    """A picture.

    Args:
        picture: The picture, RGB.
        thin: Whether few bytes are to be sent.
    """

    DEFAULT_CSS = """
    Picture { width: 1fr; height: 1fr; }
    Picture > .native { width: auto; height: auto; max-width: 100%; max-height: 100%; }
    """

    def __init__(self, picture: Image, thin: bool) -> None:
        super().__init__()
        self._picture = picture
        self._thin = thin

    def compose(self) -> ComposeResult:
        """Make the widget that the terminal can show."""
        native = None if self._thin else native_widget()
        if native is None:
            yield HalfBlocks(self._picture, _FEW_COLOURS if self._thin else None)
        else:
            yield native(self._picture, classes="native")


def native_widget() -> Any:
    """Return the class of textual-image for this terminal, or `None` if it can show half blocks only."""
    how, cell = protocol(), cell_pixels()
    if how is None or cell is None:
        return None
    try:
        with _unasked(cell):
            from textual_image.widget import SixelImage, TGPImage
    except (ImportError, OSError, RuntimeError):
        return None
    return TGPImage if how == "kitty" else SixelImage


@contextmanager
def _unasked(cell: tuple[int, int]) -> Iterator[None]:
    """Keep textual-image from asking the terminal when it is imported, which would take the app's keys.

    It does not ask what is no terminal, and takes the size of a cell from the environment then.
    """
    names = {"TEXTUAL_CELL_WIDTH": str(cell[0]), "TEXTUAL_CELL_HEIGHT": str(cell[1])}
    before, stream = {name: os.environ.get(name) for name in names}, sys.__stdout__
    os.environ.update(names)
    sys.__stdout__ = io.StringIO()  # type: ignore[misc, assignment]
    try:
        yield
    finally:
        sys.__stdout__ = stream  # type: ignore[misc]
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
