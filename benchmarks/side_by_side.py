"""Contestants side by side: by turns, so that a change in the machine's speed meets all alike, and compared by round.

`Contestant` is the side that measures; `Pace` is the side of the process that trains. Standard library alone, since a
contestant's interpreter may have nothing of kplug's.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, TypeVar

Measured = TypeVar("Measured")

_EVALUATE = "evaluate"
_PAUSE = 0.4
"""Seconds between turns: threads of the one before spin for a while when their work is done (OpenMP: 0.2 s)."""


def take_turns(turns: Mapping[str, Callable[[], Measured]], rounds: int) -> dict[str, list[Measured]]:
    """Let each contestant measure once per round, in the opposite order every other round.

    Args:
        turns: Name -> what measures once.
        rounds: How many rounds.

    Returns:
        Name -> what was measured, round by round.
    """
    measured: dict[str, list[Measured]] = {name: [] for name in turns}
    for number in range(rounds):
        for name in turns if number % 2 == 0 else reversed(list(turns)):
            time.sleep(_PAUSE)
            measured[name].append(turns[name]())
    return measured


def by_round(
    ours: Sequence[float], theirs: Sequence[float], compare: Callable[[float, float], float] = lambda a, b: a / b
) -> dict[str, float]:
    """Compare two contestants round by round: ratios, if `compare` says nothing else.

    Returns:
        `median`, `lower_quartile` and `upper_quartile` over the rounds, at least two.
    """
    lower, median, upper = statistics.quantiles(map(compare, ours, theirs), n=4, method="inclusive")
    return {"median": round(median, 3), "lower_quartile": round(lower, 3), "upper_quartile": round(upper, 3)}


def child_environment() -> dict[str, str]:
    """Return the environment of a contestant: this process's, with bytecode caches and without TensorFlow's chatter."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return environment


class ContestantEnded(SystemExit):
    """A contestant's process ended before it answered; the message has what it said last."""


class Contestant:
    """A process that trains on order and waits in between.

    Args:
        command: What starts it; its program uses `Pace`.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=child_environment(),
            text=True,
        )
        self._answer()  # the first epoch, with all that is done only once

    def train(self, epochs: int) -> float:
        """Train for some epochs and return the seconds they took."""
        return self.order(epochs)["seconds"]

    def evaluate(self) -> float:
        """Return the figure that the contestant's program evaluates."""
        return self.order(_EVALUATE)["figure"]

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()
        self._errors.close()

    def order(self, order: Any) -> dict[str, float]:
        """Send one line to the contestant's program, and return what it answers."""
        assert self._process.stdin
        self._process.stdin.write(f"{order}\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, float]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            self._errors.seek(0)
            said = self._errors.read().decode(errors="replace")[-2000:]
            raise ContestantEnded(f"{' '.join(self._command[1:])} ended with exit code {code}:\n{said}")
        return json.loads(line)


class Pace:
    """Paces the training of this process by the orders on standard input.

    One epoch is trained without an order. Standard output is kept for answers: what libraries print goes to standard
    error from now on.
    """

    def __init__(self) -> None:
        self._answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        self._left = 1
        self._evaluate: Callable[[], float] = lambda: float("nan")
        self._begun = time.perf_counter()

    def begin(self, evaluate: Callable[[], float]) -> None:
        """Start the clock of the first epoch; `evaluate` returns the figure that may be asked for later."""
        self._evaluate = evaluate
        self._begun = time.perf_counter()

    def epoch_end(self) -> None:
        """Note the end of an epoch, after all its work is done; the process ends here when no more orders come."""
        self._left -= 1
        while self._left == 0:
            self._tell(seconds=time.perf_counter() - self._begun)
            order = sys.stdin.readline().strip()
            while order == _EVALUATE:
                self._tell(figure=self._evaluate())
                order = sys.stdin.readline().strip()
            if not order:
                os._exit(0)  # from within `fit`, whose finally-blocks nobody needs
            self._left = int(order)
            self._begun = time.perf_counter()

    def _tell(self, **fields: float) -> None:
        self._answers.write(json.dumps(fields) + "\n")
        self._answers.flush()


def has_modules(python: str | Path, *modules: str) -> bool:
    """Say whether an interpreter could import these modules."""
    code = "import sys, importlib.util as u; sys.exit(not all(u.find_spec(m) for m in sys.argv[1:]))"
    return subprocess.run([python, "-c", code, *modules], check=False).returncode == 0
