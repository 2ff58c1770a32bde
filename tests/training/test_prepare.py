"""What a model is told of its training arrays before it trains."""

import keras
import numpy as np
import pytest

from kplug.errors import DataError
from kplug.training.assembly import prepare

pytestmark = pytest.mark.neutral


class Told(keras.Model):
    """Remembers what it was told, in order."""

    def __init__(self):
        super().__init__()
        self.told = []
        self.dense = keras.layers.Dense(1)

    def build(self, input_shape):
        self.told.append(("build", input_shape))
        self.dense.build(input_shape)

    def call(self, inputs):
        return self.dense(inputs)


def test_a_model_is_told_of_samples_and_of_targets_if_it_asks():
    class WithTargets(Told):
        def check_data(self, x, y):
            self.told.append(("check", x.shape, y.shape))

        def adapt(self, x, y):
            self.told.append(("adapt", x.shape, y.shape))

    class WithoutTargets(Told):
        def adapt(self, x):
            self.told.append(("adapt", x.shape))

    arrays = np.ones((6, 3), "float32"), np.ones((6, 1), "float32")
    model = WithTargets()
    prepare(model, arrays)
    assert model.told == [("check", (6, 3), (6, 1)), ("build", (None, 3)), ("adapt", (6, 3), (6, 1))]
    model = WithoutTargets()
    prepare(model, arrays)
    assert model.told == [("build", (None, 3)), ("adapt", (6, 3))]


def test_what_a_model_refuses_in_adapting_is_a_matter_of_the_data():
    class Picky(Told):
        def adapt(self, x, y=None):
            raise ValueError("all targets are alike")

    with pytest.raises(DataError, match=r"does not fit model .*all targets are alike"):
        prepare(Picky(), (np.ones((2, 3), "float32"), np.ones(2)))
