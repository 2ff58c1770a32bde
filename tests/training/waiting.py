"""Waiting for what a run's worker does."""

import time

_PATIENCE = 120.0


def wait(run, until=lambda run: run.ended):
    """Wait until something is true of a run, which by default is that it has ended, and return the run."""
    deadline = time.monotonic() + _PATIENCE
    while not until(run):
        assert time.monotonic() < deadline, f"still {run.status}\n{run.log()}"
        time.sleep(0.01)
    return run
