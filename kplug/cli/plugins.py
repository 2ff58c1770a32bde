"""`kplug plugins …`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kplug.cli import plugin_authoring
from kplug.cli.output import notice, print_json, print_table
from kplug.cli.quick import QuickCommand, QuickGroup
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
    from kplug.catalog.plugins import plugins

    found = plugins()
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


@app.command("trust", cls=QuickCommand)
def trust_command(
    file: Annotated[str, typer.Argument(help="A .py file that somebody else's run or model brings along.")],
) -> None:
    """Let a file of somebody else's run be run here, as it is now; look at it first."""
    from pathlib import Path

    from kplug.catalog.trust import trust_file

    trust_file(Path(file))
    notice(f"{safe_line(file)} is trusted as it is now.")


def _say(plugin: Plugin) -> None:
    error = f": {plugin.error}" if plugin.error else ""
    notice(f"{safe_line(plugin.distribution)} is {plugin.state}{error}.")


def _components(plugin: Plugin) -> str:
    names = [component.name for component in plugin.components]
    shown = ", ".join(names[:_NAMED_COMPONENTS]) + (", …" if len(names) > _NAMED_COMPONENTS else "")
    return f"{len(names)}: {shown}" if names else "0"
