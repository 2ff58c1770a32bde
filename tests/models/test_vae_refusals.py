"""Data that a VAE refuses: none at all, of another shape, no counts."""

from __future__ import annotations

import numpy as np
import pytest

import kplug
from kplug.errors import DataError
from kplug.training.assembly import prepare


@pytest.mark.parametrize("shape", [(0, 4), (5, 0)], ids=str)
def test_empty_data_are_refused(small_vae, shape):
    x = np.zeros(shape, "float32")
    vae = small_vae()
    for use in (vae.fit, vae.evaluate, vae.check_data):
        with pytest.raises(ValueError, match=r"at least one sample.*shape \({}, {}\)".format(*shape)):
            use(x)
    assert not vae.built
    with pytest.raises(DataError, match="at least one sample"):
        prepare(vae, (x,))


def test_empty_validation_data_are_refused(small_vae, table):
    with pytest.raises(ValueError, match="at least one sample"):
        small_vae().fit(table, validation_data=(table[:0],), verbose=0)


@pytest.mark.parametrize("use", ["encode", "reconstruct", "log_likelihood", "evaluate_nll", "fit", "evaluate"])
@pytest.mark.parametrize("shape", [(5, 3), (5, 4, 1), (4,)], ids=str)
def test_samples_of_another_shape_are_refused_with_both_shapes(small_vae, table, use, shape):
    vae = small_vae()
    vae.encode(table)
    with pytest.raises(ValueError, match=r"built for samples of shape \(4,\).*\(n, 4\)") as caught:
        getattr(vae, use)(np.full(shape, 0.5, "float32"))
    assert str(caught.value).endswith(f"an array of shape {shape}")


@pytest.mark.parametrize("likelihood", ["poisson", "multinomial"])
def test_fractions_are_no_counts(likelihood):
    x = np.ones((5, 2, 3), "float32")
    x[3, 1, 2] = 0.25
    vae = kplug.VAE(likelihood=likelihood)
    with pytest.raises(ValueError, match=r"counts: whole numbers. Received 0.25 in sample 3 at \(1, 2\)"):
        vae.check_data(x)
    vae.check_data(np.ones((5, 2, 3), "uint8"))
    vae.check_data(np.full((5, 2, 3), 7.0))
    with pytest.raises(ValueError, match="counts, at least 0"):
        vae.check_data(-x)


def test_without_training_samples_there_is_no_nearest(small_vae, table):
    with pytest.raises(ValueError, match=r"`x_train` must have samples.*\(0, 4\)"):
        small_vae().nearest_training_example(table, table[:0])
