"""Data in their own unit: what the built-in networks see and put out, and that nobody else notices."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

import kplug
from kplug.training.assembly import prepare

RNG = np.random.default_rng(0)
COUNTS = RNG.poisson([0.1, 5, 50, 3000], (64, 4)).astype("float32")
REALS = RNG.normal([5000, -3], [900, 0.02], (64, 2)).astype("float32")


def array(weight) -> np.ndarray:
    return ops.convert_to_numpy(weight)


def batches(x):
    return (batch for batch in [(x, x)])


@pytest.mark.parametrize(
    ("x", "options"),
    [
        (RNG.poisson(50.0, (128, 20)).astype("float32"), {"likelihood": "poisson"}),
        (RNG.poisson(50.0, (128, 20)).astype("float32"), {"likelihood": "poisson", "dtype": "mixed_float16"}),
        (RNG.poisson(8.0, (128, 8, 8, 1)).astype("uint8"), {"likelihood": "poisson"}),
        (RNG.poisson(50.0, (128, 20)), {"likelihood": "multinomial"}),
        (1000 * RNG.random((128, 30)), {"likelihood": "gaussian", "scale": "learned"}),
        (1e5 * RNG.random((128, 30)), {"likelihood": "gaussian", "scale": "learned", "dtype": "mixed_float16"}),
        (RNG.integers(0, 256, (128, 8, 8, 1)).astype("uint8"), {"likelihood": "gaussian", "scale": 20.0}),
        (RNG.integers(0, 256, (128, 8, 8)).astype("uint8"), {"likelihood": "categorical", "categories": 256}),
    ],
    ids=[
        "counts",
        "counts, mixed precision",
        "image counts",
        "shares",
        "reals",
        "reals, mixed precision",
        "bytes",
        "byte classes",
    ],
)
def test_data_in_any_unit_can_be_trained_on(small_vae, x, options):
    vae = small_vae("adam", units=None, **options)
    losses = vae.fit(x, epochs=3, batch_size=64, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    # In half precision Keras spends the first steps on finding a loss scale.
    assert losses[-1] < losses[0] or "dtype" in options
    assert np.isfinite(vae.evaluate_nll(x[:8], 5))
    assert np.isfinite(vae.reconstruct(x)).all()


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("shape", [(4,), (4, 4)], ids=str)
def test_another_unit_changes_the_loss_by_its_logarithm_alone(small_vae, shape, learned):
    x = RNG.normal(size=(40, *shape)).astype("float32")
    found = []
    for unit, origin in ((1.0, 0.0), (512.0, 64.0)):
        scale = "learned" if learned else 0.5 * unit
        vae = small_vae("adam", likelihood="gaussian", scale=scale, filters=(2,))
        data = unit * x + origin
        history = vae.fit(data, epochs=3, batch_size=20, verbose=0).history
        found.append((np.array(history["loss"]), vae.reconstruct(data), vae.evaluate_nll(data, 5)))
    # p(y) = p(x) / 512 for each element of y = 512 x + 64.
    nats = np.prod(shape) * np.log(512)
    np.testing.assert_allclose(found[1][0] - nats, found[0][0], rtol=1e-3)
    np.testing.assert_allclose(found[1][1], 512 * found[0][1] + 64, rtol=1e-3, atol=1)
    assert found[1][2] - nats == pytest.approx(found[0][2], rel=1e-3)


def test_tables_are_standardised_by_feature(small_vae):
    x = np.column_stack([REALS, np.full(64, 0.1, "float32")])
    vae = small_vae(likelihood="gaussian")
    vae.adapt(x)
    exact = x.astype("float64")
    np.testing.assert_allclose(array(vae.scaling.mean), exact.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(array(vae.scaling.deviation), [*exact.std(axis=0)[:2], 1.0], rtol=1e-5)
    seen = (exact - exact.mean(axis=0)) / [*exact.std(axis=0)[:2], 1.0]
    np.testing.assert_allclose(vae.encode(x)[0], array(vae.encoder(seen)[0]), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("shape", [(8, 8, 1), (5, 3, 2, 2)], ids=str)
def test_other_data_have_one_unit(small_vae, shape, monkeypatch):
    monkeypatch.setattr("kplug.models.vae_scaling._ELEMENTS_AT_A_TIME", 500)
    x = RNG.integers(0, 200, (30, *shape)).astype("uint8")
    vae = small_vae(likelihood="gaussian", filters=(2,))
    vae.adapt(x)
    assert float(array(vae.scaling.mean)) == pytest.approx(x.astype("float64").mean(), rel=1e-6)
    assert float(array(vae.scaling.deviation)) == pytest.approx(x.astype("float64").std(), rel=1e-6)


@pytest.mark.parametrize("likelihood", ["poisson", "multinomial"])
def test_the_encoder_sees_logarithms_of_counts(small_vae, likelihood):
    vae = small_vae(likelihood=likelihood)
    logs = np.log(1 + COUNTS.astype("float64"))
    np.testing.assert_allclose(vae.encode(COUNTS)[0], array(vae.encoder(logs)[0]), rtol=1e-4, atol=1e-5)
    vae.adapt(COUNTS)
    logs = (logs - logs.mean()) / logs.std()
    np.testing.assert_allclose(vae.encode(COUNTS)[0], array(vae.encoder(logs)[0]), rtol=1e-4, atol=1e-5)


def test_rates_are_relative_to_the_mean_count_and_exponential_below_it_alone(small_vae):
    vae = small_vae(likelihood="poisson")
    vae.adapt(COUNTS)
    *hidden, kernel, bias = vae.decoder.get_weights()
    for outputs, relative in ((0.0, 1.0), (3.0, 4.0), (1e6, 1e6 + 1), (-2.0, np.exp(-2.0))):
        vae.decoder.set_weights([*hidden, 0 * kernel, outputs + 0 * bias])
        means = COUNTS.sum(axis=0, dtype="float64") + 0.5
        np.testing.assert_allclose(vae.decode(np.ones((1, 2)))[0], relative * means / 64, rtol=1e-4)


@pytest.mark.parametrize(
    ("x", "options"),
    [
        (REALS, {"likelihood": "gaussian", "scale": 30.0}),
        (REALS, {"likelihood": "gaussian", "scale": "learned"}),
        (COUNTS, {"likelihood": "poisson"}),
        (COUNTS, {"likelihood": "multinomial"}),
    ],
    ids=lambda value: "" if isinstance(value, np.ndarray) else str(value),
)
@pytest.mark.parametrize("importance_samples", [1, 3])
def test_the_loss_is_that_of_the_reconstructions(small_vae, x, options, importance_samples):
    arguments = {"importance_samples": importance_samples, **options}
    vae = small_vae(**arguments)
    vae.adapt(x)
    outputs = vae(x)
    scale = options.get("scale", 1.0)
    scale = x.astype("float64").std(axis=0).astype("float32") if scale == "learned" else scale
    loss, names = (
        (kplug.elbo_loss, ("reconstruction", "mean", "log_var"))
        if importance_samples == 1
        else (kplug.iwae_loss, ("reconstruction", "z", "mean", "log_var"))
    )
    expected = loss(x, *(outputs[name] for name in names), likelihood=options["likelihood"], scale=scale)
    again = small_vae(**arguments)
    again.adapt(x)
    found = again.evaluate(x, batch_size=64, verbose=0, return_dict=True)["loss"]
    assert found == pytest.approx(float(ops.mean(expected)), rel=1e-4)


def test_a_learned_scale_begins_at_the_datas_deviation_and_is_drawn_with(small_vae):
    vae = small_vae(likelihood="gaussian", scale="learned")
    vae.adapt(REALS)
    vae.latent_prior.sample = lambda n, seed: np.full((n, 2), 0.3, "float32")
    drawn = vae.generate(4000, seed=0, draw=True)
    np.testing.assert_allclose(drawn.astype("float64").std(axis=0), REALS.astype("float64").std(axis=0), rtol=0.05)


def test_bernoulli_data_are_not_scaled(small_vae, table):
    vae = small_vae()
    vae.adapt(table)
    assert vae.scaling.weights == []
    np.testing.assert_allclose(vae.encode(table)[0], array(vae.encoder(table)[0]), rtol=1e-5, atol=1e-6)


def test_own_networks_see_and_put_out_the_datas_unit(small_vae):
    inputs = keras.Input((2,))
    encoder = keras.Model(inputs, [1 * inputs, 0 * inputs])
    decoder = keras.Sequential([keras.Input((2,)), keras.layers.Identity()])
    vae = small_vae(likelihood="gaussian", encoder=encoder, decoder=decoder)
    vae.adapt(REALS)
    np.testing.assert_array_equal(vae.encode(REALS)[0], REALS)
    np.testing.assert_array_equal(vae.reconstruct(REALS), REALS)


@pytest.mark.parametrize(("x", "likelihood"), [(REALS, "gaussian"), (COUNTS, "poisson")])
def test_a_vamp_prior_begins_at_the_posteriors_of_data(small_vae, x, likelihood):
    vae = small_vae("adam", likelihood=likelihood, prior="vamp", prior_components=len(x))
    vae.adapt(x)
    means, log_vars, _ = map(array, vae.latent_prior.components())
    for found, expected in zip((means, log_vars), vae.encode(x), strict=True):
        np.testing.assert_allclose(np.sort(found, axis=0), np.sort(expected, axis=0), rtol=1e-3, atol=1e-4)
    assert np.isfinite(vae.fit(x, epochs=2, verbose=0).history["loss"]).all()


@pytest.mark.parametrize(("x", "likelihood"), [(REALS, "gaussian"), (COUNTS, "poisson")])
def test_the_unit_is_learned_once_and_saved(small_vae, x, likelihood, tmp_path):
    vae = small_vae("adam", likelihood=likelihood)
    vae.fit(x, verbose=0)
    expected = vae.reconstruct(x)
    vae.adapt(2 * x)
    np.testing.assert_array_equal(vae.reconstruct(x), expected)
    vae.save(tmp_path / "vae.keras")
    again = kplug.load_model(tmp_path / "vae.keras")
    again.adapt(2 * x)
    np.testing.assert_allclose(again.reconstruct(x), expected, rtol=1e-5)


def test_a_model_trained_without_a_unit_keeps_none(small_vae, table, tmp_path):
    vae = small_vae("adam", likelihood="gaussian")
    vae.fit(batches(table), steps_per_epoch=1, shuffle=False, verbose=0)
    vae.save(tmp_path / "vae.keras")
    for model in (vae, kplug.load_model(tmp_path / "vae.keras", compile=False)):
        model.adapt(table)
        np.testing.assert_array_equal(array(model.scaling.mean), np.zeros(4))


def test_a_model_that_was_only_looked_at_learns_the_unit(small_vae):
    vae = small_vae("adam", likelihood="gaussian")
    vae.encode(REALS)
    vae.evaluate(REALS, verbose=0)
    vae.fit(REALS, verbose=0)
    np.testing.assert_allclose(array(vae.scaling.mean), REALS.mean(axis=0), rtol=1e-4)


def test_the_unit_is_that_of_the_training_part(small_vae):
    vae = small_vae("adam", likelihood="gaussian")
    vae.fit(REALS, validation_split=0.25, verbose=0)
    np.testing.assert_allclose(array(vae.scaling.mean), REALS[:48].astype("float64").mean(axis=0), rtol=1e-6)


def test_a_loader_can_be_trained_on_after_adapt(small_vae):
    vae = small_vae("adam", likelihood="gaussian", scale="learned")
    vae.adapt(REALS)
    losses = vae.fit(batches(REALS), steps_per_epoch=1, shuffle=False, verbose=0).history["loss"]
    again = small_vae("adam", likelihood="gaussian", scale="learned")
    assert losses == pytest.approx(again.fit(REALS, batch_size=64, shuffle=False, verbose=0).history["loss"], rel=1e-4)


def test_the_worker_lets_the_model_learn_the_unit(small_vae):
    vae = small_vae(likelihood="gaussian")
    prepare(vae, (REALS,))
    np.testing.assert_allclose(array(vae.scaling.mean), REALS.mean(axis=0), rtol=1e-4)


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="PyTorch has no XLA")
@pytest.mark.parametrize(
    ("x", "options"), [(REALS, {"likelihood": "gaussian", "scale": "learned"}), (COUNTS, {"likelihood": "poisson"})]
)
def test_compiled_by_xla(small_vae, x, options):
    vae = small_vae("adam", jit_compile=True, conditional=True, **options)
    assert np.isfinite(vae.fit(x, np.arange(64) % 2, verbose=0).history["loss"]).all()
