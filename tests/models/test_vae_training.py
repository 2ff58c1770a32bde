"""Training a VAE: targets, splits, batches, seeds, XLA, mixed precision, bad data."""

from __future__ import annotations

import keras
import numpy as np
import pytest


def test_targets_do_not_matter(small_vae, table):
    histories = [
        small_vae().fit(table, *targets, epochs=2, batch_size=8, verbose=0).history
        for targets in ((), (table,), (np.arange(20),))
    ]
    assert all(history == histories[0] for history in histories[1:])


def test_training_lowers_the_loss(small_vae, table):
    x = (table > 0.5).astype("float32")
    history = small_vae(keras.optimizers.Adam(0.02), units=(16,)).fit(x, epochs=30, verbose=0).history
    assert set(history) == {"loss", "reconstruction_loss", "kl_loss"}
    assert history["loss"][-1] < history["loss"][0] - 0.1


@pytest.mark.slow
def test_convolutional_training_lowers_the_loss(small_vae, digits_8x8):
    vae = small_vae(keras.optimizers.Adam(0.01), filters=(2, 2), units=(4,))
    losses = vae.fit(digits_8x8, epochs=4, batch_size=6, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert vae.reconstruct(digits_8x8).shape == digits_8x8.shape


def test_one_seed_gives_one_training(small_vae, table):
    runs = []
    for _ in range(2):
        vae = small_vae()
        runs.append((vae.fit(table, epochs=2, batch_size=8, verbose=0).history, vae.reconstruct(table)))
    assert runs[0][0] == runs[1][0]
    np.testing.assert_array_equal(runs[0][1], runs[1][1])


def test_the_vaes_seed_changes_the_latent_draws_only(small_vae, table):
    runs = []
    for seed in (1, 2):
        vae = small_vae(seed=seed)
        runs.append((vae.reconstruct(table), vae.evaluate(table, verbose=0)))
    np.testing.assert_array_equal(runs[0][0], runs[1][0])
    assert runs[0][1] != runs[1][1]


def test_validation_data_with_and_without_targets(small_vae, table):
    histories = [
        small_vae().fit(table, validation_data=data, epochs=1, verbose=0).history
        for data in (table[:6], (table[:6], np.arange(6)))
    ]
    assert {"val_loss", "val_reconstruction_loss", "val_kl_loss"} <= set(histories[0])
    assert histories[0] == histories[1]


def test_validation_split(small_vae, table):
    history = small_vae().fit(table, validation_split=0.25, verbose=0).history
    assert np.isfinite(history["val_loss"]).all()


@pytest.mark.parametrize("n", [1, 20], ids=["one sample", "one sample in the last batch"])
def test_a_batch_of_one(small_vae, table, n):
    vae = small_vae()
    history = vae.fit(table[:n], batch_size=19, epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert vae.reconstruct(table[:1]).shape == (1, 4)


@pytest.mark.parametrize("dtype", ["float64", "float16", "uint8", "int64", "bool"])
def test_data_of_any_dtype(small_vae, table, dtype):
    binary = (table > 0.5).astype("float32")
    expected = small_vae().evaluate(binary, verbose=0, return_dict=True)
    assert small_vae().evaluate(binary.astype(dtype), verbose=0, return_dict=True) == pytest.approx(expected, rel=1e-5)


def test_training_on_bytes(small_vae, table):
    assert np.isfinite(small_vae().fit((table > 0.5).astype("uint8"), verbose=0).history["loss"]).all()


def test_data_from_a_loader(small_vae, table):
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            batch = table[index * 10 : (index + 1) * 10]
            return batch, batch

    found = small_vae().fit(Batches(), shuffle=False, verbose=0).history
    expected = small_vae().fit(table, shuffle=False, batch_size=10, verbose=0).history
    assert found == {name: pytest.approx(values, rel=1e-5) for name, values in expected.items()}


def test_one_batch_at_a_time(small_vae, table):
    vae = small_vae()
    first = vae.train_on_batch(table, return_dict=True)
    assert first["loss"] == pytest.approx(first["reconstruction_loss"] + first["kl_loss"], rel=1e-5)
    assert np.isfinite(vae.test_on_batch(table, return_dict=True)["loss"])


def test_predict(small_vae, table):
    found = small_vae().predict(table, batch_size=8, verbose=0)
    assert {name: value.shape for name, value in found.items()} == {
        "reconstruction": (20, 4),
        "mean": (20, 2),
        "log_var": (20, 2),
        "z": (20, 2),
    }


def test_gaussian_likelihood_takes_any_real_data(small_vae, table):
    vae = small_vae("adam", likelihood="gaussian", scale=2.0)
    history = vae.fit(table * 50 - 25, epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert np.abs(vae.reconstruct(table * 50 - 25)).max() > 1


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="PyTorch has no XLA")
def test_compiled_by_xla(small_vae, table):
    plain = small_vae(jit_compile=False).fit(table, epochs=2, batch_size=8, shuffle=False, verbose=0).history
    compiled = small_vae(jit_compile=True).fit(table, epochs=2, batch_size=8, shuffle=False, verbose=0).history
    assert np.isfinite(compiled["loss"]).all()
    # TensorFlow's XLA draws other random numbers: the KL of the first epoch hardly depends on them.
    assert compiled["kl_loss"][0] == pytest.approx(plain["kl_loss"][0], rel=0.05)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_stays_finite(set_dtype_policy, small_vae, table, policy):
    set_dtype_policy(policy)
    vae = small_vae("adam")
    history = vae.fit(table, epochs=2, batch_size=8, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values())
    assert all(np.isfinite(weight).all() for weight in vae.get_weights())
    reconstruction = vae.reconstruct(table)
    assert reconstruction.dtype == np.float32
    assert np.isfinite(reconstruction).all()


def test_mixed_precision_keeps_large_losses(set_dtype_policy, small_vae):
    # 4096 elements of -log(1/2) or more add up beyond what float16 can count to in steps of 1 (2048).
    set_dtype_policy("mixed_float16")
    x = np.tile(np.linspace(0, 1, 256, dtype="float32"), (4, 1))
    vae = small_vae(likelihood="gaussian", scale=0.001)
    loss = vae.evaluate(x, verbose=0, return_dict=True)["loss"]
    assert loss > 1e6
    assert np.isfinite(loss)


@pytest.mark.parametrize(
    ("low", "high"),
    [(0.0, 255.0), (-1.0, 1.0), (0.0, 1.5), (-0.001, 0.5)],
)
def test_data_outside_0_and_1_are_refused_and_named(small_vae, low, high):
    x = np.full((4, 3), 0.5)
    x[0, 0], x[-1, -1] = low, high
    with pytest.raises(ValueError, match="between 0 and 1") as caught:
        small_vae().fit(x, verbose=0)
    assert f"from {min(low, 0.5):g} to {max(high, 0.5):g}" in str(caught.value)
    assert "gaussian" in str(caught.value)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_nan_is_refused(small_vae, table, likelihood):
    x = table.copy()
    x[3, 2] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        small_vae(likelihood=likelihood).fit(x, verbose=0)


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinity_is_refused(small_vae, table, value):
    x = table.copy()
    x[3, 1] = value
    with pytest.raises(ValueError, match="infinite"):
        small_vae(likelihood="gaussian").fit(x, verbose=0)


def test_the_bounds_themselves_are_allowed(small_vae):
    small_vae().check_data(np.array([[0.0, 1.0]]))
    small_vae(likelihood="gaussian").check_data(np.array([[-1e6, 1e6]]))


def test_weights_count_by_position_too(small_vae, table):
    vae = small_vae(seed=None)
    vae.fit(table, verbose=0)
    weights = np.r_[np.ones(10), np.zeros(10)]
    weighted, half = (
        vae.evaluate(*arguments) for arguments in ((table, None, 32, 0, weights), (table[:10], None, 32, 0))
    )
    assert weighted[1:] == pytest.approx(half[1:], rel=0.2)
    assert abs(weighted[0] / half[0] - 0.5) < 0.1  # Keras divides by the batch, not by the weights
