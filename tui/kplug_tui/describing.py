"""Learning in threads what components take: each plugin once, whichever screens wait for it."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from kplug.catalog import description
from kplug.catalog.component import OWN_NAMESPACE, Component
from kplug.catalog.description import Description

_AT_ONCE = 3
"""How many plugins are looked at side by side: one that hangs holds back those behind it only with two more of it."""

_locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)


def described(components: Iterable[Component], again: bool = False) -> Iterator[Mapping[Component, Description]]:
    """Yield descriptions plugin by plugin: kplug's own first, the others as they come.

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
    own = plugins.pop(OWN_NAMESPACE, None)
    if own:
        yield _learned(own, again)
    pool = ThreadPoolExecutor(_AT_ONCE, "kplug-describing")
    try:
        for future in as_completed([pool.submit(_learned, plugins[name], again) for name in sorted(plugins)]):
            yield future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _learned(wanted: Sequence[Component], again: bool) -> Mapping[Component, Description]:
    with _locks[wanted[0].distribution]:
        found = {} if again else dict(description.known(wanted))
        missing = [one for one in wanted if one not in found]
        return found | description.describe_all(missing) if missing else found
