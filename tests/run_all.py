"""Runs all tests on every backend: several processes of pytest, on two cores two at a time.

Options of pytest (`-x`, `-k focal`) go to those on TensorFlow.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PLUGIN = ROOT / "plugins" / "kplug-bayes"
AT_ONCE = min(4, max(2, os.cpu_count() or 2))
NO_TESTS = 5

PARTS = ["tests/losses", "tests/layers", "tests/metrics", "tests/testing", "tests/models", "tests/datasets"]
COMPUTED = [*(part for part in PARTS if part != "tests/datasets"), "tests/training", "tests/test_saving.py"]
"""What is tested once more on the other backends, but for what is worked out in NumPy."""
SCREENS = ["tests/tui", "tests/cli"]
ELSEWHERE = [f"--ignore={folder}" for folder in (*PARTS, *SCREENS, "tests/training")]

# Nearly all of JAX's time is compiling what runs once: without most optimizations, and in one piece, it takes a third.
QUICK_XLA = "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"


@dataclass(frozen=True)
class Job:
    """A process of pytest.

    Attributes:
        name: What it is called in the output.
        arguments: What pytest is called with.
        backend: Keras' backend.
        folder: Where it runs.
    """

    name: str
    arguments: list[str]
    backend: str = "tensorflow"
    folder: Path = ROOT

    def run(self) -> tuple[Job, int, str]:
        """Run it, and return it with its exit status and what it printed."""
        environment = {**os.environ, "KERAS_BACKEND": self.backend}
        if self.folder == PLUGIN:
            # From its source: installing it would change the catalog that kplug's own tests look at. That it is
            # installed, listed, trained and removed is tests/test_kplug_bayes.py.
            environment["PYTHONPATH"] = os.pathsep.join([str(PLUGIN / "src"), *filter(None, [os.getenv("PYTHONPATH")])])
        if self.backend == "jax":
            environment["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
            environment["XLA_FLAGS"] = quick_xla()
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *self.arguments],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        return self, done.returncode, done.stdout


@functools.cache
def quick_xla() -> str:
    """Return the flags that make XLA compile quickly, where it knows them."""
    known = subprocess.run(
        [sys.executable, "-c", "import jax; jax.numpy.zeros(1)"],
        env={**os.environ, "XLA_FLAGS": QUICK_XLA},
        capture_output=True,
        check=False,
    )
    return QUICK_XLA if known.returncode == 0 else ""


def jobs(arguments: list[str]) -> list[Job]:
    """Return what is to run, the longest first."""
    computed, quick = ["-m", "not neutral", *COMPUTED], ["-m", "not neutral and not slow"]
    return [
        Job("parts", [*PARTS, *arguments]),
        Job("screens", [*SCREENS, *arguments]),
        Job("elsewhere", ["tests", *ELSEWHERE, *arguments]),
        Job("worker", ["tests/training", *arguments]),
        Job("parts on JAX", computed, "jax"),
        # Its slow tests run here alone: they compare backends, and train what the others have trained in small.
        Job("kplug-bayes", arguments, folder=PLUGIN),
        *([Job("parts on PyTorch", computed, "torch")] if has_torch() else []),
        Job("kplug-bayes on JAX", quick, "jax", PLUGIN),
        *([Job("kplug-bayes on PyTorch", quick, "torch", PLUGIN)] if has_torch() else []),
    ]


def has_torch() -> bool:
    return importlib.util.find_spec("torch") is not None


def main(arguments: list[str]) -> int:
    """Run all, print what each printed as it ends, and return 1 if one failed."""
    paths = [one for one in arguments if (ROOT / one.partition("::")[0]).exists()]
    if paths:
        print(f"This runs all tests. For some of them: python -m pytest {' '.join(paths)}", file=sys.stderr)
        return 2
    if not has_torch():
        print("PyTorch is not installed: its tests are not run.")
    start, failed = time.monotonic(), []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        running = [pool.submit(job.run) for job in jobs(arguments)]
        for done in as_completed(running):
            job, status, printed = done.result()
            print(printed)
            # Arguments may choose no test of a part.
            if status and not (arguments and status == NO_TESTS):
                failed.append(job.name)
            said = "failed" if job.name in failed else "passed"
            print(f"=== {job.name}: {said}, {time.monotonic() - start:.0f} s after the start", flush=True)
    if failed:
        print(f"=== Failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
