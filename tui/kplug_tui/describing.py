"""Learning in threads what components take: one plugin at a time, whichever screens wait for it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping

from kplug.catalog import description
from kplug.catalog.component import OWN_NAMESPACE, Component
from kplug.catalog.description import Description

_lock = threading.Lock()


def described(components: Iterable[Component], again: bool = False) -> Iterator[Mapping[Component, Description]]:
    """Yield descriptions plugin by plugin, kplug's own first; one that hangs keeps only those behind it back.

    What another screen has learned meanwhile is not learned again.

    Args:
        components: The components.
        again: Whether to learn anew what is known.

    Raises:
        KplugError: If the child processes were ended, because the app was left.
    """
    plugins: dict[str, list[Component]] = {}
    for component in components:
        plugins.setdefault(component.distribution, []).append(component)
    for distribution in sorted(plugins, key=lambda name: (name != OWN_NAMESPACE, name)):
        wanted = plugins[distribution]
        with _lock:
            found = {} if again else dict(description.known(wanted))
            missing = [one for one in wanted if one not in found]
            if missing:
                found |= description.describe_all(missing)
        yield found
