"""The devices of a run: chosen before the backend is imported, and sharing each batch where there are several."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kplug.errors import RunStorageError, SpecError
from kplug.runs.devices import Gpu, choose, environment_of, gpus
from kplug.runs.directory import RunDirectory
from kplug.runs.lock import RunLock
from kplug.runs.queue import QUEUED, Survey
from kplug.training.performance import Machine

_LOCK = ".devices.lock"
_LOCK_PATIENCE = 30.0
_CUDA_PACKAGES = {"tensorflow": "kplug[cuda]", "jax": "jax[cuda12]"}


def use_device(
    device: str, directory: RunDirectory, before: Mapping[str, Any] | None, report: Callable[..., None]
) -> list[Gpu] | None:
    """Choose the GPUs of a run and let this process see no others; must run before the backend is imported.

    Args:
        device: What the spec asks for.
        directory: The run's directory; the runs beside it say which GPUs they use.
        before: How the run was executed before it was interrupted. One that began on the CPU goes on there, since
            another device gives other last bits.
        report: Takes the status field `gpus`.

    Returns:
        The GPUs, none for the CPU, or `None` where the backend chooses.

    Raises:
        SpecError: If there is no such GPU.
    """
    if device == "auto" and before and before.get("device") == "cpu":
        device = "cpu"
    root = directory.path.parent
    lock = RunLock(root / _LOCK)
    # Two runs that begin at once must not both take the GPU that is free.
    contended = device in {"auto", "gpu"} and len(gpus()) > 1
    if contended:
        lock.acquire(_LOCK_PATIENCE)
    try:
        chosen = choose(device, _busy(directory) if contended else ())
        report(gpus=[{"index": gpu.index, "uuid": gpu.uuid, "name": gpu.name} for gpu in chosen or ()])
    finally:
        lock.release()
    os.environ.update(environment_of(chosen))
    return chosen


def _busy(directory: RunDirectory) -> list[str]:
    """Return the UUIDs of the GPUs that other runs use."""
    try:
        others = [one for one in Survey(directory.path.parent).look() if one["id"] != directory.id]
    except RunStorageError:
        return []  # how much memory is free is known still
    return [uuid for one in others if one["state"] != QUEUED for uuid in one["gpus"] or ()]


def insist_found(device: str, backend: str, machine: Machine, chosen: list[Gpu] | None) -> None:
    """See to it that the backend found the GPUs that were chosen: without its CUDA libraries it goes on without.

    Raises:
        SpecError: If a GPU was asked for and the backend computes on the CPU.
    """
    if not chosen or machine.device == "gpu":
        return
    package = _CUDA_PACKAGES.get(backend, "a build of PyTorch with CUDA")
    message = f"{backend} finds no GPU, though there is {chosen[0].name}. Install its CUDA libraries: {package}"
    if device != "auto":
        raise SpecError(f"device = {device!r}: {message}")
    print(f"warning: {message}", flush=True)


def accelerators(backend: str) -> list[str]:
    """Return the backend's names of the devices of a run on several."""
    if backend == "tensorflow":
        import tensorflow as tf

        return [f"GPU:{index}" for index, _ in enumerate(tf.config.list_logical_devices("GPU"))]
    import keras

    return keras.distribution.list_devices("gpu")


@contextlib.contextmanager
def data_parallel(backend: str, count: int) -> Iterator[None]:
    """Let everything that is built inside train on several devices, each on its share of every batch.

    TensorFlow does it by a `MirroredStrategy`, JAX by `keras.distribution.DataParallel`.

    Args:
        backend: What Keras computes with.
        count: The number of devices; one leaves all as it is.
    """
    if count < 2:
        yield
        return
    devices = accelerators(backend)
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.distribute.MirroredStrategy(devices).scope():
            yield
        return
    import keras

    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False))
    try:
        yield
    finally:
        keras.distribution.set_distribution(None)
