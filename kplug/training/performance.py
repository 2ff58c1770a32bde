"""What the worker chooses for speed, on any model: threads, steps per execution, data pipeline, fused optimizer.

Every choice follows from the model, the data and the machine by rule, without timing anything, so that two runs of
one spec on one machine choose alike. The choices are recorded with the run.
"""

from __future__ import annotations

import math
import os
from dataclasses import asdict, dataclass
from typing import Any

import joblib

EXECUTION_SECONDS = 0.1
"""How long one execution of several steps should take at most: a run can stop between executions only."""

_MOST_STEPS = 32
_RECORD_SECONDS = 0.1
_RECORDS_PER_EPOCH = 200
_STEPS_PER_RECORD = 10
"""Where nobody knows how long a step takes."""

_CPU_FLOPS_PER_CORE = 50e9
_GPU_FLOPS = 10e12
_BACKWARD_FACTOR = 3
_INTER_OP_THREADS = 2


@dataclass(frozen=True)
class Execution:
    """How a run is executed.

    Attributes:
        device: `"cpu"` or `"gpu"`.
        intra_op_threads: Threads that one operation may use; 0 leaves it to the backend.
        inter_op_threads: Operations that may run at once; 0 leaves it to the backend.
        steps_per_execution: Optimizer steps between two returns to Python.
        pipeline: `"tensor"` (in-memory arrays gathered by shuffled index inside TensorFlow), `"array"` (the same in
            NumPy), or `"fit"` (the data are no arrays and are given to `fit` as they are).
        fused_adam: Whether Adam's update is one kernel per variable instead of a dozen.
        jit_compile: What `compile` was told.
        record_every: Steps from one record of the metrics to the next.
        devices: Devices that share each batch.
    """

    device: str
    intra_op_threads: int
    inter_op_threads: int
    steps_per_execution: int
    pipeline: str
    fused_adam: bool
    jit_compile: bool | str
    record_every: int = 1
    devices: int = 1

    def as_json(self) -> dict[str, Any]:
        """Return the choices as JSON can hold them."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Any) -> Execution | None:
        """Return the choices that `as_json` gave, or `None` if these are others."""
        try:
            return cls(**values)
        except TypeError:
            return None

    def in_words(self) -> str:
        """Return the choices in one line."""
        return ", ".join(f"{name} {value}" for name, value in self.as_json().items())


@dataclass(frozen=True)
class Machine:
    """Where the run computes, as set up by `set_up_backend`."""

    device: str
    cores: int
    intra_op_threads: int
    inter_op_threads: int
    devices: int = 1


def set_up_backend(backend: str, before: Execution | None = None) -> Machine:
    """Set the backend's threads for this machine; must run before Keras is imported.

    Args:
        backend: What Keras computes with.
        before: How the run was executed before it was interrupted: its threads are used again, since their number
            changes the last bits of sums.

    The number of cores respects CPU affinity and container limits, which the backends do not. Threads that a person
    has set through `TF_NUM_INTRAOP_THREADS`, `TF_NUM_INTEROP_THREADS` or `OMP_NUM_THREADS` are left alone.
    """
    cores = joblib.cpu_count()
    if backend == "tensorflow":
        return _set_up_tensorflow(cores, before)
    if backend == "torch":
        import torch

        if before is not None:
            torch.set_num_threads(before.intra_op_threads)
        elif "OMP_NUM_THREADS" not in os.environ:
            torch.set_num_threads(cores)
        return Machine("gpu" if torch.cuda.is_available() else "cpu", cores, torch.get_num_threads(), 0)
    import jax

    return Machine("cpu" if jax.default_backend() == "cpu" else "gpu", cores, 0, 0)


def _set_up_tensorflow(cores: int, before: Execution | None) -> Machine:
    import tensorflow as tf

    threading = tf.config.threading
    gpu = bool(tf.config.list_physical_devices("GPU"))
    if before is not None:
        threading.set_intra_op_parallelism_threads(before.intra_op_threads)
        threading.set_inter_op_parallelism_threads(before.inter_op_threads)
        return Machine("gpu" if gpu else "cpu", cores, before.intra_op_threads, before.inter_op_threads)
    if "TF_NUM_INTRAOP_THREADS" not in os.environ:
        threading.set_intra_op_parallelism_threads(cores)
    # With a GPU, these threads launch kernels; TensorFlow's own number is right there.
    if "TF_NUM_INTEROP_THREADS" not in os.environ and not gpu:
        threading.set_inter_op_parallelism_threads(_INTER_OP_THREADS)
    return Machine(
        "gpu" if gpu else "cpu",
        cores,
        threading.get_intra_op_parallelism_threads(),
        threading.get_inter_op_parallelism_threads(),
    )


def choose_execution(
    backend: str,
    machine: Machine,
    model: Any,
    optimizer: Any,
    arrays: Any,
    batch_size: int,
    jit_compile: bool | None = None,
) -> Execution:
    """Choose how to execute a run.

    Args:
        backend: What Keras computes with.
        machine: What `set_up_backend` returned.
        model: The model.
        optimizer: What the model is compiled with.
        arrays: The training arrays, or `None` if the data are something else.
        batch_size: Samples per step.
        jit_compile: What was asked for, or `None`.
    """
    tensorflow = backend == "tensorflow"
    pipeline = "fit"
    if arrays is not None:
        # Batches that several devices share are made outside of them.
        pipeline = "tensor" if tensorflow and machine.devices == 1 and _fits_twice(arrays) else "array"
    steps = 1
    step_seconds = None
    steps_per_epoch = None if arrays is None else math.ceil(len(_first(arrays)) / batch_size)
    if tensorflow and arrays is not None:
        from kplug.training.cost import forward_flops

        flops = forward_flops(model, arrays[0])
        if flops is not None:
            step_seconds = _step_seconds(flops, machine, batch_size)
            if pipeline == "tensor":
                steps = _steps_per_execution(step_seconds, steps_per_epoch or 1)
    return Execution(
        device=machine.device,
        intra_op_threads=machine.intra_op_threads,
        inter_op_threads=machine.inter_op_threads,
        steps_per_execution=steps,
        pipeline=pipeline,
        fused_adam=tensorflow and machine.device == "cpu" and _is_plain_adam(optimizer),
        jit_compile="auto" if jit_compile is None else jit_compile,
        record_every=record_every(step_seconds, steps_per_epoch, steps),
        devices=machine.devices,
    )


def _step_seconds(flops: float, machine: Machine, batch_size: int) -> float:
    flops_per_second = _GPU_FLOPS if machine.device == "gpu" else _CPU_FLOPS_PER_CORE * machine.cores
    return _BACKWARD_FACTOR * batch_size * flops / flops_per_second


def record_every(
    step_seconds: float | None = None, steps_per_epoch: int | None = None, steps_per_execution: int = 1
) -> int:
    """Return the number of steps from one record of the metrics to the next.

    About ten records a second, and two hundred an epoch at most; where nobody knows how long a step takes, every tenth
    step. To record a step is to wait for it, and a GPU that is waited for at every step stands still in between.

    Args:
        step_seconds: What a step may take, or `None`.
        steps_per_epoch: Steps of an epoch, or `None`.
        steps_per_execution: A number that divides the result.
    """
    by_time = _STEPS_PER_RECORD if step_seconds is None else math.ceil(_RECORD_SECONDS / max(step_seconds, 1e-9))
    by_epoch = math.ceil((steps_per_epoch or 1) / _RECORDS_PER_EPOCH)
    every = max(min(by_time, steps_per_epoch or by_time), by_epoch)
    return steps_per_execution * math.ceil(every / steps_per_execution)


def _steps_per_execution(step_seconds: float, steps_per_epoch: int) -> int:
    most = max(1, min(_MOST_STEPS, steps_per_epoch, int(EXECUTION_SECONDS / max(step_seconds, 1e-9))))
    # As few executions as `most` allows, all of nearly the same length.
    return math.ceil(steps_per_epoch / math.ceil(steps_per_epoch / most))


def _fits_twice(arrays: Any) -> bool:
    """Say whether a second copy of the arrays would take no more than a quarter of the free memory."""
    import psutil

    return _bytes(arrays) <= psutil.virtual_memory().available / 4


def _bytes(arrays: Any) -> int:
    import keras

    return sum(array.nbytes for array in keras.tree.flatten(arrays))


def _first(arrays: Any) -> Any:
    import keras

    return keras.tree.flatten(arrays)[0]


def _is_plain_adam(optimizer: Any) -> bool:
    import keras

    return type(optimizer) is keras.optimizers.Adam and not optimizer.amsgrad
