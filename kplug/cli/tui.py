"""`kplug tui`."""

from __future__ import annotations

from pathlib import Path

import typer

from kplug.cli.quick import QuickCommand
from kplug.cli.run_arguments import RunsDir


def add_to(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("tui", cls=QuickCommand)(tui)


def tui(runs_dir: RunsDir = None) -> None:
    """Open the terminal: choose, train, watch, stop, resume and compare. Runs go on when it is closed."""
    from kplug_tui.app import KplugApp

    KplugApp(None if runs_dir is None else Path(runs_dir)).run()
