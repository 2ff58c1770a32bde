"""The GPUs of this machine, as NVIDIA's driver reports them, and which of them a run gets."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kplug.errors import SpecError

DEVICE_PATTERN = r"^(auto|cpu|gpu(:\d+(,\d+)*)?)$"
_VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Gpu:
    """One GPU at one moment; what the driver does not tell is `None`.

    Attributes:
        index: Its number here, as in `gpu:0`: among those that `CUDA_VISIBLE_DEVICES` leaves visible.
        uuid: What the driver knows it by.
        name: Its model.
        memory_bytes: Its whole memory.
        used_bytes: The memory in use, by whomever.
        utilization_percent: How much of the time it computes.
        power_watts: Its power.
        temperature_celsius: Its temperature.
    """

    index: int
    uuid: str
    name: str
    memory_bytes: int | None = None
    used_bytes: int | None = None
    utilization_percent: int | None = None
    power_watts: float | None = None
    temperature_celsius: int | None = None

    @property
    def free_bytes(self) -> int:
        """The memory that is free; 0 where that is not known."""
        return (self.memory_bytes or 0) - (self.used_bytes or 0)


def gpus() -> list[Gpu]:
    """Return the visible GPUs that answer; none where there is no driver of NVIDIA's."""
    import pynvml

    try:
        pynvml.nvmlInit()
        handles = _visible_handles(pynvml)
    except pynvml.NVMLError:
        return []
    found = (_gpu(pynvml, index, handle) for index, handle in enumerate(handles))
    return [gpu for gpu in found if gpu is not None]


def check_device(device: str, backend: str, batch_size: int, here: bool = True) -> None:
    """Refuse a device that this machine does not have, or that cannot be used so.

    Args:
        device: `auto`, `cpu`, `gpu`, `gpu:0` or `gpu:0,1`.
        backend: What Keras computes with.
        batch_size: Samples per step, of which each GPU gets its share.
        here: Whether the run is to be on this machine: which GPUs another one has is not known.

    Raises:
        SpecError: With what there is instead.
    """
    wanted = _indices(device)
    if len(set(wanted)) < len(wanted):
        raise SpecError(f"device = {device!r} names a GPU twice.")
    if len(wanted) > 1 and backend == "torch":
        raise SpecError(
            f"device = {device!r}: on PyTorch a run trains on one GPU. Name one, or use the backend jax or tensorflow."
        )
    if wanted and batch_size % len(wanted):
        raise SpecError(f"device = {device!r}: a batch of {batch_size} cannot be shared equally by {len(wanted)} GPUs.")
    if here and device.startswith("gpu"):
        _chosen(device, gpus())


def choose(device: str, busy: Iterable[str] = ()) -> list[Gpu] | None:
    """Return the GPUs that a run gets: none is an empty list, and `None` leaves the choice to the backend.

    Args:
        device: What was asked for. `auto` is the GPU with the most free memory, `gpu` too, but refused where there is
            none.
        busy: UUIDs of GPUs that other runs use: they are taken only if there is no other.

    Raises:
        SpecError: If there is no such GPU.
    """
    if device == "cpu":
        return []
    found = gpus()
    # A device that NVIDIA's driver knows nothing of (a TPU, Metal) is the backend's own to find.
    return _chosen(device, found, set(busy)) if found or device != "auto" else None


def environment_of(chosen: Sequence[Gpu] | None) -> dict[str, str]:
    """Return the environment of a process that sees these GPUs only, and takes their memory as it needs it."""
    growing = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    growing = {name: value for name, value in growing.items() if name not in os.environ}
    if chosen is None:
        return growing
    if not chosen:
        return {_VISIBLE: "-1", "JAX_PLATFORMS": "cpu"}
    return {**growing, _VISIBLE: ",".join(gpu.uuid for gpu in chosen)}


def named_gpus(device: str) -> list[str] | None:
    """Return the UUIDs of the GPUs that a device names; `None` where it names none, or one that is not there.

    Their numbers alone say nothing to another process, for which `CUDA_VISIBLE_DEVICES` may be another.
    """
    if not _indices(device):
        return None
    try:
        return [gpu.uuid for gpu in _chosen(device, gpus())]
    except SpecError:
        return None


def share_device(waiting: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Say whether a run that waits has to wait for another one.

    A run on GPUs that are named waits for those that train on one of them, whatever they were asked for; any other
    has places on the machine in common with all runs.

    Args:
        waiting: Its `device`, as it was asked for, and `gpus`, the UUIDs of those it waits for, if they are known.
        other: The other one's, and its `state`; its `gpus` are those that it has, or waits for.
    """
    wanted = set(_indices(waiting["device"]))
    if not wanted:
        return True
    if waiting["gpus"] is not None and other["gpus"] is not None:
        return bool(set(waiting["gpus"]) & set(other["gpus"]))
    if other["device"] in {"auto", "gpu"}:
        # It may take any until it has said which; one that waits has taken none.
        return other["gpus"] is None and other["state"] == "starting"
    return bool(wanted & set(_indices(other["device"])))


def _chosen(device: str, found: Sequence[Gpu], busy: set[str] | None = None) -> list[Gpu]:
    if not found:
        raise SpecError(
            f"device = {device!r}: there is no GPU here that NVIDIA's driver shows. Use cpu or auto; kplug doctor says "
            "what there is."
        )
    wanted = _indices(device)
    if not wanted:
        return [max(found, key=lambda gpu: (gpu.uuid not in (busy or ()), gpu.free_bytes))]
    by_index = {gpu.index: gpu for gpu in found}
    missing = [index for index in wanted if index not in by_index]
    if missing:
        there = ", ".join(f"gpu:{gpu.index} ({gpu.name})" for gpu in found)
        raise SpecError(f"device = {device!r}: there is no gpu:{missing[0]} here. There is {there}.")
    return [by_index[index] for index in wanted]


def _indices(device: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", device)]


def _visible_handles(nvml: Any) -> list[Any]:
    """Return the driver's handles of the GPUs that `CUDA_VISIBLE_DEVICES` names, in that order; of all without it."""
    named = os.environ.get(_VISIBLE)
    if named is None:
        return [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
    handles = []
    for name in named.split(","):
        try:
            handles.append(_handle(nvml, name.strip()))
        except nvml.NVMLError:
            break  # as CUDA does: what follows a name that is none is not visible
    return handles


def _handle(nvml: Any, name: str) -> Any:
    if re.fullmatch(r"-?\d+", name):
        return nvml.nvmlDeviceGetHandleByIndex(int(name) % 2**32)
    if name.startswith("GPU-"):  # the beginning of an id is enough for CUDA
        for index in range(nvml.nvmlDeviceGetCount()):
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            if nvml.nvmlDeviceGetUUID(handle).startswith(name):
                return handle
    return nvml.nvmlDeviceGetHandleByUUID(name)


def _gpu(nvml: Any, index: int, handle: Any) -> Gpu | None:
    """Return a GPU; `None` of one that has fallen off the bus, say, and tells not even what it is."""

    def read(query: Callable[[], Any]) -> Any:
        try:
            return query()
        except nvml.NVMLError:
            return None

    uuid, name = read(lambda: nvml.nvmlDeviceGetUUID(handle)), read(lambda: nvml.nvmlDeviceGetName(handle))
    if uuid is None or name is None:
        return None
    memory = read(lambda: nvml.nvmlDeviceGetMemoryInfo(handle))
    return Gpu(
        index=index,
        uuid=uuid,
        name=name,
        memory_bytes=None if memory is None else memory.total,
        used_bytes=None if memory is None else memory.used,
        utilization_percent=read(lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu),
        power_watts=read(lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1000),
        temperature_celsius=read(lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)),
    )
