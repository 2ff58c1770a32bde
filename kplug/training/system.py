"""Samples of CPU, memory and GPUs, taken in a thread of their own while a run trains."""

from __future__ import annotations

import contextlib
import threading
import time
from types import TracebackType
from typing import Any

import psutil

from kplug.errors import RunStorageError
from kplug.runs.devices import Gpu, gpus
from kplug.runs.directory import RunDirectory
from kplug.runs.records import RecordWriter

_INTERVAL_SECONDS = 2.0


class SystemSampler:
    """Appends one sample every two seconds to `system.jsonl`. Use it as a context manager.

    A sample has `time`, `cpu_percent` (of one core, this process), `memory_bytes` (resident), `host_cpu_percent`,
    `host_memory_percent`, and for each GPU that this process sees its `uuid`, `utilization_percent`, `memory_bytes`,
    `power_watts` and `temperature_celsius`.
    """

    def __init__(self, directory: RunDirectory) -> None:
        self._path = directory.system
        self._process = psutil.Process()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample_until_ended, name="kplug-system", daemon=True)

    def __enter__(self) -> SystemSampler:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _sample_until_ended(self) -> None:
        try:
            writer = RecordWriter(self._path)
        except RunStorageError as error:
            print(f"warning: the machine is not sampled: {error}", flush=True)
            return
        self._process.cpu_percent()
        psutil.cpu_percent()
        while not self._ended.wait(_INTERVAL_SECONDS):
            writer.write(
                {
                    "time": time.time(),
                    "cpu_percent": self._process.cpu_percent(),
                    "memory_bytes": self._process.memory_info().rss,
                    "host_cpu_percent": psutil.cpu_percent(),
                    "host_memory_percent": psutil.virtual_memory().percent,
                    "gpus": [_sample(gpu) for gpu in gpus()],
                }
            )
        with contextlib.suppress(RunStorageError):
            writer.close()


def _sample(gpu: Gpu) -> dict[str, Any]:
    return {
        "uuid": gpu.uuid,
        "utilization_percent": gpu.utilization_percent,
        "memory_bytes": gpu.used_bytes,
        "power_watts": gpu.power_watts,
        "temperature_celsius": gpu.temperature_celsius,
    }
