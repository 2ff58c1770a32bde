"""`kplug plugins new` and `kplug plugins check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kplug.cli.output import notice
from kplug.cli.quick import QuickCommand

_KINDS = "loss, layer, metric, model, dataset or callback"


def add_to(app: typer.Typer) -> None:
    """Add the commands to the group."""
    app.command("new", cls=QuickCommand)(new_command)


def new_command(
    name: Annotated[str, typer.Argument(help="What it is called: `acme` or `kplug-acme`.")],
    kind: Annotated[
        list[str] | None,
        typer.Option("--kind", help=f"What it has one of: {_KINDS}; may be repeated. By default a loss."),
    ] = None,
    path: Annotated[
        str | None, typer.Option("--path", help="Where its directory is made; by default the current directory.")
    ] = None,
) -> None:
    """Write a new plugin: a package that installs, is found by kplug, and passes its own tests as it is."""
    from importlib.util import find_spec

    from kplug.authoring.new_plugin import next_commands, write_plugin

    kinds = kind or ["loss"]
    directory = write_plugin(name, kinds, None if path is None else Path(path))
    shown = directory.name if path is None else str(Path(path) / directory.name)
    files = sum(one.is_file() for one in directory.rglob("*"))
    print(f"{shown}: {files} files. Next:\n")
    for line in next_commands(name, kinds, shown, "pip" if find_spec("pip") else "uv pip"):
        print(f"  {line}")
    notice(f"\n`kplug plugins check {shown}` says whether it is fit to publish.")
