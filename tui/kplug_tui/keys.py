"""The actions of all screens, by name, and which keys they have."""

from __future__ import annotations

import difflib
import functools
import importlib
import pkgutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from textual.app import App
from textual.binding import Binding
from textual.dom import DOMNode
from textual.screen import Screen

_RESERVED = {
    "tab": "goes to the next part of the screen",
    "shift+tab": "goes to the part before",
    "ctrl+p": "opens the command palette",
    "ctrl+c": "copies, or says how to leave",
}


@dataclass(frozen=True)
class Action:
    """Something that a key does.

    Attributes:
        id: Its name, as in `runs.stop`.
        description: What it does, in a word or two.
        usual: The keys that it has unless the person has set others, separated by commas.
        owners: The classes that have it.
    """

    id: str
    description: str
    usual: str
    owners: tuple[type[DOMNode], ...]

    @property
    def place(self) -> str:
        """The part of the terminal that it belongs to."""
        return self.id.partition(".")[0]

    def keys(self, changed: Mapping[str, str]) -> str:
        """Return its keys, given those that the person has set."""
        return changed.get(self.id) or self.usual


def all_actions() -> list[Action]:
    """Return the actions of the app, its screens and widgets that have a name, in their order there."""
    found: dict[str, Action] = {}
    for owner in _classes():
        for binding in owner.__dict__.get("BINDINGS", ()):
            if not isinstance(binding, Binding) or binding.id is None:
                continue
            before = found.get(binding.id)
            if before is None:
                found[binding.id] = Action(binding.id, binding.description, binding.key, (owner,))
            else:
                found[binding.id] = Action(before.id, before.description, before.usual, (*before.owners, owner))
    order = list(dict.fromkeys(one.place for one in found.values()))
    return sorted(found.values(), key=lambda one: order.index(one.place))


def conflict(action: Action, key: str, actions: Sequence[Action], changed: Mapping[str, str]) -> str | None:
    """Say why an action cannot have a key, or return `None`.

    Args:
        action: The action.
        key: The key, as Textual calls it.
        actions: All actions.
        changed: The keys that the person has set.
    """
    if key in _RESERVED:
        return f"{key} {_RESERVED[key]}."
    for other in actions:
        if other.id != action.id and key in other.keys(changed).split(",") and _meet(action, other):
            return f"{key} is the key of {other.id} ({other.description}). Give that one another key first."
    return None


def problems_of(changed: Mapping[str, str]) -> list[str]:
    """Return what is wrong with the keys that a person has set, in words.

    Args:
        changed: Keys by the id of their action, several of them with commas between.
    """
    actions = {action.id: action for action in all_actions()}
    problems = []
    for name, keys in changed.items():
        if name not in actions:
            near = difflib.get_close_matches(name, actions, 1)
            problems.append(f"[keys]: there is no action {name}.{f' Did you mean {near[0]}?' if near else ''}")
            continue
        found = (conflict(actions[name], key.strip(), list(actions.values()), changed) for key in keys.split(","))
        problems += [f"[keys]: {name} = {keys!r}: {problem}" for problem in found if problem]
    return problems


def _meet(action: Action, other: Action) -> bool:
    """Say whether two actions are ever there at the same time."""
    return any(_share(one, another) for one in action.owners for another in other.owners)


def _share(one: type[DOMNode], another: type[DOMNode]) -> bool:
    if issubclass(one, App) or issubclass(another, App):
        return True
    if issubclass(one, Screen) != issubclass(another, Screen):
        widget, screen = (another, one) if issubclass(one, Screen) else (one, another)
        return any(widget in _parts_of(each.__module__) for each in (screen, *_descendants(screen)))
    return issubclass(one, another) or issubclass(another, one)


def _descendants(owner: type[DOMNode]) -> Iterator[type[DOMNode]]:
    for child in owner.__subclasses__():
        yield child
        yield from _descendants(child)


@functools.cache
def _parts_of(module: str) -> frozenset[type[DOMNode]]:
    """Return the widgets that a module has, imports, or whose modules do: what may stand on its screen."""
    found: set[type[DOMNode]] = set()
    waiting, seen = [module], {module}
    while waiting:
        for value in vars(sys.modules[waiting.pop()]).values():
            if not isinstance(value, type) or not issubclass(value, DOMNode) or issubclass(value, App | Screen):
                continue
            found.update(one for one in value.__mro__ if issubclass(one, DOMNode))
            if value.__module__.startswith("kplug_tui.") and value.__module__ not in seen:
                seen.add(value.__module__)
                waiting.append(value.__module__)
    return frozenset(found)


def _classes() -> Iterator[type[DOMNode]]:
    """Yield the app's class, those of screens and those of widgets."""
    import kplug_tui.screens
    import kplug_tui.widgets
    from kplug_tui.app import KplugApp

    yield KplugApp
    for package in (kplug_tui.screens, kplug_tui.widgets):
        for found in sorted(pkgutil.iter_modules(package.__path__), key=lambda one: one.name):
            module = importlib.import_module(f"{package.__name__}.{found.name}")
            for value in vars(module).values():
                if isinstance(value, type) and issubclass(value, DOMNode) and value.__module__ == module.__name__:
                    yield value
