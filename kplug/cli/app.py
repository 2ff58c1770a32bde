"""The `kplug` command."""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated

import typer

from kplug import __version__
from kplug.cli import catalog, doctor, plugins, runs, train, tui
from kplug.cli.quick import QuickGroup
from kplug.errors import KplugError
from kplug.plain_text import safe_text

app = typer.Typer(
    cls=QuickGroup,
    name="kplug",
    help="Keras parts that Keras lacks, plugins that add more, and runs that outlive the terminal.",
    invoke_without_command=True,
    add_completion=True,
    # Rich's help takes longer to import than everything else together.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
catalog.add_to(app)
train.add_to(app)
tui.add_to(app)
app.add_typer(runs.app, name="runs")
app.add_typer(plugins.app, name="plugins")
doctor.add_to(app)

USAGE_ERROR = 2


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"kplug {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print kplug's version and end.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    del version
    if context.invoked_subcommand is not None:
        return
    # In a terminal there is something to look at; anywhere else, something to read.
    if sys.stdin.isatty() and sys.stdout.isatty():
        tui.tui()
    else:
        print(context.get_help())
        raise typer.Exit(USAGE_ERROR)


def main() -> None:
    """Run the command line; a `KplugError` becomes its message and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A run's name may have characters that the terminal's encoding has not.
            stream.reconfigure(errors="replace")
    try:
        app()
    except KplugError as error:
        print(f"error: {safe_text(str(error))}", file=sys.stderr)
        sys.exit(USAGE_ERROR)
    except BrokenPipeError:
        # The reader (`| head`) has had enough; keep Python from complaining again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


if __name__ == "__main__":
    main()
