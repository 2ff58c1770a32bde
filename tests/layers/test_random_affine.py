"""Random turns, zooms and shifts: against SciPy's resampling, within their limits, in training only."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import ndimage

import kplug

RNG = np.random.default_rng(0)
IMAGES = RNG.random((64, 9, 9, 2)).astype("float32")


def moved(images=IMAGES, **options):
    return ops.convert_to_numpy(kplug.RandomAffine(**{"seed": 0, **options})(images, training=True))


def test_images_stay_as_they_are_outside_of_training():
    np.testing.assert_array_equal(kplug.RandomAffine(seed=0)(IMAGES, training=False), IMAGES)


def test_without_any_amount_nothing_moves():
    np.testing.assert_allclose(moved(rotation=0.0, zoom=0.0, translation=0.0), IMAGES)


@pytest.mark.parametrize(
    ("fill_mode", "scipy_mode"),
    [("constant", "grid-constant"), ("nearest", "nearest"), ("reflect", "reflect"), ("wrap", "grid-wrap")],
)
def test_pixels_are_resampled_as_scipy_does(fill_mode, scipy_mode):
    options = {"rotation": 180.0, "zoom": 0.4, "translation": 0.2, "fill_mode": fill_mode, "seed": 3}
    found = moved(**options)
    rows, columns = kplug.RandomAffine(**options)._places(ops.convert_to_tensor(IMAGES), "float32")
    rows, columns = ops.convert_to_numpy(rows), ops.convert_to_numpy(columns)
    for number in range(8):
        for channel in range(2):
            places = [rows[number], columns[number]]
            expected = ndimage.map_coordinates(IMAGES[number, ..., channel], places, order=1, mode=scipy_mode)
            np.testing.assert_allclose(found[number, ..., channel], expected, atol=1e-4)


def test_turns_are_about_the_centre():
    centre = np.zeros((200, 9, 9, 1), "float32")
    centre[:, 4, 4] = 1.0
    turned = moved(centre, rotation=180.0, zoom=0.0, translation=0.0)
    np.testing.assert_allclose(turned[:, 4, 4], 1.0, atol=1e-5)


def test_a_quarter_turn_is_numpys():
    layer = kplug.RandomAffine(rotation=90.0, zoom=0.0, translation=0.0)
    turned = []
    for sign in (1.0, -1.0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(keras.random, "uniform", lambda shape, *_, sign=sign, **__: ops.full(shape, sign))
            turned.append(ops.convert_to_numpy(layer(IMAGES, training=True)))
    quarters = [np.rot90(IMAGES, k=turns, axes=(1, 2)) for turns in (1, -1)]
    same = [[np.allclose(mine, quarter, atol=1e-4) for quarter in quarters] for mine in turned]
    assert same in ([[True, False], [False, True]], [[False, True], [True, False]])


def test_shifts_stay_within_their_limit_and_reach_it():
    point = np.zeros((500, 21, 21, 1), "float32")
    point[:, 10, 10] = 1.0
    shifted = moved(point, rotation=0.0, zoom=0.0, translation=0.25)[..., 0]
    rows = (shifted.sum(axis=2) * np.arange(21)).sum(axis=1) - 10
    columns = (shifted.sum(axis=1) * np.arange(21)).sum(axis=1) - 10
    for found in (rows, columns):
        assert np.abs(found).max() <= 0.25 * 21 + 1e-3
        assert found.min() < -4.5 < 4.5 < found.max()


def test_zooms_keep_to_their_limits():
    square = np.zeros((300, 41, 41, 1), "float32")
    square[:, 11:30, 11:30] = 1.0
    sizes = np.sqrt(moved(square, rotation=0.0, zoom=0.2, translation=0.0).sum(axis=(1, 2, 3))) / 19
    assert 0.75 < sizes.min() < 0.85
    assert 1.15 < sizes.max() < 1.25


def test_each_image_moves_by_itself_and_each_call_anew():
    same = np.repeat(IMAGES[:1], 4, axis=0)
    layer = kplug.RandomAffine(seed=0)
    first, second = (ops.convert_to_numpy(layer(same, training=True)) for _ in range(2))
    assert len(np.unique(first.reshape(4, -1), axis=0)) == 4
    assert np.abs(first - second).max() > 1e-3


def test_flat_vectors_are_refused():
    with pytest.raises(ValueError, match=r"\(batch_size, height, width, channels\).*\(4, 3\)"):
        kplug.RandomAffine()(keras.ops.ones((4, 3)))
