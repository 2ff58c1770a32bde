"""The examples of the README run, one after the other."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_examples_run() -> None:
    names: dict[str, Any] = {"__name__": "readme"}
    for block in re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL):
        exec(compile(block, "README.md", "exec"), names)
    accuracy = np.mean(names["probabilities"].argmax(axis=1) == names["y_test"])
    assert accuracy > 0.8
    assert names["spread"].max() > 0.01
    assert all(layer.kl_weight == pytest.approx(0.1 / 1437) for layer in names["model"].layers if layer.weights)
    np.testing.assert_array_equal(*(names["model"].predict(names["x_test"], verbose=0) for _ in range(2)))
    assert len(names["layer"].losses) == 1
