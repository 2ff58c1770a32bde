"""The examples of docs/uncertainty.md run, one after the other."""

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "uncertainty.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_examples_run() -> None:
    names: dict[str, Any] = {"__name__": "uncertainty"}
    for block in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL):
        exec(compile(block, "uncertainty.md", "exec"), names)
    assert tuple(names["mean"].shape) == (80, 1)
    assert names["prediction"].epistemic_std.shape == (80, 1)
    assert names["curve"].calibration_error < 0.5
    assert names["probabilities"].shape == (360, 10)
    assert 0 <= names["error"] < 0.5
