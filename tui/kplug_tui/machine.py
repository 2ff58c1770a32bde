"""What the machine does at one moment: its processors, memory and GPUs, and the processes of runs."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from kplug.runs.devices import Gpu, gpus
from kplug.runs.directory import RunDirectory
from kplug.runs.run import Run


@dataclass(frozen=True)
class RunProcess:
    """What a run's process takes.

    Attributes:
        pid: Its number; `None` if it has none yet, or one on another host.
        cpu_percent: Of one processor.
        memory_bytes: What it holds of the memory.
        gpus: The UUIDs of the GPUs that it has.
        host: Where it is, if not here.
    """

    pid: int | None = None
    cpu_percent: float | None = None
    memory_bytes: int | None = None
    gpus: tuple[str, ...] = ()
    host: str | None = None


@dataclass(frozen=True)
class Machine:
    """The machine at one moment.

    Attributes:
        cores: How busy each processor was since the moment before, in percent; empty the first time.
        load: How many processes wanted to run, over 1, 5 and 15 minutes; `None` where that is not known.
        memory_bytes: The whole memory.
        used_bytes: What is in use of it.
        gpus: The GPUs.
        processes: Run's id -> what its process takes.
    """

    cores: tuple[float, ...] = ()
    load: tuple[float, float, float] | None = None
    memory_bytes: int = 0
    used_bytes: int = 0
    gpus: tuple[Gpu, ...] = ()
    processes: Mapping[str, RunProcess] = field(default_factory=dict)

    @property
    def cpu_percent(self) -> float | None:
        """How busy all processors were together."""
        return sum(self.cores) / len(self.cores) if self.cores else None


class MachineReader:
    """Looks at the machine time and again; what is counted is counted since the time before."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._times: list[tuple[float, float]] = []
        self._processes: dict[str, psutil.Process] = {}

    def read(self, run_ids: Sequence[str]) -> Machine:
        """Return the machine as it is now, with the processes of these runs."""
        memory = psutil.virtual_memory()
        self._processes = {run_id: one for run_id, one in self._processes.items() if run_id in run_ids}
        return Machine(
            cores=self._cores(),
            load=os.getloadavg() if hasattr(os, "getloadavg") else None,
            memory_bytes=memory.total,
            used_bytes=memory.total - memory.available,
            gpus=tuple(gpus()),
            processes={run_id: self._process_of(run_id) for run_id in run_ids},
        )

    def _cores(self) -> tuple[float, ...]:
        before, self._times = self._times, [_busy_and_all(one) for one in psutil.cpu_times(percpu=True)]
        if len(before) != len(self._times):
            return ()
        return tuple(
            min(100.0, max(0.0, 100.0 * (busy - busy_before) / (whole - whole_before))) if whole > whole_before else 0.0
            for (busy, whole), (busy_before, whole_before) in zip(self._times, before, strict=True)
        )

    def _process_of(self, run_id: str) -> RunProcess:
        status = Run(RunDirectory(self._root / run_id)).status
        held = status.get("gpus")
        uuids = tuple(str(one.get("uuid")) for one in held if isinstance(one, dict)) if isinstance(held, list) else ()
        pid, host = status.get("pid"), status.get("host")
        if host != socket.gethostname():
            return RunProcess(gpus=uuids, host=None if host is None else str(host))
        if not isinstance(pid, int):
            return RunProcess(gpus=uuids)
        try:
            process = self._processes.get(run_id)
            if process is None or process.pid != pid:
                process = self._processes[run_id] = psutil.Process(pid)
                process.cpu_percent()  # begins to count
                return RunProcess(pid, None, process.memory_info().rss, uuids)
            return RunProcess(pid, process.cpu_percent(), process.memory_info().rss, uuids)
        except (psutil.Error, OSError, ValueError, OverflowError):
            return RunProcess(pid, gpus=uuids)


def _busy_and_all(times: Any) -> tuple[float, float]:
    """Return a processor's busy seconds, and all of them."""
    # What guests take is counted as the user's already.
    whole = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    return whole - times.idle - getattr(times, "iowait", 0.0), whole
