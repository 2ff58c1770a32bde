"""Curves of long records, made in a thread, so that keys are answered meanwhile."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

    from kplug_tui.drawing import Curve

Make = Callable[[], "Sequence[Curve]"]

_PAUSE_SHARE = 2.0


@dataclass(frozen=True)
class Made:
    """Curves that are ready.

    Attributes:
        curves: The curves; none if they could not be made.
        log: Whether they are for a logarithmic axis.
        problem: Why they could not be made.
        seconds: How long it took.
        subject: Number of what they are of.
    """

    curves: Sequence[Curve]
    log: bool
    problem: str
    seconds: float
    subject: int


class CurveWork:
    """Makes a chart's curves one time after the other. What is asked for meanwhile replaces what waits.

    Args:
        done: Takes what was made, in the thread.
    """

    def __init__(self, done: Callable[[Made], object]) -> None:
        self._done = done
        self._subject = 0
        self._busy = False
        self._waiting: tuple[Make, bool, int] | None = None

    def forget(self) -> None:
        """Let nothing appear that was asked for until now: the chart is of something else."""
        self._subject += 1
        self._waiting = None

    def ask(self, make: Make, log: bool, columns: int) -> None:
        """Make curves as soon as nothing else is being made.

        Args:
            make: Makes them.
            log: Whether y is logarithmic.
            columns: How many cells wide they are drawn; what that takes is found in the thread as well.
        """
        if self._busy:
            self._waiting = make, log, columns
        else:
            self._busy = True
            _thread().submit(self._work, make, log, columns, self._subject).add_done_callback(_raise_nothing)

    def pause_after(self, made: Made) -> float | None:
        """Return after how many seconds to call `go_on`, so that the processor is not taken; `None` for never."""
        return None if self._waiting is None else _PAUSE_SHARE * made.seconds

    def go_on(self) -> None:
        """Make what was asked for meanwhile."""
        self._busy = False
        if self._waiting is not None:
            (make, log, columns), self._waiting = self._waiting, None
            self.ask(make, log, columns)

    def is_of_now(self, made: Made) -> bool:
        """Return whether something is of what the chart still shows."""
        return made.subject == self._subject

    def _work(self, make: Make, log: bool, columns: int, subject: int) -> None:
        from kplug_tui.drawing import whole_view

        begun, problem = time.monotonic(), ""
        curves: Sequence[Curve] = ()
        try:
            curves = make()
            view = whole_view(curves, log)
            for curve in curves:
                curve.thinned(view, 4 * columns)
        except Exception as error:  # noqa: BLE001 - whatever it is, the person is told and the app goes on
            problem = f"{type(error).__name__}: {error}"
        self._done(Made(curves, log, problem, time.monotonic() - begun, subject))


@functools.cache
def _thread() -> ThreadPoolExecutor:
    """Return the one thread for all charts: several would only take the processor from each other."""
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(1, thread_name_prefix="kplug-curves")


def _raise_nothing(future: Future[None]) -> None:
    """Let an app that has just ended not hear of it."""
    future.exception()
