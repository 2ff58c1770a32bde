"""`kplug list` and `kplug show`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kplug.catalog.component import KINDS, Component
from kplug.cli.output import notice, print_fields, print_json, print_table
from kplug.cli.quick import QuickCommand
from kplug.plain_text import safe_text

# Every command imports this module, and only some ask the catalog.
if TYPE_CHECKING:
    from kplug.catalog.description import Description


_SHOWN_OF_VERSION = 20
"""A file's is a hash, of which nobody reads more."""


def add_to(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("list", cls=QuickCommand)(list_components)
    app.command("show", cls=QuickCommand)(show_component)


def list_components(
    kind: Annotated[str | None, typer.Argument(help=f"One kind only: {', '.join(KINDS.values())}.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the components that are installed, importing none of them."""
    from kplug.catalog.description import known
    from kplug.catalog.discovery import components

    found = components(kind)
    descriptions = known(found)
    if json:
        print_json([_as_json(component, descriptions.get(component)) for component in found])
        return
    rows = [
        (component.kind, component.id, component.version, _summary(descriptions.get(component))) for component in found
    ]
    print_table(("KIND", "ID", "VERSION", "SUMMARY"), rows)
    if len(descriptions) < len(found):
        notice("Summaries appear once a component has been shown or used: `kplug show NAME`, `kplug doctor`.")


def show_component(
    name: Annotated[str, typer.Argument(help="A component, as `kplug list` names it.")],
    kind: Annotated[str | None, typer.Option("--kind", help="Look among one kind only.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show a component's documentation, its hyper-parameters and where it comes from."""
    from kplug.catalog.description import describe
    from kplug.catalog.resolution import resolve

    component = resolve(name, kind)
    announce_inspection([component])
    description = describe(component)
    if json:
        print_json(description.as_json())
    else:
        _print_description(description)
    if description.broken:
        raise typer.Exit(1)


def announce_inspection(wanted: list[Component]) -> None:
    """Say what takes a few seconds, if a component's description is not in the cache."""
    from kplug.catalog.description import known

    missing = sorted({component.distribution for component in wanted} - {one.distribution for one in known(wanted)})
    if missing:
        notice(f"Importing {', '.join(missing)} once, to learn what its components take …")


def _as_json(component: Component, description: Description | None) -> dict[str, Any]:
    return {
        "id": component.id,
        "kind": component.kind,
        "name": component.name,
        "namespace": component.namespace,
        "target": component.target,
        "distribution": component.distribution,
        "version": component.version,
        "status": "unknown" if description is None else description.status,
        "error": None if description is None else description.error,
        "summary": None if description is None else description.summary,
    }


def _summary(description: Description | None) -> str:
    if description is None:
        return ""
    return f"broken: {description.error}" if description.broken else description.summary


def _print_description(description: Description) -> None:
    component = description.component
    fields = [
        ("kind", component.kind),
        ("from", f"{component.distribution} {component.version[:_SHOWN_OF_VERSION]}".rstrip()),
        ("target", component.target),
        ("source", description.source or "unknown"),
    ]
    if description.tasks:
        fields.append(("tasks", ", ".join(description.tasks)))
    if description.provides:
        fields.append(("provides", ", ".join(description.provides)))
    fields += [
        (label, value)
        for label, value in (("loss", description.loss), ("optimizer", description.optimizer))
        if value is not None
    ]
    if description.broken:
        fields.append(("broken", description.error or ""))
    print(component.id)
    print_fields(fields, indent="  ")
    if description.documentation:
        print(f"\n{safe_text(description.documentation)}")
    if description.parameters:
        print("\nHyper-parameters:")
        print_table(
            ("  NAME", "TYPE", "DEFAULT"),
            [
                (f"  {one.name}", one.type, "(required)" if one.required else repr(one.default))
                for one in description.parameters
            ],
        )
