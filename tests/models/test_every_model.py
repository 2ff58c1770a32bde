"""What holds for every model: it works in every way kplug uses one."""

import keras
import numpy as np
import pytest

import kplug
from kplug.testing import check_model

RNG = np.random.default_rng(0)
LABELS = np.arange(12) % 3
TABLE = RNG.uniform(size=(12, 4)).astype("float32")
IMAGES = RNG.uniform(size=(12, 4, 4, 1)).astype("float32")
WORDS = tuple("abcdef")
COUNTS = RNG.poisson(3.0, size=(12, 6)).astype("float32")


def data(x, **info):
    info = {"input_shape": x.shape[1:], "num_classes": 3, **info}
    return kplug.Dataset(train=(x, LABELS), test=(x, LABELS), info=info)


CASES = {
    "VAE": (lambda: kplug.VAE(latent_dim=2, units=(4,), seed=1), data(TABLE)),
    "VQVAE": (lambda: kplug.VQVAE(4, 2, units=(4,), code_length=2, prior_units=4, prior_blocks=1, seed=1), data(TABLE)),
    "AugmentedCNN": (lambda: kplug.AugmentedCNN(3, architecture="plain", filters=(2,), seed=1), data(IMAGES)),
    "NeuralTopicModel": (
        lambda: kplug.NeuralTopicModel(6, 2, vocabulary=WORDS, units=(4,), initialization="random", seed=1),
        data(COUNTS, vocabulary=WORDS, vocabulary_size=6),
    ),
}


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the models' own tests train on every backend")
@pytest.mark.parametrize("name", CASES)
def test_a_model_works_in_every_way_kplug_uses_one(name):
    make, dataset = CASES[name]
    # Each is compiled by a test of its own.
    check_model(make, dataset, random=name in {"VAE", "NeuralTopicModel"}, compiled=False)
