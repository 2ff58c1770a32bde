"""Pictures for a terminal: read from files, and put into half blocks. No widget; reading is done in a thread."""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.color import Color
from rich.segment import Segment
from rich.style import Style

from kplug.errors import KplugError

if TYPE_CHECKING:
    from PIL.Image import Image

ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff"})
"""The endings of files that are pictures."""

_MOST_PIXELS = 2000
_UPPER_HALF = "▀"


def read_picture(path: Path) -> Image:
    """Read a picture, not larger than a screen needs it.

    Raises:
        KplugError: If it cannot be read, or is damaged.
    """
    from PIL import Image

    try:
        with Image.open(path) as file:
            file.draft("RGB", (_MOST_PIXELS, _MOST_PIXELS))
            file.thumbnail((_MOST_PIXELS, _MOST_PIXELS))
            picture = file.convert("RGBA")
    except FileNotFoundError:
        raise KplugError(f"{path.name} is no longer there.") from None
    except PermissionError as error:
        raise KplugError(f"{path.name} cannot be read: {error.strerror or error}.") from error
    except Image.DecompressionBombError as error:
        raise KplugError(f"{path.name} is too large to be shown.") from error
    # What Pillow's readers raise for damaged files.
    except (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, struct.error, MemoryError) as error:
        raise KplugError(f"{path.name} is damaged, or no picture: {error}") from error
    whole = Image.new("RGB", picture.size, "white")
    whole.paste(picture, mask=picture.getchannel("A"))
    return whole


def half_blocks(picture: Image, width: int, height: int, colours: int | None = None) -> list[list[Segment]]:
    """Return rows of characters whose upper and lower halves are the picture's pixels, as large as fits.

    Args:
        picture: The picture, RGB.
        width: Cells there are beside each other.
        height: Cells there are below each other.
        colours: How many colours to do with, for a thin connection; as many as there are by default.
    """
    from PIL import Image

    if width < 1 or height < 1 or not picture.width or not picture.height:
        return []
    scale = min(width / picture.width, 2 * height / picture.height)
    columns = max(1, min(width, round(picture.width * scale)))
    rows = max(1, min(height, round(picture.height * scale / 2)))
    small = picture.resize((columns, 2 * rows), Image.Resampling.BOX if scale < 1 else Image.Resampling.NEAREST)
    if colours is not None:
        small = small.quantize(colours, dither=Image.Dither.NONE).convert("RGB")
    pixels = small.tobytes()
    line = 3 * columns
    return [
        _row(pixels[2 * y * line : (2 * y + 1) * line], pixels[(2 * y + 1) * line : 2 * (y + 1) * line])
        for y in range(rows)
    ]


def _row(upper: bytes, lower: bytes) -> list[Segment]:
    segments: list[Segment] = []
    before, count = b"", 0
    for at in range(0, len(upper) + 3, 3):
        pair = upper[at : at + 3] + lower[at : at + 3]
        if pair != before:
            if count:
                segments.append(Segment(_UPPER_HALF * count, _style(before)))
            before, count = pair, 0
        count += 1
    return segments


def _style(pair: bytes) -> Style:
    return Style(color=Color.from_rgb(*pair[:3]), bgcolor=Color.from_rgb(*pair[3:]))


def protocol() -> str | None:
    """Return how the terminal takes pictures, by what it calls itself: `kitty`, `sixel`, or `None` if it does not say.

    A terminal is not asked: its answer would be read as keys by the app, which reads all that comes from it.
    """
    if os.environ.get("TMUX") or os.environ.get("STY"):
        return None
    term, program = os.environ.get("TERM", ""), os.environ.get("TERM_PROGRAM", "").lower()
    if term in {"xterm-kitty", "xterm-ghostty"} or program in {"kitty", "ghostty"}:
        return "kitty"
    if term.startswith(("foot", "mlterm", "contour")) or program in {"wezterm", "iterm.app", "mlterm", "contour"}:
        return "sixel"
    return None


def cell_pixels() -> tuple[int, int] | None:
    """Return the size of the terminal's cells in pixels, or `None` if it does not say."""
    try:
        import fcntl
        import termios

        stream = sys.__stdout__
        if stream is None or not stream.isatty():
            return None
        found = fcntl.ioctl(stream.fileno(), termios.TIOCGWINSZ, b"\0" * 8)
        rows, columns, width, height = struct.unpack("HHHH", found)
    except (ImportError, OSError, ValueError):
        return None
    return (width // columns, height // rows) if rows and columns and width >= columns and height >= rows else None
