"""The VAE's loss is -ELBO in nats: against a float64 oracle."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from scipy import special, stats


def negative_elbo(x, outputs, likelihood="bernoulli", scale=1.0):
    """The two terms for each sample, from the model's own outputs, in float64."""
    outputs = {name: keras.ops.convert_to_numpy(value).astype("float64") for name, value in outputs.items()}
    if likelihood == "bernoulli":
        p = special.expit(outputs["reconstruction"])
        log_p = x * np.log(p) + (1 - x) * np.log1p(-p)
    else:
        log_p = stats.norm.logpdf(x, outputs["reconstruction"], scale)
    reconstruction = -log_p.reshape(len(x), -1).sum(axis=1)
    mean, log_var = outputs["mean"], outputs["log_var"]
    kl = 0.5 * (np.exp(log_var) + mean**2 - 1 - log_var).sum(axis=1)
    return reconstruction, kl


@pytest.fixture(scope="module")
def rewound():
    """Give `rewound(vae)`: put the latent draws back to where they start, so that the next call repeats them."""

    def rewind(vae):
        vae.sampling.seed_generator.state.assign([1, 0])
        return vae

    return rewind


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"beta": 0.0},
        {"beta": 4.0, "latent_dim": 5},
        {"likelihood": "gaussian"},
        {"likelihood": "gaussian", "scale": 0.1, "beta": 0.5},
    ],
    ids=str,
)
def test_loss_is_the_negative_elbo(small_vae, rewound, table, arguments):
    vae = small_vae(**arguments)
    outputs = vae(table)
    reconstruction, kl = negative_elbo(
        table, outputs, arguments.get("likelihood", "bernoulli"), arguments.get("scale", 1.0)
    )
    found = rewound(vae).evaluate(table, batch_size=20, verbose=0, return_dict=True)
    assert found["reconstruction_loss"] == pytest.approx(reconstruction.mean(), rel=1e-5)
    assert found["kl_loss"] == pytest.approx(kl.mean(), rel=1e-4)
    assert found["loss"] == pytest.approx((reconstruction + arguments.get("beta", 1.0) * kl).mean(), rel=1e-5)


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 2, 1)], ids=str)
def test_elements_are_summed_whatever_the_shape(small_vae, rewound, shape):
    x = np.random.default_rng(1).uniform(size=(6, *shape)).astype("float32")
    vae = small_vae(architecture="dense")
    reconstruction, kl = negative_elbo(x, vae(x))
    found = rewound(vae).evaluate(x, verbose=0, return_dict=True)
    assert found["loss"] == pytest.approx((reconstruction + kl).mean(), rel=1e-5)
    assert found["reconstruction_loss"] == pytest.approx(reconstruction.mean(), rel=1e-5)


def test_a_last_partial_batch_counts_by_its_size(small_vae, table):
    # Nothing is learned at rate 0 and nothing depends on the draw at zero weights: each batch's loss is known.
    vae = small_vae(keras.optimizers.SGD(0.0))
    vae.build((None, 4))
    for weights in vae.decoder.trainable_variables:
        weights.assign(keras.ops.zeros(weights.shape))
    reconstruction, kl = negative_elbo(table, vae(table))
    assert reconstruction == pytest.approx(np.full(20, 4 * np.log(2)))
    for found in (
        {name: values[0] for name, values in vae.fit(table, batch_size=8, verbose=0).history.items()},
        vae.evaluate(table, batch_size=8, verbose=0, return_dict=True),
    ):
        assert found["kl_loss"] == pytest.approx(kl.mean(), rel=1e-4)
        assert found["loss"] == pytest.approx((reconstruction + kl).mean(), rel=1e-5)


def weighted(vae, x, weights, **arguments):
    found = vae.fit(x, sample_weight=weights, batch_size=20, shuffle=False, verbose=0, **arguments)
    return {name: values[0] for name, values in found.history.items()}


def test_sample_weights_scale_each_samples_loss(small_vae, rewound, table):
    vae = small_vae(keras.optimizers.SGD(0.0))
    weights = np.linspace(0, 3, 20)
    reconstruction, kl = negative_elbo(table, vae(table))
    found = weighted(rewound(vae), table, weights, y=table)
    assert found["loss"] == pytest.approx(((reconstruction + kl) * weights).mean(), rel=1e-5)
    assert found["kl_loss"] == pytest.approx(np.average(kl, weights=weights), rel=1e-4)


def test_sample_weights_count_without_targets(small_vae, table):
    weights = np.linspace(0, 3, 20)
    with_targets = weighted(small_vae(), table, weights, y=table)
    assert weighted(small_vae(), table, weights) == pytest.approx(with_targets, rel=1e-6)


def test_sample_weights_as_a_column_mean_the_same(small_vae, table):
    weights = np.linspace(0, 3, 20)
    flat = weighted(small_vae(), table, weights, y=table)
    assert weighted(small_vae(), table, weights[:, np.newaxis], y=table) == pytest.approx(flat, rel=1e-6)


def test_samples_of_weight_zero_teach_nothing(small_vae, table):
    vae = small_vae("sgd")
    vae.build((None, 4))
    before = vae.get_weights()
    vae.fit(table, table, sample_weight=np.zeros(20), verbose=0)
    for one, other in zip(vae.trainable_variables, before, strict=False):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(one), other)


def test_regularisation_of_an_own_network_is_added(small_vae, rewound, table):
    dense = keras.layers.Dense(3, kernel_regularizer=keras.regularizers.L2(0.5))
    vae = small_vae(keras.optimizers.SGD(0.0), encoder=keras.Sequential([keras.Input((4,)), dense]))
    reconstruction, kl = negative_elbo(table, vae(table))
    penalty = 0.5 * (keras.ops.convert_to_numpy(dense.kernel).astype("float64") ** 2).sum()
    found = rewound(vae).fit(table, batch_size=20, shuffle=False, verbose=0).history["loss"][0]
    assert found == pytest.approx((reconstruction + kl).mean() + penalty, rel=1e-5)


def test_beta_trades_kl_for_reconstruction(small_vae, table):
    found = {}
    for beta in (0.0, 50.0):
        vae = small_vae(keras.optimizers.Adam(0.02), beta=beta)
        vae.fit(table, epochs=20, verbose=0)
        found[beta] = vae.evaluate(table, verbose=0, return_dict=True)
    assert found[50.0]["kl_loss"] < found[0.0]["kl_loss"]
    assert found[50.0]["kl_loss"] < 0.1
