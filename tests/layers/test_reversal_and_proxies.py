"""Gradient reversal and the proxy head."""

import numpy as np
import pytest
from keras import ops

import kplug

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 3)).astype("float32")


@pytest.mark.parametrize("strength", [0.0, 0.5, 2.0])
def test_reversal_leaves_values_alone_and_turns_gradients_round(strength):
    layer = kplug.GradientReversal(strength)
    np.testing.assert_array_equal(layer(X), X)
    found = kplug.testing.gradient(lambda x: ops.square(layer(x)), X)
    np.testing.assert_allclose(found, -strength * 2 * X, rtol=1e-6)


def test_the_strength_can_be_raised_while_training():
    layer = kplug.GradientReversal(0.0)
    layer.build(X.shape)
    layer.strength.assign(3.0)
    np.testing.assert_allclose(kplug.testing.gradient(layer, X), np.full_like(X, -3.0))


def cosine(a, b):
    return np.dot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b))


def test_a_proxy_head_gives_cosines_to_the_nearest_center_of_each_class():
    layer = kplug.ProxyHead(num_classes=2, centers_per_class=3)
    found = ops.convert_to_numpy(layer(X))
    proxies = ops.convert_to_numpy(layer.proxies).T
    expected = [[max(cosine(x, p) for p in proxies[3 * c : 3 * c + 3]) for c in range(2)] for x in X]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_zero_embeddings_have_zero_similarity_and_finite_gradients():
    layer = kplug.ProxyHead(num_classes=2)
    zeros = np.zeros((2, 3), "float32")
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(zeros)), np.zeros((2, 2)))
    assert np.isfinite(kplug.testing.gradient(layer, zeros)).all()


@pytest.mark.parametrize("loss", [kplug.ProxyAnchorLoss(), kplug.ArcFaceLoss(scale=16.0)], ids=lambda loss: loss.name)
def test_a_head_and_its_loss_learn_the_classes(loss):
    import keras

    keras.utils.set_random_seed(0)
    labels = np.arange(90) % 3
    x = (np.eye(3)[labels] + 0.2 * RNG.normal(size=(90, 3))).astype("float32")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(8), kplug.ProxyHead(3)])
    model.compile(keras.optimizers.Adam(0.05), loss)
    model.fit(x, labels, epochs=15, verbose=0)
    assert (model.predict(x, verbose=0).argmax(axis=1) == labels).mean() > 0.9
