"""What a variational autoencoder trains on: likelihoods, annealing, free bits, several draws; and its likelihood."""

import keras
import numpy as np
import pytest
from scipy import stats

import kplug

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("likelihood", "x", "options"),
    [
        ("gaussian", RNG.normal(size=(20, 4)), {"scale": 0.5}),
        ("poisson", RNG.poisson(2, size=(20, 4)), {}),
        ("multinomial", RNG.poisson(2, size=(20, 4)), {}),
        ("categorical", RNG.integers(0, 3, size=(20, 4)), {"categories": 3}),
        ("categorical", RNG.integers(0, 3, size=(20, 4, 3, 1)), {"categories": 3, "filters": (2,)}),
    ],
    ids=["gaussian", "poisson", "multinomial", "categorical", "categorical images"],
)
def test_the_loss_is_the_elbo_with_any_likelihood(small_vae, likelihood, x, options):
    x = x.astype("float32")
    vae = small_vae(likelihood=likelihood, beta=0.5, **options)
    found = vae.evaluate(x, batch_size=20, verbose=0)
    vae = small_vae(likelihood=likelihood, beta=0.5, **options)
    outputs = vae(x)
    parts = (outputs[name] for name in ("reconstruction", "mean", "log_var"))
    scale = options.get("scale", 1.0)
    expected = kplug.elbo_loss(x, *parts, likelihood=likelihood, beta=0.5, scale=scale)
    assert found[0] == pytest.approx(float(keras.ops.mean(expected)), rel=1e-5)
    assert vae.reconstruct(x).shape == x.shape
    if likelihood == "multinomial":
        np.testing.assert_allclose(vae.reconstruct(x).sum(axis=1), 1, rtol=1e-5)
    if likelihood == "categorical":
        assert set(np.unique(vae.generate(50, seed=0))) <= {0, 1, 2}


@pytest.mark.parametrize(
    ("likelihood", "value", "named"),
    [("poisson", -1, "counts, at least 0"), ("categorical", 3, "from 0 to 2"), ("categorical", 0.5, "whole numbers")],
)
def test_data_that_the_likelihood_cannot_have_are_refused(small_vae, likelihood, value, named):
    x = np.ones((4, 3), "float32")
    x[1, 2] = value
    with pytest.raises(ValueError, match=named):
        small_vae(likelihood=likelihood, categories=3).fit(x, verbose=0)


def test_a_learned_scale_becomes_the_size_of_what_is_left(small_vae):
    x = (0.5 + 0.1 * RNG.normal(size=(200, 3))).astype("float32")
    vae = small_vae(keras.optimizers.Adam(3e-2), likelihood="gaussian", scale="learned", beta=20.0)
    vae.fit(x, epochs=60, batch_size=50, verbose=0)
    left = np.sqrt(np.mean(np.square(x - vae.reconstruct(x))))
    scales = float(keras.ops.exp(vae.log_scale)) * x.std(axis=0)
    np.testing.assert_allclose(scales, left, rtol=0.25)
    assert left == pytest.approx(0.1, rel=0.1)


@pytest.mark.parametrize(("cycles", "weights"), [(1, [0, 0.25, 0.5, 0.75, 1, 1]), (2, [0, 1, 0, 1, 1, 1])])
def test_annealing_raises_the_weight_of_the_kl_term_in_training_only(small_vae, table, cycles, weights):
    vae = small_vae(keras.optimizers.SGD(0.0), beta=2.0, annealing_steps=4, annealing_cycles=cycles)
    history = vae.fit(table, batch_size=20, epochs=6, validation_data=(table,), verbose=0).history
    history = {name: np.array(values) for name, values in history.items()}
    found = (history["loss"] - history["reconstruction_loss"]) / history["kl_loss"]
    np.testing.assert_allclose(found, 2 * np.array(weights), atol=1e-4)
    found = (history["val_loss"] - history["val_reconstruction_loss"]) / history["val_kl_loss"]
    np.testing.assert_allclose(found, 2.0, rtol=1e-4)


def test_annealing_goes_on_after_saving(small_vae, table, tmp_path):
    vae = small_vae(keras.optimizers.SGD(0.0), annealing_steps=4)
    vae.fit(table, batch_size=10, verbose=0)
    vae.save(tmp_path / "vae.keras")
    history = kplug.load_model(tmp_path / "vae.keras").fit(table, batch_size=20, verbose=0).history
    found = (history["loss"][0] - history["reconstruction_loss"][0]) / history["kl_loss"][0]
    assert found == pytest.approx(0.5, abs=1e-4)


def test_free_bits_are_those_of_the_loss(small_vae, table):
    vae = small_vae(free_bits=0.3)
    found = vae.evaluate(table, batch_size=20, verbose=0, return_dict=True)
    outputs = small_vae(free_bits=0.3)(table)
    parts = (outputs[name] for name in ("reconstruction", "mean", "log_var"))
    terms = kplug.elbo_loss(table, *parts, free_bits=0.3, return_terms=True)
    assert found["kl_loss"] == pytest.approx(float(keras.ops.mean(terms.kl_loss)), rel=1e-5)
    assert found["kl_loss"] >= 0.6 - 1e-6


def test_with_several_draws_the_loss_is_the_importance_weighted_bound(small_vae, table):
    vae = small_vae(importance_samples=5)
    found = vae.evaluate(table, batch_size=20, verbose=0, return_dict=True)
    outputs = small_vae(importance_samples=5)(table)
    assert tuple(outputs["reconstruction"].shape) == (20, 5, 4)
    parts = (outputs[name] for name in ("reconstruction", "z", "mean", "log_var"))
    expected = float(keras.ops.mean(kplug.iwae_loss(table, *parts)))
    assert found["loss"] == pytest.approx(expected, rel=1e-5)
    assert found["loss"] <= found["reconstruction_loss"] + found["kl_loss"]


@pytest.mark.parametrize(
    "options",
    [
        {"importance_samples": 3, "prior": "gaussian_mixture"},
        {"importance_samples": 2, "conditional": True, "annealing_steps": 10},
        {"prior": "vamp", "conditional": True, "prior_components": 3},
    ],
    ids=str,
)
def test_the_options_go_together(small_vae, table, options, tmp_path):
    labels = np.arange(20) % 2
    vae = small_vae("adam", **options)
    losses = vae.fit(table, labels, epochs=8, batch_size=8, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    vae.save(tmp_path / "vae.keras")
    again = kplug.load_model(tmp_path / "vae.keras")
    np.testing.assert_allclose(again.generate(4, seed=0), vae.generate(4, seed=0), rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="PyTorch has no XLA")
@pytest.mark.parametrize("prior", ["gaussian_mixture", "vamp"])
def test_compiled_by_xla(small_vae, table, prior):
    vae = small_vae("adam", jit_compile=True, prior=prior, conditional=True, importance_samples=2)
    assert np.isfinite(vae.fit(table, np.arange(20) % 2, verbose=0).history["loss"]).all()


def test_mixed_precision(set_dtype_policy, small_vae, table):
    set_dtype_policy("mixed_float16")
    vae = small_vae("adam", prior="vamp", conditional=True, importance_samples=2)
    assert np.isfinite(vae.fit(table, np.arange(20) % 2, epochs=3, verbose=0).history["loss"]).all()
    assert np.isfinite(vae.evaluate_nll(table, 10, labels=np.arange(20) % 2))


def linear_vae(noise: float) -> tuple[kplug.VAE, np.ndarray, np.ndarray]:
    """Return a VAE whose posterior is exact, with the mean and the covariance of its data.

    With orthogonal columns the posterior of `x = W z + b + noise` is a diagonal Gaussian.
    """
    w = np.array([[2.0, 0.0], [0.0, 1.0], [0.0, -1.0]], "float32")
    b = np.array([0.5, -1.0, 0.0], "float32")
    precision = 1 + np.sum(w**2, axis=0) / noise**2
    inputs = keras.Input((3,))
    mean = keras.layers.Dense(2, name="m")
    log_var = keras.layers.Dense(2, kernel_initializer="zeros", name="v")
    decode = keras.layers.Dense(3)
    encoder = keras.Model(inputs, [mean(inputs), log_var(inputs)])
    latent = keras.Input((2,))
    decoder = keras.Model(latent, decode(latent))
    mean.set_weights([w / noise**2 / precision, -(b @ w) / noise**2 / precision])
    log_var.set_weights([np.zeros((3, 2)), -np.log(precision)])
    decode.set_weights([w.T, b])
    vae = kplug.VAE(latent_dim=2, likelihood="gaussian", scale=noise, encoder=encoder, decoder=decoder, seed=0)
    return vae, b, w @ w.T + noise**2 * np.eye(3)


@pytest.mark.parametrize("samples", [1, 7])
def test_with_the_exact_posterior_the_likelihood_is_exact(samples):
    vae, mean, covariance = linear_vae(0.5)
    x = RNG.multivariate_normal(mean, covariance, size=6).astype("float32")
    expected = stats.multivariate_normal.logpdf(x, mean, covariance)
    np.testing.assert_allclose(vae.log_likelihood(x, samples), expected, rtol=1e-4)
    assert vae.evaluate_nll(x, samples) == pytest.approx(-expected.mean(), rel=1e-4)


def test_more_draws_make_the_bound_tighter(small_vae, table, monkeypatch):
    vae = small_vae("adam")
    vae.fit(table, epochs=5, verbose=0)
    bounds = [np.mean([vae.evaluate_nll(table, samples, seed) for seed in range(3)]) for samples in (1, 10, 300)]
    assert bounds[0] > bounds[1] > bounds[2]
    assert vae.evaluate_nll(table, 50, 1) == vae.evaluate_nll(table, 50, 1) != vae.evaluate_nll(table, 50, 2)
    monkeypatch.setattr("kplug.models.latent_space._ROWS_AT_A_TIME", 64)
    assert vae.evaluate_nll(table, 300) == pytest.approx(bounds[2], abs=0.05)


def test_draws_in_several_parts_are_all_different(small_vae, table, monkeypatch):
    vae = small_vae()
    vae.fit(table, verbose=0)
    monkeypatch.setattr("kplug.models.latent_space._ROWS_AT_A_TIME", 8)
    seen = []
    decoded = vae._decoded

    def recorded(z, *rest, **more):
        seen.append(keras.ops.convert_to_numpy(z))
        return decoded(z, *rest, **more)

    monkeypatch.setattr(vae, "_decoded", recorded)
    vae.log_likelihood(table[:1], samples=21)
    draws = np.concatenate(seen, axis=1)
    assert draws.shape == (1, 21, 2)
    assert len(np.unique(draws[0, :, 0])) == 21


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX has no float64 unless it is told so at its start")
@pytest.mark.parametrize("options", [{"prior": "gaussian_mixture"}, {"prior": "vamp"}, {"annealing_steps": 4}], ids=str)
def test_double_precision(small_vae, table, options):
    vae = small_vae("adam", dtype="float64", **options)
    x = table.astype("float64")
    assert np.isfinite(vae.fit(x, verbose=0).history["loss"]).all()
    assert np.isfinite(vae.evaluate_nll(x, 5))


def test_the_estimated_kl_term_is_right_in_bfloat16(set_dtype_policy):
    set_dtype_policy("mixed_bfloat16")
    inputs = keras.Input((3,))
    mean = keras.layers.Dense(1, kernel_initializer="zeros", bias_initializer=keras.initializers.Constant(3.0))
    log_var = keras.layers.Dense(1, kernel_initializer="zeros", bias_initializer=keras.initializers.Constant(-10.0))
    encoder = keras.Model(inputs, [mean(inputs), log_var(inputs)])
    vae = kplug.VAE(latent_dim=1, units=(4,), encoder=encoder, prior="gaussian_mixture", prior_components=1, seed=0)
    vae.compile("sgd", jit_compile=False)
    vae.build((None, 3))
    vae.latent_prior.means.assign([[0.0]])
    found = vae.evaluate(np.full((4000, 3), 0.5, "float32"), batch_size=4000, verbose=0, return_dict=True)["kl_loss"]
    assert found == pytest.approx(0.5 * (np.exp(-10) + 9 - 1 + 10), rel=0.005)


def test_what_layers_add_is_added(small_vae, table):
    def loss_with(strength):
        keras.utils.set_random_seed(0)
        encoder = keras.Sequential([keras.layers.Dense(5, activity_regularizer=keras.regularizers.L2(strength))])
        return small_vae(encoder=encoder).evaluate(table, batch_size=20, verbose=0)[0]

    assert loss_with(0.1) > loss_with(0.0) + 1e-3
