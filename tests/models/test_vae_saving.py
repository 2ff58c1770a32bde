"""A saved VAE: its config, the loaded model, a fresh process that knows kplug alone."""

from __future__ import annotations

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

import kplug

FRESH = """
import sys
import numpy as np
import kplug
assert "keras" not in sys.modules
folder = sys.argv[1]
x = np.load(folder + "/x.npy")
vae = kplug.load_model(folder + "/vae.keras")
np.testing.assert_allclose(vae.reconstruct(x), np.load(folder + "/reconstruction.npy"), rtol=1e-5, atol=1e-6)
np.testing.assert_allclose(vae.generate(5, seed=3), np.load(folder + "/generated.npy"), rtol=1e-5, atol=1e-6)
assert type(vae) is kplug.VAE and vae.latent_dim == 3 and vae.beta == 2.0
assert int(vae.optimizer.iterations) == 4
history = vae.fit(x, epochs=2, batch_size=10, verbose=0).history
assert np.isfinite(history["loss"]).all() and set(history) == {"loss", "reconstruction_loss", "kl_loss"}
assert int(vae.optimizer.iterations) == 8
print("as saved")
"""


@pytest.mark.slow
def test_a_fresh_process_that_imports_kplug_alone_loads_it_and_goes_on(small_vae, table, tmp_path):
    vae = small_vae("adam", latent_dim=3, beta=2.0)
    vae.fit(table, epochs=2, batch_size=10, verbose=0)
    vae.save(tmp_path / "vae.keras")
    np.save(tmp_path / "x.npy", table)
    np.save(tmp_path / "reconstruction.npy", vae.reconstruct(table))
    np.save(tmp_path / "generated.npy", vae.generate(5, seed=3))
    done = subprocess.run(
        [sys.executable, "-c", FRESH, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "KERAS_BACKEND": keras.backend.backend()},
        check=False,
    )
    assert done.stdout.endswith("as saved\n"), done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"likelihood": "gaussian", "scale": 0.5, "units": None, "seed": None},
        {"latent_dim": 5, "architecture": "dense", "units": (6, 5), "name": "mine"},
    ],
    ids=str,
)
def test_loaded_as_it_was(small_vae, table, tmp_path, arguments):
    vae = small_vae(**arguments)
    vae.encode(table)
    vae.save(tmp_path / "vae.keras")
    again = kplug.load_model(tmp_path / "vae.keras")
    assert again.get_config() == vae.get_config()
    np.testing.assert_allclose(again.reconstruct(table), vae.reconstruct(table), rtol=1e-6)


@pytest.mark.parametrize("shape", [(8, 8, 1), (7, 5)], ids=str)
def test_a_convolutional_vae_is_loaded_as_it_was(small_vae, tmp_path, shape):
    x = np.random.default_rng(0).uniform(size=(3, *shape)).astype("float32")
    vae = small_vae(filters=(2, 3), units=(4,))
    expected = vae.reconstruct(x)
    vae.save(tmp_path / "vae.keras")
    np.testing.assert_allclose(kplug.load_model(tmp_path / "vae.keras").reconstruct(x), expected, rtol=1e-5)


def test_training_goes_on_as_if_it_had_not_been_saved(small_vae, table, tmp_path):
    vae = small_vae("adam")
    vae.fit(table, epochs=2, shuffle=False, verbose=0)
    vae.save(tmp_path / "vae.keras")
    again = kplug.load_model(tmp_path / "vae.keras")
    expected = vae.fit(table, epochs=2, shuffle=False, verbose=0).history
    found = again.fit(table, epochs=2, shuffle=False, verbose=0).history
    assert found == {name: pytest.approx(values, rel=1e-5) for name, values in expected.items()}


def test_loaded_without_compiling(small_vae, table, tmp_path):
    vae = small_vae()
    vae.encode(table)
    vae.save(tmp_path / "vae.keras")
    again = kplug.load_model(tmp_path / "vae.keras", compile=False)
    assert not again.compiled
    np.testing.assert_allclose(again.reconstruct(table), vae.reconstruct(table), rtol=1e-6)


def test_mixed_precision_is_kept(set_dtype_policy, small_vae, table, tmp_path):
    set_dtype_policy("mixed_bfloat16")
    vae = small_vae()
    expected = vae.reconstruct(table)
    vae.save(tmp_path / "vae.keras")
    set_dtype_policy("float32")
    again = kplug.load_model(tmp_path / "vae.keras")
    assert again.dtype_policy.name == "mixed_bfloat16"
    np.testing.assert_array_equal(again.reconstruct(table), expected)


def test_config_round_trip():
    vae = kplug.VAE(
        latent_dim=3,
        architecture="dense",
        filters=(4,),
        units=(5, 6),
        likelihood="gaussian",
        scale=0.5,
        beta=2.0,
        seed=7,
        name="mine",
    )
    again = kplug.VAE.from_config(vae.get_config())
    assert again.get_config() == vae.get_config()
    assert (again.filters, again.units, again.seed, again.name) == ((4,), (5, 6), 7, "mine")


def test_clone(table):
    vae = kplug.VAE(units=(4,), encoder=keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]))
    again = kplug.VAE.from_config(vae.get_config())
    assert again.encoder is not vae.encoder
    assert again.encode(table)[0].shape == (20, 2)


def test_weights_alone(small_vae, table, tmp_path):
    vae = small_vae()
    vae.encode(table)
    vae.save_weights(tmp_path / "vae.weights.h5")
    again = small_vae()
    again.build((None, 4))
    again.load_weights(tmp_path / "vae.weights.h5")
    np.testing.assert_allclose(again.reconstruct(table), vae.reconstruct(table), rtol=1e-6)
