"""Dropout that stays on."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops
from kplug.testing import check_layer

import kplug_bayes


def test_it_works_in_every_way_keras_uses_a_layer() -> None:
    check_layer(kplug_bayes.MCDropout(0.3, seed=1), np.random.default_rng(0).normal(size=(6, 4)), random=True)


@pytest.mark.parametrize("training", [True, False])
def test_it_drops_a_share_and_keeps_the_mean(training: bool) -> None:
    outputs = ops.convert_to_numpy(
        kplug_bayes.MCDropout(0.25, seed=1)(np.ones((100, 100), "float32"), training=training)
    )
    assert (outputs == 0).mean() == pytest.approx(0.25, abs=0.02)
    np.testing.assert_allclose(outputs[outputs > 0], 1 / 0.75, rtol=1e-5)


def test_switched_off_it_drops_in_training_only() -> None:
    layer = kplug_bayes.MCDropout(0.5, deterministic=True, seed=1)
    ones = np.ones((4, 50), "float32")
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(ones)), ones)
    assert (ops.convert_to_numpy(layer(ones, training=True)) == 0).any()


def test_a_compiled_model_takes_note_when_it_is_compiled_next() -> None:
    layer = kplug_bayes.MCDropout(0.5, seed=1)
    model = keras.Sequential([keras.Input((20,)), layer])
    model.compile()
    ones = np.ones((4, 20), "float32")
    assert not np.array_equal(model.predict(ones, verbose=0), model.predict(ones, verbose=0))
    layer.deterministic = True
    model.compile()
    np.testing.assert_array_equal(model.predict(ones, verbose=0), ones)


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan")])
def test_a_rate_out_of_range_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match=rf"`rate` must be a number at least 0 and below 1\. Received: rate={rate!r}"):
        kplug_bayes.MCDropout(rate)
