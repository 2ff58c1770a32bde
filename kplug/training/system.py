"""Samples of CPU, memory and GPUs, taken in a thread of their own while a run trains."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Any

import psutil

from kplug.runs.directory import RunDirectory
from kplug.runs.records import RecordWriter

_INTERVAL_SECONDS = 2.0


class SystemSampler:
    """Appends one sample every two seconds to `system.jsonl`. Use it as a context manager.

    A sample has `time`, `cpu_percent` (of one core, this process), `memory_bytes` (resident), `host_cpu_percent`,
    `host_memory_percent`, and per GPU `utilization_percent`, `memory_bytes`, `power_watts`, `temperature_celsius`.
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
        gpus = _Gpus()
        writer = RecordWriter(self._path)
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
                    "gpus": gpus.sample(),
                }
            )
        writer.close()


class _Gpus:
    """NVIDIA's GPUs, or none where there is no driver."""

    def __init__(self) -> None:
        import pynvml

        self._nvml = pynvml
        try:
            pynvml.nvmlInit()
            self._handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        except pynvml.NVMLError:
            self._handles = []

    def sample(self) -> list[dict[str, Any]]:
        return [
            {
                "utilization_percent": self._read(
                    lambda nvml, gpu: nvml.nvmlDeviceGetUtilizationRates(gpu).gpu, handle
                ),
                "memory_bytes": self._read(lambda nvml, gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).used, handle),
                "power_watts": self._read(lambda nvml, gpu: nvml.nvmlDeviceGetPowerUsage(gpu) / 1000, handle),
                "temperature_celsius": self._read(
                    lambda nvml, gpu: nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU), handle
                ),
            }
            for handle in self._handles
        ]

    def _read(self, query: Any, handle: Any) -> Any:
        try:
            return query(self._nvml, handle)
        except self._nvml.NVMLError:
            return None
