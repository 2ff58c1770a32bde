"""What a vector-quantised autoencoder logs adds up, what its prior drops differs, and what both refuse."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers, ops

import kplug
from kplug.models.vqvae_networks import causal_transformer

X = np.random.default_rng(0).uniform(size=(13, 6)).astype("float32")


def small(**arguments) -> kplug.VQVAE:
    keras.utils.set_random_seed(0)
    model = kplug.VQVAE(num_embeddings=8, embedding_dim=3, units=(6,), code_length=2, seed=1, **arguments)
    # On JAX every operation on its own would be compiled, which takes longer than all of them at once.
    model.compile("sgd", jit_compile=keras.backend.backend() == "jax")
    return model


def check_sum(logs: dict, prefix: str = "") -> None:
    loss, *terms = (logs[prefix + name] for name in ("loss", "reconstruction_loss", "commitment_loss"))
    assert loss == pytest.approx(sum(terms), rel=1e-5)


def test_the_terms_add_up_to_the_loss_with_a_last_smaller_batch():
    # The last batch, of one sample, is unlike the others.
    x = X.copy()
    x[-1] = 1.0
    model = small()
    history = model.fit(x, batch_size=6, shuffle=False, validation_data=(x, x), epochs=1, verbose=0).history
    logs = {name: values[0] for name, values in history.items()}
    check_sum(logs)
    check_sum(logs, "val_")
    found = model.evaluate(x, batch_size=6, verbose=0, return_dict=True)
    check_sum(found)
    whole = model.evaluate(x, batch_size=13, verbose=0, return_dict=True)
    assert found["commitment_loss"] == pytest.approx(whole["commitment_loss"], rel=1e-5)


def masks(seed: int | None) -> list[np.ndarray]:
    network = causal_transformer(num_embeddings=5, length=4, units=8, blocks=2, dropout=0.5, seed=seed)
    droppers = [layer for layer in network._flatten_layers() if isinstance(layer, layers.Dropout)]
    return [ops.convert_to_numpy(layer(np.ones((50, 40), "float32"), training=True)) > 0 for layer in droppers]


def test_every_layer_of_a_prior_drops_other_units():
    found = masks(seed=3)
    assert len(found) == 4
    for number, mask in enumerate(found):
        for other in found[:number]:
            # Independent halves agree at half of the places.
            assert np.mean(mask == other) == pytest.approx(0.5, abs=0.1)


def test_what_a_prior_drops_repeats_with_a_seed_only():
    np.testing.assert_array_equal(masks(seed=3), masks(seed=3))
    assert not np.array_equal(masks(seed=3), masks(seed=4))
    assert not np.array_equal(masks(seed=None), masks(seed=None))


def test_empty_data_are_refused():
    model = small()
    for use in (model.fit, model.adapt, model.check_data, model.evaluate):
        with pytest.raises(ValueError, match=r"at least one sample.*shape \(0, 6\)"):
            use(X[:0])
    assert not model.built


@pytest.mark.parametrize("use", ["encode", "reconstruct", "fit", "fit_prior", "evaluate"])
def test_samples_of_another_shape_are_refused_with_both_shapes(use):
    model = small()
    model.encode(X)
    with pytest.raises(ValueError, match=r"built for samples of shape \(6,\).*\(n, 6\).*shape \(13, 5\)"):
        getattr(model, use)(X[:, :5])
