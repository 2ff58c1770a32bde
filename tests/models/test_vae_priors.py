"""The priors of a variational autoencoder: their densities, their draws, and their training."""

import warnings

import keras
import numpy as np
import pytest
from scipy import stats

import kplug
from kplug.models import priors

RNG = np.random.default_rng(0)
Z = RNG.normal(size=(5, 3)).astype("float32")


def mixture_log_prob(z, means, log_vars, log_weights):
    densities = [
        weight + stats.norm.logpdf(z, mean, np.exp(log_var / 2)).sum(axis=-1)
        for mean, log_var, weight in zip(means, log_vars, log_weights, strict=True)
    ]
    return np.logaddexp.reduce(densities, axis=0)


def test_the_standard_normal_is_scipys():
    found = priors.StandardNormal(3).log_prob(keras.ops.convert_to_tensor(Z))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(found), stats.norm.logpdf(Z).sum(axis=-1), rtol=1e-5)


@pytest.mark.parametrize("shape", [(5, 3), (5, 1, 3)])
def test_a_mixture_is_the_sum_of_its_gaussians(shape):
    prior = priors.GaussianMixture(3, 4, seed=0)
    for weight in prior.weights:
        weight.assign(RNG.normal(size=weight.shape))
    components = [keras.ops.convert_to_numpy(part).astype("float64") for part in prior.components()]
    found = prior.log_prob(keras.ops.convert_to_tensor(Z.reshape(shape)))
    assert tuple(found.shape) == shape[:-1]
    np.testing.assert_allclose(np.ravel(keras.ops.convert_to_numpy(found)), mixture_log_prob(Z, *components), rtol=1e-5)


def test_draws_have_the_moments_of_the_mixture():
    prior = priors.GaussianMixture(2, 2, seed=0)
    prior.means.assign([[-3.0, 0.0], [1.0, 2.0]])
    prior.log_vars.assign(np.log([[0.25, 1.0], [1.0, 4.0]]))
    prior.logits.assign(np.log([0.75, 0.25]))
    draws = prior.sample(40_000, seed=0)
    np.testing.assert_allclose(draws.mean(axis=0), [-2.0, 0.5], atol=0.05)
    variances = [0.75 * (0.25 + 9) + 0.25 * (1 + 1) - 4, 0.75 * 1 + 0.25 * (4 + 4) - 0.25]
    np.testing.assert_allclose(draws.var(axis=0), variances, rtol=0.05)
    np.testing.assert_array_equal(draws[:7], prior.sample(40_000, seed=0)[:7])


def test_a_vamp_prior_is_the_mixture_of_the_posteriors_of_its_samples(small_vae, table):
    vae = small_vae(prior="vamp", prior_components=5)
    vae.adapt(table)
    inputs = keras.ops.convert_to_numpy(vae.latent_prior.inputs)
    assert all(any(np.array_equal(one, row) for row in table) for one in inputs)
    means, log_vars = vae.encode(inputs)
    expected = mixture_log_prob(Z[:, :2], means, log_vars, np.full(5, -np.log(5)))
    found = vae.latent_prior.log_prob(keras.ops.convert_to_tensor(Z[:, :2]))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(found), expected, rtol=1e-4)


def test_the_samples_of_a_vamp_prior_begin_at_data_once_and_are_trained(small_vae, table, tmp_path):
    vae = small_vae("adam", prior="vamp", prior_components=3)
    vae.adapt(table)
    begun = keras.ops.convert_to_numpy(vae.latent_prior.inputs)
    vae.fit(table, epochs=2, verbose=0)
    trained = keras.ops.convert_to_numpy(vae.latent_prior.inputs)
    assert not np.allclose(trained, begun)
    vae.save(tmp_path / "vae.keras")
    again = kplug.load_model(tmp_path / "vae.keras")
    again.adapt(table)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(again.latent_prior.inputs), trained)
    np.testing.assert_allclose(again.generate(4, seed=1), vae.generate(4, seed=1), rtol=1e-5, atol=1e-6)


def test_a_vamp_prior_that_begins_as_noise_says_so(small_vae, table):
    vae = small_vae(prior="vamp", prior_components=3)
    with pytest.warns(UserWarning, match="begin as noise.*Call `adapt` with some 3 samples"):
        vae.fit((batch for batch in [(table, table)]), steps_per_epoch=1, shuffle=False, verbose=0)
    vae.adapt(table)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        vae.fit((batch for batch in [(table, table)]), steps_per_epoch=1, shuffle=False, verbose=0)


@pytest.mark.parametrize("prior", ["gaussian_mixture", "vamp"])
def test_a_trained_prior_is_better_than_the_standard_normal(small_vae, prior):
    # Two clusters far apart, whose codes a single Gaussian has to squeeze together.
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(256, 4)) * 0.1 + np.repeat([[0, 0, 1, 1], [1, 1, 0, 0]], 128, axis=0)).astype("float32")
    losses = {}
    for name in ("standard_normal", prior):
        vae = small_vae(keras.optimizers.Adam(1e-2), likelihood="gaussian", scale=0.1, prior=name, prior_components=4)
        vae.fit(x, epochs=25, batch_size=64, verbose=0)
        losses[name] = vae.evaluate_nll(x, 200)
    assert losses[prior] < losses["standard_normal"] + 0.05


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow Probability needs TensorFlow")
class TestDistribution:
    @pytest.fixture
    def tfd(self):
        import tensorflow_probability as tfp

        return tfp.distributions

    def test_the_kl_term_is_estimated_by_the_draws(self, tfd, small_vae):
        x = np.repeat(RNG.uniform(size=(1, 4)), 4000, axis=0).astype("float32")
        scaled = tfd.MultivariateNormalDiag([0.5, -0.5], [2.0, 0.5])
        vae = small_vae(prior=scaled)
        found = vae.evaluate(x, batch_size=4000, verbose=0, return_dict=True)["kl_loss"]
        mean, log_var = (part[0] for part in vae.encode(x[:1]))
        expected = kplug.gaussian_kl(mean[None], log_var[None], [0.5, -0.5], 2 * np.log([2.0, 0.5]))
        assert found == pytest.approx(float(expected[0]), rel=0.05)

    @pytest.mark.parametrize("form", ["diagonal", "batch", "mixture"])
    def test_it_is_saved_with_the_model(self, tfd, small_vae, table, tmp_path, form):
        prior = {
            "diagonal": lambda: tfd.MultivariateNormalDiag([0.5, -0.5], [2.0, 0.5]),
            "batch": lambda: tfd.Normal([0.0, 1.0], 2.0),
            "mixture": lambda: tfd.MixtureSameFamily(
                tfd.Categorical(logits=[0.0, 1.0]),
                tfd.MultivariateNormalDiag([[0.0, 0.0], [3.0, 3.0]], [[1.0, 1.0], [1.0, 2.0]]),
            ),
        }[form]()
        vae = small_vae(prior=prior)
        vae.fit(table, verbose=0)
        vae.save(tmp_path / "vae.keras")
        again = kplug.load_model(tmp_path / "vae.keras")
        np.testing.assert_allclose(again.generate(5, seed=3), vae.generate(5, seed=3), rtol=1e-5)

    def test_one_of_another_dimension_is_refused(self, tfd, small_vae, table):
        with pytest.raises(ValueError, match=r"latent_dim=2.*event shape \(3,\)"):
            small_vae(prior=tfd.MultivariateNormalDiag([0.0, 0.0, 0.0])).fit(table, verbose=0)
