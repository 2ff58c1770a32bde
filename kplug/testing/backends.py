"""The same numbers on every backend: each other one in a child process of its own, which serves until the end."""

from __future__ import annotations

import atexit
import importlib
import importlib.util
import os
import pickle
import queue
import struct
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import keras
import numpy as np

_BACKENDS = ("tensorflow", "jax", "torch")
_TIME_LIMIT = 300
_LENGTH = struct.Struct("<Q")


def agree_across_backends(
    cases: Mapping[str, Sequence[Any]], rtol: float = 1e-5, atol: float = 1e-6, backends: Sequence[str] | None = None
) -> list[str]:
    """Check that functions give the same numbers on every backend that is installed.

    The first comparison with a backend starts a Python process that imports it, which takes seconds; the others are
    quick.

    Args:
        cases: Name -> `(target, *arguments)`, where `target` is `"module:function"` and each argument can be pickled: a
            NumPy array, a number, a text or a structure of them. The function may return a tensor or a structure of
            tensors. Its module must be one that another process can import.
        rtol: Difference allowed, relative to the number.
        atol: Difference allowed besides, relative to the largest number of the tensor.
        backends: Which backends to compare with this process' own; by default all that are installed.

    Returns:
        The backends that were compared.

    Raises:
        AssertionError: If a number differs, naming the case and the backend.

    Example:

    ```python
    kplug.testing.agree_across_backends({"wavelet": ("kplug_acme.losses:wavelet_loss", y_true, y_pred)})
    ```
    """
    own = keras.backend.backend()
    if backends is None:
        backends = [name for name in _BACKENDS if name != own and importlib.util.find_spec(name) is not None]
    if not backends:
        return []
    expected = _computed(cases)
    for backend in backends:
        found = _child(backend).compute(cases)
        for name, leaves in expected.items():
            assert len(found[name]) == len(leaves), f"{name} returns another structure on {backend}"
            for mine, other in zip(leaves, found[name], strict=True):
                assert other.shape == mine.shape, (
                    f"{name}: shape {other.shape} on {backend} beside {mine.shape} on {own}"
                )
                finite = np.abs(mine[np.isfinite(mine)])
                allowed = atol * float(finite.max(initial=0.0))
                np.testing.assert_allclose(
                    other, mine, rtol=rtol, atol=allowed, err_msg=f"{name}: {backend} beside {own}"
                )
    return list(backends)


def portable(component: Any) -> tuple[str, dict[str, Any]]:
    """Return what another process needs to make a component again: its module, and what Keras serializes of it."""
    return type(component).__module__, keras.saving.serialize_keras_object(component)


def from_portable(module: str, serialized: dict[str, Any]) -> Any:
    """Make a component again."""
    importlib.import_module(module)
    return keras.saving.deserialize_keras_object(serialized)


def _computed(cases: Mapping[str, Sequence[Any]]) -> dict[str, list[np.ndarray]]:
    results = {}
    for name, (target, *arguments) in cases.items():
        module, _, attribute = target.partition(":")
        outputs = getattr(importlib.import_module(module), attribute)(*arguments)
        results[name] = [keras.ops.convert_to_numpy(leaf) for leaf in keras.tree.flatten(outputs)]
    return results


class _Child:
    """A process on another backend that answers one request after the other."""

    def __init__(self, backend: str) -> None:
        self.backend = backend
        self.errors = tempfile.TemporaryFile(prefix="kplug-")  # noqa: SIM115 - open as long as the child runs
        # On a GPU the parent may have claimed nearly all memory, and the child must not want it too.
        memory = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
        environment = {**os.environ, **memory, "KERAS_BACKEND": backend, "PYTHONPATH": os.pathsep.join(_import_path())}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kplug.testing.backends"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
        )
        self.answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def compute(self, cases: Mapping[str, Sequence[Any]]) -> dict[str, list[np.ndarray]]:
        assert self.process.stdin is not None
        try:
            _send(self.process.stdin, (_import_path(), dict(cases)))
            answer = self.answers.get(timeout=_TIME_LIMIT)
        except (OSError, queue.Empty):
            answer = None
        if answer is None:
            self.end()
            self.errors.seek(0)
            raise AssertionError(
                f"the process on {self.backend} ended, or took more than {_TIME_LIMIT} seconds:\n"
                + self.errors.read().decode(errors="replace")[-2000:]
            )
        failed, results = answer
        assert not failed, f"{failed} cannot be computed on {self.backend}:\n{results}"
        return results

    def end(self) -> None:
        _children.pop(self.backend, None)
        self.process.kill()
        self.process.wait()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        while (answer := _received(self.process.stdout)) is not None:
            self.answers.put(answer)
        self.answers.put(None)


_children: dict[str, _Child] = {}


def _child(backend: str) -> _Child:
    if backend not in _children:
        _children[backend] = _Child(backend)
    return _children[backend]


@atexit.register
def _end_children() -> None:
    for child in list(_children.values()):
        child.end()


def _import_path() -> list[str]:
    return [entry or str(Path.cwd()) for entry in sys.path]


def _send(stream: IO[bytes], message: Any) -> None:
    content = pickle.dumps(message)
    stream.write(_LENGTH.pack(len(content)) + content)
    stream.flush()


def _received(stream: IO[bytes]) -> Any:
    """Return the next message, or `None` where there are no more."""
    header = stream.read(_LENGTH.size)
    return pickle.loads(stream.read(*_LENGTH.unpack(header))) if len(header) == _LENGTH.size else None


def _serve() -> None:
    """Answer requests until there are no more: the cases that failed and the traceback, or none and the results."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    # What components print must not get among the answers.
    os.dup2(2, 1)
    while (request := _received(requests)) is not None:
        sys.path[:], cases = request
        importlib.invalidate_caches()
        try:
            answer: tuple[str, Any] = ("", _computed(cases))
        except Exception:  # noqa: BLE001 - whatever a component raises is the answer
            answer = (", ".join(cases), traceback.format_exc()[-2000:])
        _send(answers, answer)


if __name__ == "__main__":
    _serve()
