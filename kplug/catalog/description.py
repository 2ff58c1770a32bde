"""What can be learned of a component only by importing it, learned in a child process and kept on disk."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from kplug.catalog import description_cache
from kplug.catalog.component import Component
from kplug.catalog.discovery import catalog
from kplug.catalog.facts import INFO_FIELDS
from kplug.catalog.parameters import Parameter
from kplug.catalog.registration import is_registered, registered_object
from kplug.catalog.resolution import withheld_because
from kplug.catalog.surroundings import surroundings
from kplug.errors import BrokenComponentError

_CHILDREN_AT_ONCE = 4


@dataclass(frozen=True)
class Description:
    """A component's description.

    Attributes:
        component: The component described.
        status: `"ok"`, or `"broken"` if importing it fails, hangs or ends the process.
        error: What went wrong, for a broken component.
        summary: The docstring's first paragraph.
        documentation: The whole docstring.
        parameters: The hyper-parameters.
        tasks: What the component is for.
        provides: The fields of a data set's info record.
        loss: A model's default loss.
        own_loss: Whether a model computes its loss itself and takes no other.
        optimizer: A model's default optimizer.
        metrics: A model's default metrics.
        references: Papers and other sources.
        source: `file:line` of the definition.
        imports: Backends that its plugin imports besides the one that Keras computes with; whoever uses it waits for
            them.
    """

    component: Component
    status: str = "ok"
    error: str | None = None
    summary: str = ""
    documentation: str = ""
    parameters: tuple[Parameter, ...] = ()
    tasks: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    loss: str | None = None
    own_loss: bool = False
    optimizer: str | None = None
    metrics: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    source: str | None = None
    imports: tuple[str, ...] = ()

    @property
    def broken(self) -> bool:
        """Whether the component cannot be used."""
        return self.status == "broken"

    @property
    def info_parameters(self) -> tuple[str, ...]:
        """The parameters that a data set's info record fills."""
        return tuple(parameter.name for parameter in self.parameters if parameter.name in INFO_FIELDS)

    def as_json(self) -> dict[str, Any]:
        """Return the description as a dictionary that JSON can hold."""
        record = {name: value for name, value in asdict(self).items() if name != "component"}
        record["parameters"] = [{**asdict(parameter), "type": parameter.type} for parameter in self.parameters]
        return {"id": self.component.id, **asdict(self.component), **record}


def describe(component: Component) -> Description:
    """Return a component's description, from the cache or from a child process.

    A component that cannot be imported is returned as broken, with its error; nothing is raised.
    """
    return describe_all([component])[component]


def require(component: Component) -> Description:
    """Return a component's description, and insist that it works.

    Raises:
        BrokenComponentError: If the component is broken.
    """
    description = describe(component)
    if description.broken:
        raise BrokenComponentError(f"{component.in_words} is broken: {description.error}")
    return description


def describe_all(wanted: Iterable[Component]) -> dict[Component, Description]:
    """Return the descriptions of several components; each plugin that is not in the cache gets one child process."""
    wanted = list(wanted)
    found = known(wanted)
    # What broke a component may have been the environment (a wrong KERAS_BACKEND, a full disk): it is tried again.
    missing = _origins(one for one in wanted if one.fault is None and (one not in found or found[one].broken))
    if missing:
        # Listing describes nothing, and waits for no import that this takes.
        from concurrent.futures import ThreadPoolExecutor

        from kplug.child_process import end_children

        with ThreadPoolExecutor(_CHILDREN_AT_ONCE) as pool:
            try:
                for descriptions in pool.map(_inspect, missing):
                    found.update({one.component: one for one in descriptions})
            except BaseException as error:
                pool.shutdown(wait=False, cancel_futures=True)
                if not isinstance(error, Exception):  # Ctrl-C: nobody waits for the children any more
                    end_children()
                raise
    return {component: found[component] for component in wanted}


def known(wanted: Iterable[Component]) -> dict[Component, Description]:
    """Return the descriptions that need no process: those in the cache, and those of faulty entry points."""
    wanted = set(wanted)
    found = {one: Description(one, status="broken", error=one.fault) for one in wanted if one.fault is not None}
    found.update({one: _learned_here(one) for one in wanted if is_registered(one)})
    withheld = wanted.intersection(catalog().withheld)
    found.update({one: Description(one, status="broken", error=withheld_because(one)) for one in withheld})
    now = surroundings()
    for siblings in _origins(one for one in wanted if one not in found):
        records = description_cache.read(siblings, now)
        found.update(
            (one, _from_record(one, records[one.kind, one.name]))
            for one in siblings
            if one in wanted and (one.kind, one.name) in records
        )
    return found


def _inspect(siblings: tuple[Component, ...]) -> list[Description]:
    from kplug.catalog.child import inspect_in_child

    key = description_cache.key_of(siblings, surroundings())
    records = inspect_in_child(siblings)
    description_cache.write(siblings, records, key)
    return [_from_record(one, records[one.kind, one.name]) for one in siblings]


def _origins(wanted: Iterable[Component]) -> list[tuple[Component, ...]]:
    """Return what is described together: a plugin's components, or one that is named by where it is."""
    wanted = list(wanted)
    of: dict[str, list[Component]] = {one.distribution: [] for one in wanted if not one.reference}
    for one in catalog().components:
        if one.distribution in of and one.fault is None:
            of[one.distribution].append(one)
    plugins = [tuple(siblings) for _, siblings in sorted(of.items()) if siblings]
    return plugins + [(one,) for one in wanted if one.reference]


def _learned_here(component: Component) -> Description:
    """Describe what this process has registered, which it alone has."""
    from kplug.catalog.inspection import learn

    try:
        return _from_record(component, learn(component.kind, registered_object(component)))
    except (TypeError, ValueError) as error:  # some that are written in C tell nobody what they take
        return Description(component, status="broken", error=f"{type(error).__name__}: {error}")


def _from_record(component: Component, record: dict[str, Any]) -> Description:
    facts: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in record.items()}
    facts["parameters"] = tuple(Parameter(**parameter) for parameter in record.get("parameters", ()))
    return Description(component, **facts)
