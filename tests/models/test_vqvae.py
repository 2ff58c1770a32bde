"""A vector-quantised autoencoder: codes, the loss, training, the prior over codes, saving, pictures."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops
from matplotlib.image import imread
from scipy import special

import kplug
from kplug.models.vqvae_prior import CodePrior

X = np.random.default_rng(0).uniform(size=(12, 5, 6)).astype("float32")
LOGS = {"loss", "reconstruction_loss", "commitment_loss", "perplexity"}
PICTURES = ["codes.png", "reconstructions.png", "samples.png"]


# TensorFlow needs longer to compile for XLA than to train these.
JIT = "auto" if keras.backend.backend() == "jax" else False


def small(optimizer="sgd", jit_compile=JIT, **arguments):
    """Make a compiled model of few weights. All randomness is set anew."""
    keras.utils.set_random_seed(0)
    sizes = {"num_embeddings": 8, "embedding_dim": 3, "filters": (4,), "residual_blocks": 1, "units": (6,)}
    model = kplug.VQVAE(**{**sizes, "code_length": 2, "prior_units": 8, "prior_blocks": 1, "seed": 1, **arguments})
    model.compile(optimizer, jit_compile=jit_compile)
    return model


@pytest.fixture(scope="module")
def trained():
    """A model with a prior; tests leave it as it is."""
    model = small("adam")
    model.fit(X, epochs=2, batch_size=12, verbose=0)
    model.fit_prior(X, epochs=2, batch_size=12, verbose=0)
    return model


def encodings(model, x):
    return ops.convert_to_numpy(model.encoder(x)).astype("float64").reshape(-1, model.embedding_dim)


def codebook_of(model):
    return ops.convert_to_numpy(model.quantizer.codebook).astype("float64")


@pytest.mark.parametrize(
    ("shape", "filters", "code_shape"),
    [
        ((5, 6), (4,), (3, 3)),
        ((4, 3, 3), (4,), (2, 2)),
        ((9, 17), (2, 3, 2), (2, 3)),
        ((7,), (4,), (2,)),
        ((3, 2, 2, 2), (4,), (2,)),
    ],
    ids=str,
)
def test_the_model_builds_itself_for_any_shape(shape, filters, code_shape):
    model = small(filters=filters)
    model.build((None, *shape))
    assert model.code_shape == code_shape
    assert model.decoder.output_shape == (None, *shape)


@pytest.mark.parametrize("shape", [(5, 6), (7,)], ids=str)
def test_codes_and_reconstructions_have_their_shapes(shape):
    x = np.random.default_rng(0).uniform(size=(3, *shape)).astype("float32")
    model = small()
    codes = model.encode(x)
    assert codes.shape == (3, *model.code_shape)
    assert codes.dtype == np.int32
    assert model.reconstruct(x).shape == model(x).shape == x.shape
    assert 0 < model.reconstruct(x).min() < model.reconstruct(x).max() < 1


def test_codes_are_the_nearest_of_the_codebook(trained):
    codebook = codebook_of(trained)
    nearest = [min(range(8), key=lambda code: np.sum((z - codebook[code]) ** 2)) for z in encodings(trained, X)]
    np.testing.assert_array_equal(trained.encode(X).reshape(-1), nearest)


def test_reconstructions_are_what_the_model_calls(trained):
    logits = ops.convert_to_numpy(trained(X)).astype("float64")
    np.testing.assert_allclose(trained.reconstruct(X), special.expit(logits), rtol=1e-4)
    np.testing.assert_allclose(trained.predict(X, verbose=0), logits, rtol=1e-4, atol=1e-5)


def test_the_batch_size_does_not_matter(trained):
    np.testing.assert_array_equal(trained.encode(X, batch_size=5), trained.encode(X))
    np.testing.assert_allclose(trained.reconstruct(X, batch_size=5), trained.reconstruct(X), rtol=1e-5)


def test_no_samples_give_none(trained):
    assert trained.encode(X[:0]).shape == (0, 3, 3)
    assert trained.reconstruct(X[:0]).shape == trained.generate(0).shape == (0, 5, 6)
    assert trained.log_likelihood(X[:0]).shape == (0,)


def commitment(model, x):
    squares = np.square(encodings(model, x)[:, None] - codebook_of(model)).sum(axis=-1).min(axis=1)
    return 0.25 * x[0].size * squares.mean() / model.embedding_dim


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_the_loss_is_in_nats_per_sample(likelihood):
    model = small(likelihood=likelihood, scale=0.5)
    means = model.reconstruct(X).astype("float64")
    if likelihood == "bernoulli":
        log_p = X * np.log(means) + (1 - X) * np.log(1 - means)
    else:
        log_p = -0.5 * ((X - means) / 0.5) ** 2 - np.log(0.5) - 0.5 * np.log(2 * np.pi)
    logs = model.evaluate(X, batch_size=12, verbose=0, return_dict=True)
    assert set(logs) == LOGS
    assert logs["reconstruction_loss"] == pytest.approx(-log_p.sum() / 12, rel=1e-4)
    assert logs["commitment_loss"] == pytest.approx(commitment(model, X), rel=1e-3)
    assert logs["loss"] == pytest.approx(logs["reconstruction_loss"] + logs["commitment_loss"], rel=1e-5)


def test_perplexity_is_that_of_the_codes_of_a_batch(trained):
    shares = np.bincount(trained.encode(X).reshape(-1), minlength=8) / 108
    expected = np.exp(-sum(share * np.log(share) for share in shares if share))
    logs = trained.evaluate(X, batch_size=12, verbose=0, return_dict=True)
    assert logs["perplexity"] == pytest.approx(expected, rel=1e-4)


def test_the_codebook_begins_at_encodings_of_the_data():
    model = small()
    model.adapt(X)
    distances = np.abs(codebook_of(model)[:, None] - encodings(model, X)).max(axis=-1).min(axis=1)
    np.testing.assert_allclose(distances, 0, atol=1e-5)
    assert len(np.unique(model.encode(X))) == 8


def test_more_fits_go_on_with_the_codebook(monkeypatch):
    model = small()
    adapted = []
    adapt = model.adapt
    monkeypatch.setattr(model, "adapt", lambda x: adapted.append(len(x)) or adapt(x))
    for _ in range(2):
        model.fit(X, batch_size=12, verbose=0)
    assert adapted == [12]


@pytest.mark.slow
def test_training_on_digits_lowers_the_error_and_uses_many_codes(digits_8x8):
    model = small(keras.optimizers.Adam(0.01), num_embeddings=16, filters=(8,), embedding_dim=4)
    history = model.fit(digits_8x8, epochs=40, batch_size=12, verbose=0).history
    assert set(history) == LOGS
    assert history["reconstruction_loss"][-1] < 0.65 * history["reconstruction_loss"][0]
    assert history["perplexity"][-1] > 5


def test_one_seed_gives_one_training_whatever_the_targets():
    histories, codes = [], []
    for targets in ((), (np.arange(12),)):
        model = small()
        histories.append(model.fit(X, *targets, epochs=2, batch_size=6, verbose=0).history)
        codes.append(model.encode(X))
    assert histories[0] == histories[1]
    np.testing.assert_array_equal(codes[0], codes[1])


def test_sample_weights_weigh_the_reconstructions():
    model = small()
    model.adapt(X)
    alone = model.evaluate(X[:6], batch_size=6, verbose=0, return_dict=True)
    weighted = model.evaluate(X[[*range(6)] * 2], sample_weight=np.repeat([0.5, 1.5], 6), batch_size=12, verbose=0)
    assert weighted[0] == pytest.approx(alone["loss"], rel=1e-5)
    halved = model.evaluate(X[:6], sample_weight=np.full(6, 0.5), batch_size=6, verbose=0)
    assert halved[0] == pytest.approx(alone["loss"] - 0.5 * alone["reconstruction_loss"], rel=1e-5)


def test_one_sample_in_the_last_batch():
    model = small("adam")
    history = model.fit(X, batch_size=11, epochs=2, validation_data=X[:1], verbose=0).history
    assert set(history) == LOGS | {f"val_{name}" for name in LOGS}
    assert all(np.isfinite(values).all() for values in history.values())


def test_data_from_a_loader():
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return X[index * 6 : (index + 1) * 6], np.zeros(6)

    assert np.isfinite(small().fit(Batches(), verbose=0).history["loss"]).all()


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="PyTorch has no XLA, and JAX always uses it here")
def test_compiled_by_xla():
    found, expected = (
        small(jit_compile=compiled, restart_threshold=0)
        .fit(X, epochs=2, batch_size=12, shuffle=False, verbose=0)
        .history
        for compiled in (True, False)
    )
    assert found == {name: pytest.approx(values, rel=1e-3) for name, values in expected.items()}


def test_mixed_precision_stays_finite(set_dtype_policy):
    set_dtype_policy("mixed_float16")
    model = small("adam")
    history = model.fit(X, epochs=2, batch_size=12, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values())
    assert all(np.isfinite(weight).all() for weight in model.get_weights())
    assert model.reconstruct(X).dtype == np.float32


@pytest.mark.parametrize(
    ("likelihood", "value", "message"),
    [
        ("bernoulli", 255.0, "between 0 and 1. Received values from .* to 255. Rescale them"),
        ("bernoulli", -0.5, "between 0 and 1. Received values from -0.5 to"),
        ("bernoulli", np.nan, "NaN, first in sample 3"),
        ("gaussian", np.nan, "NaN, first in sample 3"),
        ("gaussian", np.inf, "infinite values, first in sample"),
    ],
)
def test_data_that_the_likelihood_cannot_have_are_refused(likelihood, value, message):
    x = X.copy()
    x[3, 2, 1] = value
    for use in ("fit", "encode", "adapt", "fit_prior"):
        with pytest.raises(ValueError, match=message):
            getattr(small(likelihood=likelihood), use)(x)


@pytest.mark.parametrize(
    "arguments",
    [
        {"num_embeddings": 0},
        {"embedding_dim": 2.5},
        {"filters": ()},
        {"filters": (4, 0)},
        {"residual_blocks": -1},
        {"units": 4},
        {"code_length": 0},
        {"likelihood": "poisson"},
        {"scale": 0},
        {"commitment_cost": -1},
        {"ema_decay": 1.0},
        {"ema_decay": None},
        {"restart_threshold": -0.1},
        {"prior_units": 0},
        {"prior_blocks": True},
        {"prior_dropout": 1},
    ],
    ids=str,
)
def test_parameters_out_of_range_are_refused_and_named(arguments):
    ((name, value),) = arguments.items()
    with pytest.raises(ValueError, match=rf"`{name}` .*Received: {name}=") as caught:
        kplug.VQVAE(**arguments)
    assert str(value) in str(caught.value)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (np.zeros((2, 9), int), r"shape \(n, 3, 3\). Received: int64 of shape \(2, 9\)"),
        (np.zeros((2, 3, 3)), r"whole numbers of shape \(n, 3, 3\). Received: float64"),
        (np.full((2, 3, 3), 8), "from 0 to 7. Received: numbers from 8 to 8"),
        (np.full((2, 3, 3), -1), "from 0 to 7. Received: numbers from -1 to -1"),
    ],
)
def test_what_are_no_codes_is_refused(trained, codes, message):
    with pytest.raises(ValueError, match=message):
        trained.decode(codes)


def test_before_any_data_a_message_says_what_to_do():
    with pytest.raises(ValueError, match=r"has not seen data yet.*Call `fit`"):
        kplug.VQVAE().decode(np.zeros((1, 2, 2), int))
    with pytest.raises(ValueError, match="needs samples of one known shape"):
        kplug.VQVAE().build((None, None, 8, 1))


def test_without_a_prior_a_message_says_what_to_do():
    model = small()
    model.encode(X)
    for use in (lambda: model.generate(3), lambda: model.log_likelihood(X), lambda: model.bits_per_dimension(X)):
        with pytest.raises(ValueError, match=r"no prior over its codes. Call `fit_prior\(x\)`"):
            use()


@pytest.mark.parametrize("arguments", [{"epochs": 0}, {"batch_size": 0}, {"x": X[:0]}], ids=str)
def test_a_prior_needs_samples_and_epochs(trained, arguments):
    with pytest.raises(ValueError, match=r"at least"):
        trained.fit_prior(**{"x": X, **arguments})


def test_training_again_forgets_the_prior():
    model = small()
    model.adapt(X)
    before = [ops.convert_to_numpy(weight) for weight in model.weights]
    losses = model.fit_prior(X, epochs=2, batch_size=12, validation_data=X, verbose=0).history
    assert set(losses) == {"loss", "val_loss"}
    for weight, old in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(weight), old)
    assert model.prior is not None
    model.fit(X, batch_size=12, verbose=0)
    assert model.prior is None


@pytest.fixture(scope="module")
def code_prior():
    """A prior over 2 of 3 codes that has seen (0, 1) three times as often as (2, 2)."""
    prior = CodePrior(num_embeddings=3, length=2, units=8, blocks=1, dropout=0.0, seed=0)
    prior.network.jit_compile = keras.backend.backend() == "jax"
    codes = np.array([[0, 1], [0, 1], [0, 1], [2, 2]], "int32")
    prior.fit(codes, epochs=80, batch_size=4, learning_rate=0.03, verbose=0)
    return prior


def test_a_priors_probabilities_add_up_to_one_and_follow_the_codes(code_prior):
    sequences = np.array(list(itertools.product(range(3), repeat=2)), "int32")
    probabilities = dict(zip(map(tuple, sequences.tolist()), np.exp(code_prior.log_prob(sequences)), strict=True))
    assert sum(probabilities.values()) == pytest.approx(1, rel=1e-5)
    assert probabilities[0, 1] == pytest.approx(0.75, abs=0.08)
    assert probabilities[2, 2] == pytest.approx(0.25, abs=0.08)


def test_a_priors_draws_have_its_probabilities(code_prior):
    draws = code_prior.sample(4000, seed=0)
    np.testing.assert_allclose(np.mean((draws == [0, 1]).all(axis=1)), 0.75, atol=0.07)
    np.testing.assert_array_equal(code_prior.sample(40, seed=3), code_prior.sample(40, seed=3))
    assert not np.array_equal(code_prior.sample(40, seed=3), code_prior.sample(40, seed=4))


def test_a_priors_logits_depend_on_earlier_codes_alone():
    network = CodePrior(num_embeddings=5, length=6, units=8, blocks=2, dropout=0.0, seed=0).network
    codes = np.random.default_rng(0).integers(0, 5, (1, 6)).astype("int32")
    other = codes.copy()
    other[0, 3] = (other[0, 3] + 1) % 5
    before, after = (ops.convert_to_numpy(network(one))[0] for one in (codes, other))
    np.testing.assert_allclose(before[:4], after[:4], atol=1e-6)
    assert np.abs(before[4:] - after[4:]).min(axis=-1).max() > 1e-4


def test_generated_samples_are_decoded_draws_of_the_prior(trained):
    expected = trained.decode(trained.prior.sample(5, seed=2).reshape(5, 3, 3))
    np.testing.assert_allclose(trained.generate(5, seed=2), expected, rtol=1e-6)
    assert not np.array_equal(trained.generate(5, seed=2), trained.generate(5, seed=3))


def test_the_likelihood_counts_codes_and_reconstruction(trained):
    p = trained.reconstruct(X).astype("float64")
    given_codes = (X * np.log(p) + (1 - X) * np.log(1 - p)).sum(axis=(1, 2))
    expected = given_codes + trained.prior.log_prob(trained.encode(X).reshape(12, 9))
    np.testing.assert_allclose(trained.log_likelihood(X, batch_size=7), expected, rtol=1e-4)
    assert trained.bits_per_dimension(X) == pytest.approx(-expected.mean() / 30 / np.log(2), rel=1e-4)


def test_loaded_as_it_was(trained, tmp_path):
    trained.save(tmp_path / "vqvae.keras")
    again = kplug.load_model(tmp_path / "vqvae.keras")
    assert again.get_config() == trained.get_config()
    np.testing.assert_array_equal(again.encode(X), trained.encode(X))
    np.testing.assert_allclose(again.reconstruct(X), trained.reconstruct(X), rtol=1e-6)
    np.testing.assert_allclose(again.generate(3, seed=0), trained.generate(3, seed=0), rtol=1e-5)


def test_loaded_without_a_prior(tmp_path):
    model = small()
    model.encode(X)
    model.save(tmp_path / "vqvae.keras")
    again = kplug.load_model(tmp_path / "vqvae.keras")
    assert again.prior is None
    np.testing.assert_array_equal(again.encode(X), model.encode(X))


FRESH = """
import sys
import numpy as np
import kplug
folder = sys.argv[1]
x = np.load(folder + "/x.npy")
model = kplug.load_model(folder + "/vqvae.keras")
np.testing.assert_array_equal(model.encode(x), np.load(folder + "/codes.npy"))
np.testing.assert_allclose(model.generate(3, seed=0), np.load(folder + "/generated.npy"), rtol=1e-5)
print("as saved")
"""


@pytest.mark.slow
def test_a_fresh_process_finds_the_same_codes(trained, tmp_path):
    trained.save(tmp_path / "vqvae.keras")
    for name, array in (("x", X), ("codes", trained.encode(X)), ("generated", trained.generate(3, seed=0))):
        np.save(tmp_path / f"{name}.npy", array)
    done = subprocess.run(
        [sys.executable, "-c", FRESH, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "KERAS_BACKEND": keras.backend.backend()},
        check=False,
    )
    assert done.stdout.endswith("as saved\n"), done.stderr


def test_config_round_trip():
    model = kplug.VQVAE(
        num_embeddings=7,
        embedding_dim=5,
        filters=(3, 2),
        residual_blocks=0,
        units=(9, 8),
        code_length=3,
        likelihood="gaussian",
        scale=0.5,
        commitment_cost=0.5,
        ema_decay=0.9,
        restart_threshold=0.0,
        prior_units=6,
        prior_blocks=3,
        prior_dropout=0.0,
        seed=7,
        name="mine",
    )
    again = kplug.VQVAE.from_config(model.get_config())
    assert again.get_config() == model.get_config()
    assert (again.num_embeddings, again.filters, again.prior_blocks, again.seed) == (7, (3, 2), 3, 7)


def pictures(model, dataset, folder):
    model.write_artifacts(folder, dataset)
    names = sorted(path.name for path in folder.iterdir())
    assert all(min(imread(folder / name).shape[:2]) > 100 for name in names)
    return names


def test_pictures_of_vectors_with_samples_of_a_prior_for_them_alone(tmp_path):
    x = np.random.default_rng(0).normal(size=(4, 7)).astype("float32")
    model = small(likelihood="gaussian")
    model.encode(x)
    assert pictures(model, kplug.Dataset(train=(x, None)), tmp_path) == PICTURES
    assert model.prior is None


def test_pictures_with_the_models_own_prior(trained, tmp_path):
    assert pictures(trained, kplug.Dataset(train=iter([(X, X)]), test=(X, None)), tmp_path) == PICTURES


def test_data_that_are_no_arrays_leave_what_can_be_drawn(trained, tmp_path):
    data = kplug.Dataset(train=iter([(X, X)]))
    assert pictures(trained, data, tmp_path) == ["samples.png"]
