"""Where the `kplug` command begins: the terminal opens without waiting for what the other commands need."""

from __future__ import annotations

import sys


def main() -> None:
    """Open the terminal where that is all that was asked, or run the command line."""
    if sys.argv[1:] in ([], ["tui"]) and sys.stdin.isatty() and sys.stdout.isatty():
        from kplug_tui.app import KplugApp

        KplugApp().run()
        return
    from kplug.cli.app import main as run_command

    run_command()
