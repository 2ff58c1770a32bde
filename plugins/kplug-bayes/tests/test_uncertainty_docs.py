"""The examples of docs/uncertainty.md run, one after the other."""

import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

PAGE = (Path(__file__).parents[1] / "docs" / "uncertainty.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_examples_run() -> None:
    keras.utils.set_random_seed(0)
    names: dict[str, Any] = {"__name__": "uncertainty"}
    for block in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL):
        exec(compile(block, "uncertainty.md", "exec"), names)
    y = names["y_test"]
    assert tuple(names["mean"].shape) == (80, 1)
    # The mean of the targets itself errs by far more than a model that has learnt.
    guess = np.abs(y - y.mean()).mean()
    assert np.abs(ops.convert_to_numpy(names["mean"]) - y).mean() < 0.5 * guess
    prediction = names["prediction"]
    assert prediction.epistemic_std.shape == (80, 1)
    assert np.abs(prediction.mean - y).mean() < 0.5 * guess
    assert (prediction.epistemic_std > 0).all()
    assert 0.05 < np.median(prediction.aleatoric_std) < 0.5
    # Intervals that hold everything, or nothing, are off by 0.5.
    assert names["curve"].calibration_error < 0.3
    assert names["probabilities"].shape == (360, 10)
    assert (names["probabilities"].argmax(axis=1) == names["digits"].test[1]).mean() > 0.85
    assert 0 < names["error"] < 0.25
