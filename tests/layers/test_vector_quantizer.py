"""Vector quantisation: nearest codes, losses, moving averages against NumPy, restarts, perplexity."""

import keras
import numpy as np
import pytest
from keras import ops

import kplug

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3)).astype("float32")


def built(num_embeddings=4, **options):
    layer = kplug.VectorQuantizer(num_embeddings, seed=0, **options)
    layer.build((None, 3))
    return layer, ops.convert_to_numpy(layer.codebook).copy()


def nearest(codebook):
    return np.array([min(range(len(codebook)), key=lambda c: np.sum((x - codebook[c]) ** 2)) for x in X])


def test_inputs_become_their_nearest_codes():
    layer, codebook = built()
    np.testing.assert_allclose(layer(X), codebook[nearest(codebook)], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(layer.encode(X), nearest(codebook))
    np.testing.assert_allclose(layer.decode(nearest(codebook)), codebook[nearest(codebook)], rtol=1e-6)


def test_the_gradient_passes_straight_through():
    layer, _ = built()
    weights = ops.convert_to_tensor(np.array([1.0, 2.0, 3.0], "float32"))
    found = kplug.testing.gradient(lambda x: layer(x) * weights, X)
    np.testing.assert_allclose(found, np.broadcast_to([1.0, 2.0, 3.0], X.shape), rtol=1e-6)


@pytest.mark.parametrize(("ema_decay", "times"), [(0.99, 0.25), (None, 1.25)])
def test_the_losses_are_the_papers(ema_decay, times):
    layer, codebook = built(ema_decay=ema_decay)
    layer(X)
    expected = times * np.mean((X - codebook[nearest(codebook)]) ** 2)
    assert float(layer.losses[0]) == pytest.approx(expected, rel=1e-5)


def test_the_codebook_follows_moving_averages_in_training_alone():
    layer, codebook = built(ema_decay=0.9, epsilon=1e-5)
    layer(X, training=False)
    np.testing.assert_array_equal(ops.convert_to_numpy(layer.codebook), codebook)
    chosen = nearest(codebook)
    uses = 0.9 * np.ones(4) + 0.1 * np.bincount(chosen, minlength=4)
    sums = 0.9 * codebook + 0.1 * np.stack([X[chosen == c].sum(axis=0) for c in range(4)])
    smoothed = (uses + 1e-5) / (uses.sum() + 4e-5) * uses.sum()
    layer(X, training=True)
    np.testing.assert_allclose(ops.convert_to_numpy(layer.codebook), sums / smoothed[:, None], rtol=1e-4)


def test_a_dead_code_begins_anew_at_an_input():
    layer, _ = built(ema_decay=0.5, restart_threshold=0.3)
    layer.codebook.assign(np.array([[0, 0, 0], [90, 90, 90], [0.5, 0, 0], [0, 0.5, 0]], "float32"))
    layer.sums.assign(ops.convert_to_numpy(layer.codebook))
    for _ in range(2):
        layer(X, training=True)
    distances = np.linalg.norm(ops.convert_to_numpy(layer.codebook)[1] - X, axis=1)
    assert distances.min() < 1e-3


@pytest.mark.parametrize("ema_decay", [0.9, None])
def test_what_a_mask_leaves_out_counts_nowhere(ema_decay):
    mask = np.array([[True, True, False, True]] * 5)
    whole, alone = (built(ema_decay=ema_decay)[0] for _ in range(2))
    sequences = X[:20].reshape(5, 4, 3)
    found = whole(np.where(mask[..., None], sequences, 1e3).astype("float32"), mask=mask, training=True)
    expected = alone(sequences[mask], training=True)
    np.testing.assert_allclose(ops.convert_to_numpy(found)[mask], expected, rtol=1e-6)
    assert float(whole.losses[0]) == pytest.approx(float(alone.losses[0]), rel=1e-5)
    assert float(whole.last_perplexity) == pytest.approx(float(alone.last_perplexity), rel=1e-5)
    np.testing.assert_allclose(
        ops.convert_to_numpy(whole.codebook), ops.convert_to_numpy(alone.codebook), rtol=1e-5, atol=1e-6
    )


def test_restarts_take_no_vector_that_the_mask_leaves_out():
    layer, _ = built(ema_decay=0.5, restart_threshold=2.0)
    mask = np.arange(len(X)) % 2 == 0
    layer(np.where(mask[:, None], X, 1e3).astype("float32"), mask=mask, training=True)
    assert np.abs(ops.convert_to_numpy(layer.codebook)).max() < np.abs(X).max() + 1e-3


def test_mixed_precision_keeps_the_codebook_in_float32():
    layer = kplug.VectorQuantizer(4, dtype="mixed_float16", seed=0)
    outputs = layer(X.astype("float16"), training=True)
    assert keras.backend.standardize_dtype(outputs.dtype) == "float16"
    assert {keras.backend.standardize_dtype(w.dtype) for w in (layer.codebook, layer.uses, layer.sums)} == {"float32"}


def test_decode_without_a_codebook_says_what_to_do():
    with pytest.raises(ValueError, match=r"no codebook yet. Call it once"):
        kplug.VectorQuantizer(4).decode([0])


def perplexity(codebook):
    shares = np.bincount(nearest(codebook), minlength=len(codebook)) / len(X)
    return np.exp(-sum(p * np.log(p) for p in shares if p))


def test_the_last_perplexity_counts_the_codes_in_use():
    layer, codebook = built()
    layer(X)
    assert float(layer.last_perplexity) == pytest.approx(perplexity(codebook), rel=1e-4)


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="its trainer has no metrics of layers")
def test_perplexity_is_in_the_logs():
    inputs = keras.Input((3,))
    layer = kplug.VectorQuantizer(4, seed=0)
    model = keras.Model(inputs, layer(inputs))
    model.compile("sgd", "mse")
    logs = model.evaluate(X, X, batch_size=40, verbose=0, return_dict=True)
    expected = perplexity(ops.convert_to_numpy(layer.codebook))
    assert logs["perplexity"] == pytest.approx(expected, rel=1e-4)


def test_training_puts_a_code_on_every_cluster():
    centres = np.array([[2, 0, 0], [-2, 0, 0], [0, 2, 0], [0, -2, 0]], "float32")
    data = np.repeat(centres, 50, axis=0) + 0.05 * RNG.normal(size=(200, 3)).astype("float32")
    inputs = keras.Input((3,))
    layer = kplug.VectorQuantizer(8, ema_decay=0.8, restart_threshold=0.5, seed=0)
    model = keras.Model(inputs, layer(inputs))
    model.compile("sgd", "mse")
    history = model.fit(data, data, batch_size=50, epochs=30, verbose=0, shuffle=True).history
    assert float(layer.last_perplexity) > 3.9
    assert history["loss"][-1] < 0.05


@pytest.mark.parametrize("offset", [0.0, 100.0, 3000.0])
def test_the_nearest_code_is_found_far_from_the_origin(offset):
    rng = np.random.default_rng(0)
    codebook = (rng.normal(size=(32, 8)) + offset).astype("float32")
    layer = kplug.VectorQuantizer(32)
    layer.build((None, 8))
    layer.codebook.assign(codebook)
    vectors = (rng.normal(size=(200, 8)) + offset).astype("float32")
    distances = np.square(vectors[:, None].astype("float64") - codebook[None]).sum(axis=-1)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(layer.encode(vectors)), distances.argmin(axis=1))
