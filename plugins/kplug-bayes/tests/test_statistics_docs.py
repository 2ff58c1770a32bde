"""What the page on statistics shows runs, and so do the examples."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.neutral

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_page_on_statistics_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "statistics"}
    page = (ROOT / "docs" / "statistics.md").read_text(encoding="utf-8")
    for block in re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL):
        exec(compile(block, "statistics.md", "exec"), names)
    assert names["plan"].sample_size > 1000
    assert names["flagged"].any()
    assert names["results"]["precision"] > 0.5
    assert (names["fit"].components, names["fewer"].components) == (2, 2)
    assert {path.name for path in tmp_path.iterdir()} == {"sweep.png", "test.png", "plan.png", "mixture.png"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "said", "left"),
    [
        ("ab_test", "samples per arm: decides rightly with probability 0.8", {"plan.png", "ab_test.png"}),
        ("sensor_anomalies", "AnomalyDetector, Keras", {"anomaly_map.png", "anomalies.csv"}),
    ],
)
def test_an_example_runs(name: str, said: str, left: set[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / f"{name}.py")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert said in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == left


def test_statistics_take_no_seconds_to_import_keras() -> None:
    code = (
        "import sys, kplug_bayes\n"
        "kplug_bayes.BetaBinomialTest([1, 2], [10, 10]).decide(0.01)\n"
        "kplug_bayes.BayesianAnomalyDetector().fit(kplug_bayes.sensor_readings(4000).train[0])\n"
        "print(sorted({'keras', 'tensorflow', 'torch', 'jax', 'matplotlib.pyplot'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
