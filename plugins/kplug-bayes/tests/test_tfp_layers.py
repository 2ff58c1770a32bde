"""The layers of TensorFlow Probability, run under tf-keras, with the same weights."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

import kplug_bayes

DRAWS = 1500
NAMES = [name for name in kplug_bayes.__all__ if name.startswith(("Dense", "Conv"))]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in ("tf_keras", "tensorflow_probability")),
        reason="needs tf-keras and tensorflow-probability: pip install -e '.[dev]'",
    ),
]


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tfp")
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": ""}
    script = Path(__file__).with_name("tfp_layers.py")
    subprocess.run([sys.executable, str(script), str(folder)], env=environment, check=True, timeout=600)
    return folder


def with_their_weights(name: str, their: Mapping[str, Any]) -> Any:
    inputs = their["inputs"]
    if name == "DenseVariational":
        layer = kplug_bayes.DenseVariational(2, prior="trainable_normal", kl_weight=0.5, seed=1)
        layer.build(inputs.shape)
        layer.posterior.loc.assign(their["loc"])
        layer.posterior.untransformed_scale.assign(their["untransformed_scale"])
        layer.prior.loc.assign(their["prior"])
        return layer
    layer = getattr(kplug_bayes, name)(2, **({"kernel_size": 2} if name.startswith("Conv") else {}), seed=1)
    layer.build(inputs.shape)
    layer.kernel_posterior.loc.assign(their["kernel_posterior_loc"])
    layer.kernel_posterior.untransformed_scale.assign(their["kernel_posterior_untransformed_scale"])
    layer.bias.assign(their["bias_posterior_loc"])
    return layer


@pytest.mark.parametrize("name", NAMES)
def test_the_same_weights_cost_and_draw_the_same(name: str, theirs: Path) -> None:
    their = np.load(theirs / f"{name}.npz")
    layer, inputs = with_their_weights(name, their), their["inputs"]
    layer(inputs)
    assert float(ops.convert_to_numpy(layer.losses[0])) == pytest.approx(float(their["divergence"]), rel=1e-5)
    model = keras.Sequential([layer])
    model.compile()
    outputs = model.predict(np.concatenate([inputs] * DRAWS), batch_size=len(inputs), verbose=0)
    draws = outputs.reshape(DRAWS, *their["mean"].shape).astype("float64")
    # Both sides are estimates: the error of their difference, five times.
    deviation = np.sqrt(their["variance"])
    np.testing.assert_allclose((draws.mean(axis=0) - their["mean"]) / deviation, 0, atol=5 * np.sqrt(2 / DRAWS))
    np.testing.assert_allclose(np.log(draws.var(axis=0) / their["variance"]), 0, atol=5 * np.sqrt(4 / DRAWS))
