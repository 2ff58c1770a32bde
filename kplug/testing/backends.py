"""The same numbers on every backend: each other one in a child process of its own."""

from __future__ import annotations

import importlib.util
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

_BACKENDS = ("tensorflow", "jax", "torch")
_TIME_LIMIT = 300


def agree_across_backends(
    cases: Mapping[str, Sequence[Any]], rtol: float = 1e-5, atol: float = 1e-6, backends: Sequence[str] | None = None
) -> list[str]:
    """Check that functions give the same numbers on every backend that is installed.

    Args:
        cases: Name -> `(target, *arguments)`, where `target` is `"module:function"` and each argument a NumPy array, a
            number or a text. The function may return a tensor or a structure of tensors.
        rtol: Relative difference allowed.
        atol: Absolute difference allowed.
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
    expected = _computed(cases)
    for backend in backends:
        found = _computed_on(backend, cases)
        for name, leaves in expected.items():
            assert len(found[name]) == len(leaves), f"{name} returns another structure on {backend}"
            for mine, other in zip(leaves, found[name], strict=True):
                np.testing.assert_allclose(other, mine, rtol=rtol, atol=atol, err_msg=f"{name}: {backend} beside {own}")
    return list(backends)


def _computed(cases: Mapping[str, Sequence[Any]]) -> dict[str, list[np.ndarray]]:
    results = {}
    for name, (target, *arguments) in cases.items():
        module, _, attribute = target.partition(":")
        outputs = getattr(importlib.import_module(module), attribute)(*arguments)
        results[name] = [keras.ops.convert_to_numpy(leaf) for leaf in keras.tree.flatten(outputs)]
    return results


def _computed_on(backend: str, cases: Mapping[str, Sequence[Any]]) -> dict[str, list[np.ndarray]]:
    with tempfile.TemporaryDirectory(prefix="kplug-") as folder:
        file = Path(folder) / "cases"
        file.write_bytes(pickle.dumps(dict(cases)))
        environment = {
            **os.environ,
            "KERAS_BACKEND": backend,
            "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
        }
        done = subprocess.run(
            [sys.executable, "-m", "kplug.testing.backends", str(file)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=_TIME_LIMIT,
            check=False,
        )
        assert done.returncode == 0, f"the cases cannot be computed on {backend}:\n{done.stderr[-2000:]}"
        return pickle.loads(file.read_bytes())


def main() -> None:
    """Compute the cases in the file that is the first argument, and write the results in their place."""
    file = Path(sys.argv[1])
    file.write_bytes(pickle.dumps(_computed(pickle.loads(file.read_bytes()))))


if __name__ == "__main__":
    main()
