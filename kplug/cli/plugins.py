"""`kplug plugins …`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kplug.cli import plugin_authoring
from kplug.cli.output import notice, print_json, print_table
from kplug.cli.quick import QuickCommand, QuickGroup
from kplug.cli.run_arguments import Yes
from kplug.plain_text import safe_line

# Every command imports this module, and only some ask the catalog.
if TYPE_CHECKING:
    from kplug.catalog.plugins import Plugin

app = typer.Typer(
    cls=QuickGroup, help="List, enable, disable and install plugins.", no_args_is_help=True, rich_markup_mode=None
)
plugin_authoring.add_to(app)

Name = Annotated[str, typer.Argument(help="A plugin, as `kplug plugins list` names it, or its namespace.")]
_NAMED_COMPONENTS = 3


@app.command("list", cls=QuickCommand)
def list_command(json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the installed plugins, importing none of them."""
    from kplug.catalog.admission import ALLOW_LIST
    from kplug.catalog.plugins import not_installed_but_allowed, plugins

    found = plugins()
    unknown = not_installed_but_allowed(found)
    if unknown:
        notice(safe_line(f"{ALLOW_LIST} names what is not installed: {', '.join(unknown)}."))
    if json:
        print_json([one.as_json() for one in found])
        return
    rows = [(one.distribution, one.version, one.state, _components(one), one.error or "") for one in found]
    print_table(("PLUGIN", "VERSION", "STATE", "COMPONENTS", "ERROR"), rows)


@app.command("enable", cls=QuickCommand)
def enable_command(name: Name) -> None:
    """Use a plugin again that was disabled."""
    from kplug.catalog.plugins import enable

    _say(enable(name))


@app.command("disable", cls=QuickCommand)
def disable_command(name: Name) -> None:
    """Keep a plugin from being used: it is in no choice, and is never imported."""
    from kplug.catalog.plugins import disable

    _say(disable(name))


@app.command("install", cls=QuickCommand)
def install_command(
    requirements: Annotated[
        list[str],
        typer.Argument(metavar="REQUIREMENT…", help="As pip takes them: kplug-acme, kplug-acme==1.2, a path."),
    ],
) -> None:
    """Install plugins into this environment, through uv or pip."""
    from kplug.catalog import installation

    _run(installation.install_command(requirements))


@app.command("uninstall", cls=QuickCommand)
def uninstall_command(name: Name, yes: Yes = False) -> None:
    """Uninstall a plugin from this environment, through uv or pip."""
    from kplug.catalog import installation

    found = installation.removable(name)
    command = installation.uninstall_command(found)
    if not yes:
        typer.confirm(safe_line(f"Uninstall {found.distribution} {found.version}, {_components(found)}?"), abort=True)
    _run(command)


def _run(command: list[str]) -> None:
    """Run an installer, say what came and went, and end with its exit code."""
    import shlex
    import subprocess

    from kplug.catalog.installation import plugins_afresh
    from kplug.catalog.plugins import plugins

    before = plugins()
    notice(f"$ {shlex.join(command)}")
    done = subprocess.run(command, check=False)
    _say_difference(before, plugins_afresh())
    if done.returncode:
        raise typer.Exit(done.returncode)


def _say_difference(before: tuple[Plugin, ...], after: tuple[Plugin, ...]) -> None:
    were = {(one.kind, one.id) for plugin in before for one in plugin.components}
    are = {(one.kind, one.id) for plugin in after for one in plugin.components}
    for words, changed in (("Came", are - were), ("Went", were - are)):
        if changed:
            notice(f"{words}: {', '.join(f'{name} ({kind})' for kind, name in sorted(changed))}")
    if were == are:
        notice("No component came or went.")
    versions = {one.distribution: one.version for one in before}
    for plugin in after:
        if versions.get(plugin.distribution) != plugin.version:
            _say(plugin)


@app.command("trust", cls=QuickCommand)
def trust_command(
    named: Annotated[
        str,
        typer.Argument(
            metavar="FILE|MODULE:OBJECT",
            help="A .py file, or a module, that somebody else's run or model brings along.",
        ),
    ],
) -> None:
    """Let a file of somebody else's run be run here, as it is now, or a module; look at it first."""
    from kplug.catalog.trust import trust

    trust(named)
    notice(f"{safe_line(named)} is trusted{' as it is now' if named.endswith('.py') else ''}.")


def _say(plugin: Plugin) -> None:
    error = f": {plugin.error}" if plugin.error else ""
    notice(f"{safe_line(f'{plugin.distribution} {plugin.version}'.rstrip())} is {plugin.state}{error}.")


def _components(plugin: Plugin) -> str:
    names = [component.name for component in plugin.components]
    shown = ", ".join(names[:_NAMED_COMPONENTS]) + (", …" if len(names) > _NAMED_COMPONENTS else "")
    return f"{len(names)}: {shown}" if names else "0"
