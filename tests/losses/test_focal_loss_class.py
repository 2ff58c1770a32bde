"""`kplug.FocalLoss` standing alone: weights, masks, reduction, dtypes, config."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest

import kplug

LABELS = np.array([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]], "float32")
LOGITS = np.array([[0.5, -1.0], [2.0, 0.0], [-3.0, 1.0]], "float32")


def per_sample(alpha: float = 0.25, gamma: float = 2.0) -> np.ndarray:
    """Losses of the three samples above in float64."""
    p = 1 / (1 + np.exp(-LOGITS.astype("float64")))
    terms = np.where(LABELS == 1, alpha * (1 - p) ** gamma * -np.log(p), (1 - alpha) * p**gamma * -np.log1p(-p))
    return terms.mean(axis=-1)


def numbers(tensor) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)


@pytest.mark.parametrize(
    ("reduction", "reduce"),
    [
        ("sum_over_batch_size", np.mean),
        ("mean", np.mean),
        ("sum", np.sum),
        ("none", np.asarray),
        (None, np.asarray),
    ],
)
def test_reduction(reduction, reduce):
    loss = kplug.FocalLoss(from_logits=True, reduction=reduction)(LABELS, LOGITS)
    np.testing.assert_allclose(numbers(loss), reduce(per_sample()), rtol=1e-5)


def test_sample_weights_scale_each_sample():
    weights = np.array([2.0, 0.0, 0.5])
    loss = kplug.FocalLoss(from_logits=True)(LABELS, LOGITS, sample_weight=weights)
    assert float(loss) == pytest.approx((per_sample() * weights).sum() / 3, rel=1e-5)
    loss = kplug.FocalLoss(from_logits=True, reduction="mean_with_sample_weight")(LABELS, LOGITS, sample_weight=weights)
    assert float(loss) == pytest.approx((per_sample() * weights).sum() / 2.5, rel=1e-5)


def test_sample_weights_as_a_column_mean_the_same():
    loss = kplug.FocalLoss(from_logits=True)
    flat = loss(LABELS, LOGITS, sample_weight=np.array([2.0, 0.0, 0.5]))
    column = loss(LABELS, LOGITS, sample_weight=np.array([[2.0], [0.0], [0.5]]))
    assert float(column) == pytest.approx(float(flat), rel=1e-6)


def test_weights_per_time_step():
    labels, logits = np.stack([LABELS, LABELS]), np.stack([LOGITS, LOGITS])
    weights = np.array([[1.0, 2.0, 0.0], [0.0, 0.0, 3.0]])
    loss = kplug.FocalLoss(from_logits=True)(labels, logits, sample_weight=weights)
    assert float(loss) == pytest.approx((np.stack([per_sample()] * 2) * weights).sum() / 6, rel=1e-5)


def test_masked_samples_do_not_count():
    logits = LOGITS.copy()
    logits[1] = 9.0
    masked = keras.layers.Masking(mask_value=9.0)(logits)
    loss = kplug.FocalLoss(from_logits=True)(LABELS, masked)
    assert float(loss) == pytest.approx(per_sample()[[0, 2]].mean(), rel=1e-5)


def test_equals_the_function():
    arguments = {"alpha": [0.3, 0.9], "gamma": 1.5, "from_logits": True, "label_smoothing": 0.1}
    loss = kplug.FocalLoss(**arguments, reduction=None)(LABELS, LOGITS)
    np.testing.assert_allclose(numbers(loss), numbers(kplug.focal_loss(LABELS, LOGITS, **arguments)), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_dtype_of_the_computation(dtype):
    loss = kplug.FocalLoss(from_logits=True, dtype=dtype)(LABELS, LOGITS)
    assert keras.backend.standardize_dtype(loss.dtype) == dtype
    assert float(loss) == pytest.approx(per_sample().mean(), rel=2e-2)


def test_an_unknown_reduction_is_refused():
    with pytest.raises(ValueError, match="median"):
        kplug.FocalLoss(reduction="median")


@pytest.mark.parametrize("alpha", [0.25, None, [0.3, 0.9], (0.3, 0.9)], ids=str)
def test_config_round_trip(alpha):
    loss = kplug.FocalLoss(
        alpha=alpha, gamma=1.5, from_logits=True, label_smoothing=0.1, axis=-2, reduction="sum", name="mine"
    )
    again = kplug.FocalLoss.from_config(loss.get_config())
    assert again.get_config() == loss.get_config()
    assert (again.alpha, again.gamma, again.from_logits) == (alpha, 1.5, True)
    assert (again.label_smoothing, again.axis, again.reduction, again.name) == (0.1, -2, "sum", "mine")


@pytest.mark.parametrize("alpha", [0.25, None, [0.3, 0.9], (0.3, 0.9)], ids=str)
def test_serialized_as_json_and_back(alpha):
    loss = kplug.FocalLoss(alpha=alpha, from_logits=True, reduction=None)
    text = json.dumps(keras.saving.serialize_keras_object(loss))
    again = keras.saving.deserialize_keras_object(json.loads(text))
    assert type(again) is kplug.FocalLoss
    np.testing.assert_allclose(numbers(again(LABELS, LOGITS)), numbers(loss(LABELS, LOGITS)))


def test_registered_under_kplug():
    assert keras.saving.get_registered_name(kplug.FocalLoss) == "kplug>FocalLoss"


def test_an_array_of_alphas_is_saved_as_a_list():
    assert kplug.FocalLoss(alpha=np.array([0.25, 0.75])).get_config()["alpha"] == [0.25, 0.75]
    assert kplug.FocalLoss(alpha=np.float32(0.25)).get_config()["alpha"] == 0.25
