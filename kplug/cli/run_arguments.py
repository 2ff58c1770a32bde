"""What the commands about runs have in common."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kplug.plain_text import moment

if TYPE_CHECKING:
    from kplug.runs import Run

RunsDir = Annotated[str | None, typer.Option("--runs-dir", help="Directory that holds the runs.")]
Key = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, the beginning or last part of one, or its name.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
MaxRunning = Annotated[
    int | None,
    typer.Option("--max-running", min=1, help="Wait until fewer than this many runs go on, here or on the named GPUs."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def opened(key: str, runs_dir: str | None) -> Run:
    """Return the run that a person means."""
    from kplug.runs import open_run

    return open_run(key, root_of(runs_dir))


def root_of(runs_dir: str | None) -> Path | None:
    """Return the directory that was given with --runs-dir."""
    return None if runs_dir is None else Path(runs_dir)


def cell(value: Any, field: str = "") -> str:
    """Return a field's value as a table shows it; `None` stands for a number that was not finite."""
    from kplug.runs.question import TIMES

    if field in TIMES and value is not None:
        return moment(value) or "?"
    if value is None:
        return "nan"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
