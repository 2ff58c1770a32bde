"""`kplug plugins new` and `kplug plugins check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kplug.cli.output import notice, print_json
from kplug.cli.quick import QuickCommand
from kplug.plain_text import safe_line

_KINDS = "loss, layer, metric, model, dataset, callback or launcher"


def add_to(app: typer.Typer) -> None:
    """Add the commands to the group."""
    app.command("new", cls=QuickCommand)(new_command)
    app.command("check", cls=QuickCommand)(check_command)


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


def check_command(
    plugin: Annotated[
        str, typer.Argument(metavar="[PATH|NAME]", help="A plugin's directory, or an installed plugin's name.")
    ] = ".",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say whether a plugin is fit to publish: its names, documentation, saving, imports, behaviour and wheel.

    It is imported in processes of its own, with a time limit. The exit code is 1 if there is an error.
    """
    import tempfile

    from kplug.authoring.checking import check_plugin

    with tempfile.TemporaryDirectory(prefix="kplug-") as folder:
        notice("Looking at the plugin, and trying each component: this takes a minute …")
        report = check_plugin(plugin, Path(folder))
        findings = []
        for finding in report.findings:
            findings.append(finding)
            if not json:
                print(
                    safe_line(f"{finding.level:<8} {finding.subject}  {finding.check}: {finding.message}").rstrip(": ")
                )
    errors, warnings = (sum(one.level == level for one in findings) for level in ("error", "warning"))
    if json:
        print_json(
            {
                "distribution": report.distribution,
                "version": report.version,
                "fit": errors == 0,
                "findings": [one.as_json() for one in findings],
            }
        )
    else:
        verdict = "not fit to publish" if errors else "fit to publish"
        name = safe_line(f"{report.distribution} {report.version}")
        print(f"\n{name} is {verdict} (errors: {errors}, warnings: {warnings})")
    if errors:
        raise typer.Exit(1)
