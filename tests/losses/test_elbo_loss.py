"""The bound: its terms against closed forms and loops, free bits, posteriors as distributions, importance weights."""

import keras
import numpy as np
import pytest
from scipy import stats

import kplug
from kplug.losses.likelihoods import log_likelihood

RNG = np.random.default_rng(4)
MEAN, LOG_VAR = RNG.normal(size=(2, 5, 3)).astype("float32")
KL_BY_DIMENSION = 0.5 * (np.exp(LOG_VAR) - 1 - LOG_VAR + MEAN**2)
COUNTS = RNG.integers(0, 9, (5, 4)).astype("float32")
OUTPUTS = RNG.normal(size=(5, 4)).astype("float32")
BITS = (COUNTS > 4).astype("float32")
without_torch = pytest.mark.skipif(keras.backend.backend() == "torch", reason="TFP does not run on PyTorch")


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)


@pytest.mark.parametrize(
    ("likelihood", "x", "outputs", "options", "expected"),
    [
        ("bernoulli", BITS, OUTPUTS, {}, stats.bernoulli.logpmf(BITS, 1 / (1 + np.exp(-OUTPUTS))).sum(axis=1)),
        ("gaussian", COUNTS, OUTPUTS, {"scale": 0.7}, stats.norm.logpdf(COUNTS, OUTPUTS, 0.7).sum(axis=1)),
        (
            "gaussian",
            COUNTS,
            OUTPUTS,
            {"scale": np.exp(OUTPUTS)},
            stats.norm.logpdf(COUNTS, OUTPUTS, np.exp(OUTPUTS)).sum(axis=1),
        ),
        ("poisson", COUNTS, OUTPUTS, {}, stats.poisson.logpmf(COUNTS, np.exp(OUTPUTS)).sum(axis=1)),
        (
            "multinomial",
            COUNTS,
            OUTPUTS,
            {},
            (COUNTS * np.log(softmax(OUTPUTS.astype("float64")))).sum(axis=1),
        ),
        (
            "categorical",
            np.array([[0, 3], [1, 1]]),
            OUTPUTS[:4].reshape(2, 2, 4),
            {},
            [
                sum(np.log(softmax(OUTPUTS[2 * i + j])[c]) for j, c in enumerate(row))
                for i, row in enumerate([[0, 3], [1, 1]])
            ],
        ),
    ],
)
def test_log_likelihoods_are_scipys(likelihood, x, outputs, options, expected):
    x, outputs = keras.ops.convert_to_tensor(x), keras.ops.convert_to_tensor(outputs)
    options = {
        name: value if isinstance(value, float) else keras.ops.convert_to_tensor(value)
        for name, value in options.items()
    }
    np.testing.assert_allclose(log_likelihood(x, outputs, likelihood, **options), expected, rtol=2e-5)


def test_the_loss_is_the_sum_of_its_terms():
    terms = kplug.elbo_loss(BITS, OUTPUTS, MEAN, LOG_VAR, beta=3.0, return_terms=True)
    np.testing.assert_allclose(terms.kl_loss, KL_BY_DIMENSION.sum(axis=1), rtol=1e-5)
    expected = -stats.bernoulli.logpmf(BITS, 1 / (1 + np.exp(-OUTPUTS))).sum(axis=1)
    np.testing.assert_allclose(terms.reconstruction_loss, expected, rtol=1e-5)
    np.testing.assert_allclose(terms.loss, expected + 3 * KL_BY_DIMENSION.sum(axis=1), rtol=1e-5)
    np.testing.assert_allclose(kplug.elbo_loss(BITS, OUTPUTS, MEAN, LOG_VAR, beta=3.0), terms.loss, rtol=1e-6)


def test_free_bits_are_by_dimension_and_over_the_batch(gradient):
    free = float(np.sort(KL_BY_DIMENSION.mean(axis=0))[1]) + 1e-3
    kl = kplug.elbo_loss(BITS, OUTPUTS, MEAN, LOG_VAR, free_bits=free, return_terms=True).kl_loss
    expected = np.maximum(free, KL_BY_DIMENSION.mean(axis=0)).sum()
    assert float(keras.ops.mean(kl)) == pytest.approx(expected, rel=1e-5)
    found = gradient(lambda mean: kplug.elbo_loss(BITS, OUTPUTS, mean, LOG_VAR, free_bits=free), MEAN)
    assert (np.any(found != 0, axis=0) == (KL_BY_DIMENSION.mean(axis=0) > free)).all()


@without_torch
@pytest.mark.parametrize("form", ["normal", "independent", "multivariate"])
def test_a_posterior_may_be_a_distribution(form):
    if keras.backend.backend() == "jax":
        tfp = pytest.importorskip("tensorflow_probability.substrates.jax", exc_type=Exception)
    else:
        import tensorflow_probability as tfp
    tfd = tfp.distributions
    scale = np.exp(LOG_VAR / 2)
    posterior = {
        "normal": lambda: tfd.Normal(MEAN, scale),
        "independent": lambda: tfd.Independent(tfd.Normal(MEAN, scale), 1),
        "multivariate": lambda: tfd.MultivariateNormalDiag(MEAN, scale),
    }[form]()
    found = kplug.elbo_loss(BITS, OUTPUTS, posterior=posterior, return_terms=True).kl_loss
    np.testing.assert_allclose(found, KL_BY_DIMENSION.sum(axis=1), rtol=1e-4)


@pytest.mark.parametrize("size", [-50.0, 50.0])
def test_gradients_are_finite_for_extreme_log_variances(size, gradient):
    found = gradient(lambda log_var: kplug.elbo_loss(BITS, OUTPUTS, MEAN, log_var), np.full_like(MEAN, size))
    assert np.isfinite(found).all()
    assert np.isfinite(gradient(lambda x: kplug.elbo_loss(BITS, x, MEAN, LOG_VAR), 200 * size * np.sign(OUTPUTS))).all()


def test_the_importance_weighted_bound_is_burdas():
    k = 7
    z = (MEAN[:, None] + np.exp(LOG_VAR[:, None] / 2) * RNG.normal(size=(5, k, 3))).astype("float32")
    logits = RNG.normal(size=(5, k, 4)).astype("float32")
    log_x = stats.bernoulli.logpmf(BITS[:, None], 1 / (1 + np.exp(-logits))).sum(axis=2)
    log_prior = stats.norm.logpdf(z).sum(axis=2)
    log_posterior = stats.norm.logpdf(z, MEAN[:, None], np.exp(LOG_VAR / 2)[:, None]).sum(axis=2)
    expected = -np.log(np.mean(np.exp(log_x + log_prior - log_posterior), axis=1))
    np.testing.assert_allclose(kplug.iwae_loss(BITS, logits, z, MEAN, LOG_VAR), expected, rtol=1e-4)


@pytest.mark.parametrize("shape", [(4,), (5, 4), (5, 6, 4)], ids=["by element", "by sample", "by draw"])
def test_the_importance_weighted_bound_with_a_learned_scale(shape):
    k = 6
    z = RNG.normal(size=(5, k, 3)).astype("float32")
    decoded = RNG.normal(size=(5, k, 4)).astype("float32")
    log_scale = RNG.normal(size=shape).astype("float32")
    scale = np.exp(log_scale)
    by_draw = scale if len(shape) == 3 else np.broadcast_to(scale, (5, 4))[:, None]
    log_x = stats.norm.logpdf(BITS[:, None], decoded, by_draw).sum(axis=2)
    log_prior = stats.norm.logpdf(z).sum(axis=2)
    log_posterior = stats.norm.logpdf(z, MEAN[:, None], np.exp(LOG_VAR / 2)[:, None]).sum(axis=2)
    expected = -np.log(np.mean(np.exp(log_x + log_prior - log_posterior), axis=1))
    for given in ({"scale": scale}, {"log_scale": log_scale}):
        found = kplug.iwae_loss(BITS, decoded, z, MEAN, LOG_VAR, "gaussian", **given)
        np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("log_scale", [-60.0, 0.5, 100.0])
def test_a_learned_scale_of_any_size_is_exact(gradient, log_scale):
    logs = np.full_like(BITS, log_scale, dtype="float32")

    def loss(value):
        return kplug.elbo_loss(BITS, BITS, MEAN, LOG_VAR, "gaussian", log_scale=value, return_terms=True)[1]

    expected = BITS.shape[1] * (log_scale + 0.5 * np.log(2 * np.pi))
    np.testing.assert_allclose(loss(logs), np.full(len(BITS), expected), rtol=1e-6)
    np.testing.assert_allclose(gradient(loss, logs), np.ones_like(logs), rtol=1e-6)


def test_with_one_draw_the_importance_weighted_bound_is_the_elbo_in_the_mean():
    draws = 4000
    mean, log_var = np.repeat(MEAN[:1], draws, axis=0), np.repeat(LOG_VAR[:1], draws, axis=0)
    z = (mean + np.exp(log_var / 2) * RNG.normal(size=mean.shape)).astype("float32")
    x, logits = np.repeat(BITS[:1], draws, axis=0), np.repeat(OUTPUTS[:1], draws, axis=0)
    one_draw = np.asarray(kplug.iwae_loss(x, logits[:, None], z[:, None], mean, log_var))
    bound = float(kplug.elbo_loss(BITS[:1], OUTPUTS[:1], MEAN[:1], LOG_VAR[:1])[0])
    assert one_draw.mean() == pytest.approx(bound, abs=4 * one_draw.std() / np.sqrt(draws))


def test_annealing_rises_once_or_in_cycles():
    assert [float(kplug.kl_annealing(step, 10)) for step in (0, 5, 10, 11)] == [0.0, 0.5, 1.0, 1.0]
    cyclical = [float(kplug.kl_annealing(step, 20, cycles=2)) for step in range(0, 22, 2)]
    np.testing.assert_allclose(cyclical, [0, 0.4, 0.8, 1, 1, 0, 0.4, 0.8, 1, 1, 1], rtol=1e-6)
    assert float(kplug.kl_annealing(3, 0)) == 1.0


def test_annealing_follows_a_counter_in_a_compiled_model():
    class Annealed(keras.Model):
        def __init__(self):
            super().__init__()
            self.head = keras.layers.Dense(1)
            self.step = self.add_weight(shape=(), dtype="int32", initializer="zeros", trainable=False)

        def call(self, inputs):
            return self.head(inputs)

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            beta = kplug.kl_annealing(self.step, 4)
            self.step.assign(self.step + 1)
            return beta + 0 * keras.ops.sum(y_pred)

    model = Annealed()
    model.compile(keras.optimizers.SGD(0.0))
    history = model.fit(np.ones((4, 2)), batch_size=4, epochs=6, verbose=0).history["loss"]
    np.testing.assert_allclose(history, [0, 0.25, 0.5, 0.75, 1, 1], rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({}, "either `mean` and `log_var`, or `posterior`"),
        ({"mean": MEAN}, "either `mean` and `log_var`, or `posterior`"),
        ({"mean": MEAN, "log_var": LOG_VAR, "prior": 1}, "`prior` goes with `posterior`"),
        ({"posterior": 3}, "int"),
        ({"mean": MEAN, "log_var": LOG_VAR, "likelihood": "gaussian", "scale": np.float32(0)}, "scale=0.0"),
        ({"mean": MEAN, "log_var": LOG_VAR, "scale": 0.5}, "`scale` is for likelihood='gaussian'.*'bernoulli'"),
        ({"mean": MEAN, "log_var": LOG_VAR, "likelihood": "gaussian", "scale": 2.0, "log_scale": 0.1}, "not both"),
        ({"mean": MEAN, "log_var": LOG_VAR, "likelihood": "cauchy"}, "'poisson'.*'cauchy'"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments, named):
    with pytest.raises(ValueError, match=named):
        kplug.elbo_loss(BITS, OUTPUTS, **arguments)


def autoencoder():
    x = keras.Input((4,))
    mean, log_var = keras.layers.Dense(2)(x), keras.layers.Dense(2)(x)
    return keras.Model(x, {"reconstruction": keras.layers.Dense(4)(mean), "mean": mean, "log_var": log_var})


@pytest.mark.parametrize("y", [BITS, {"reconstruction": BITS}], ids=["data", "dictionary"])
@pytest.mark.parametrize("form", [lambda loss: loss, lambda loss: [loss]], ids=["alone", "in a list"])
def test_compile_hands_the_loss_all_outputs(form, y):
    model = autoencoder()
    model.compile(keras.optimizers.SGD(0.0), loss=form(kplug.ELBOLoss(beta=2.0)))
    weights = np.linspace(0, 1, len(BITS)).astype("float32")
    outputs = model.predict(BITS, verbose=0)
    samples = keras.ops.convert_to_numpy(kplug.elbo_loss(BITS, **outputs, beta=2.0))
    history = model.fit(BITS, y, sample_weight=weights, batch_size=len(BITS), verbose=0).history
    assert history["loss"] == [pytest.approx(np.mean(weights * samples), rel=1e-5)]
    assert model.evaluate(BITS, y, batch_size=len(BITS), verbose=0) == pytest.approx(np.mean(samples), rel=1e-5)


def test_a_model_compiled_with_the_loss_loads_and_trains_on(tmp_path):
    model = autoencoder()
    model.compile(keras.optimizers.Adam(0.05), loss=kplug.ELBOLoss(beta=0.5))
    history = model.fit(BITS, BITS, epochs=30, verbose=0).history["loss"]
    assert history[-1] < 0.8 * history[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.loss.beta == 0.5
    assert loaded.evaluate(BITS, BITS, verbose=0) == pytest.approx(model.evaluate(BITS, BITS, verbose=0), rel=1e-5)
    loaded.fit(BITS, BITS, verbose=0)


def test_a_model_without_the_dictionary_is_told_so():
    with pytest.raises(ValueError, match=r"puts out a dictionary with 'reconstruction', 'mean' and 'log_var'"):
        kplug.ELBOLoss()(BITS, OUTPUTS)


@keras.saving.register_keras_serializable(package="tests")
class HalfELBO(kplug.ELBOLoss):
    def call(self, y_true, y_pred):
        return 0.5 * super().call(y_true, y_pred)


def test_a_subclass_sees_all_outputs_too():
    whole, half = (autoencoder(), autoencoder())
    half.set_weights(whole.get_weights())
    for model, loss in ((whole, kplug.ELBOLoss()), (half, HalfELBO())):
        model.compile("sgd", loss=loss)
    assert half.evaluate(BITS, BITS, verbose=0) == pytest.approx(whole.evaluate(BITS, BITS, verbose=0) / 2, rel=1e-5)


def test_half_precision_has_room_for_the_divergence():
    mean, log_var = np.zeros((2, 3), "float16"), np.full((2, 3), 20.0, "float16")
    found = keras.ops.convert_to_numpy(kplug.gaussian_kl(mean, log_var))
    np.testing.assert_allclose(found, 1.5 * (np.exp(20.0) - 1 - 20.0), rtol=1e-4)
