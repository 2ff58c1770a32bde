"""`moons`, `blobs`, `gaussian_grid`, `imbalanced`: against the formulas in their documentation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from kplug import datasets

ALL = ["moons", "blobs", "gaussian_grid", "imbalanced"]


def joined(data):
    splits = (data.train, data.validation, data.test)
    return tuple(np.concatenate([split[part] for split in splits]) for part in (0, 1))


@pytest.mark.parametrize("name", ALL)
def test_shapes_types_and_info(name):
    data = getattr(datasets, name)(num_samples=1000)
    assert [len(split[0]) for split in (data.train, data.validation, data.test)] == [720, 80, 200]
    for x, y in (data.train, data.validation, data.test):
        assert (x.dtype, y.dtype, y.shape) == (np.float32, np.int64, (len(x),))
        assert x.shape[1:] == data.info["input_shape"] == (data.info["num_features"],)
    assert set(joined(data)[1]) == set(range(data.info["num_classes"]))
    assert len(data.info["class_names"]) == data.info["num_classes"]
    assert len(data.info["feature_names"]) == data.info["num_features"]


@pytest.mark.parametrize("name", ALL)
def test_standardised_by_the_training_split(name):
    load = getattr(datasets, name)
    raw, data = load(standardize=False), load(standardize=True)
    mean, deviation = (getattr(raw.train[0].astype("float64"), of)(axis=0) for of in ("mean", "std"))
    for split in ("train", "validation", "test"):
        expected = (getattr(raw, split)[0] - mean) / deviation
        np.testing.assert_allclose(getattr(data, split)[0], expected, atol=1e-5)


def test_moons_without_noise_lie_on_two_half_circles():
    x, y = joined(datasets.moons(noise=0, standardize=False))
    upper, lower = x[y == 0], x[y == 1]
    assert len(upper) == len(lower) == 500
    np.testing.assert_allclose(np.hypot(*upper.T), 1, atol=1e-6)
    assert upper[:, 1].min() >= 0
    np.testing.assert_allclose(np.hypot(lower[:, 0] - 1, lower[:, 1] - 0.5), 1, atol=1e-6)
    assert lower[:, 1].max() <= 0.5
    # Uniform along the arc: the mean height is 2 / pi.
    assert upper[:, 1].mean() == pytest.approx(2 / math.pi, abs=0.05)


def test_noise_of_the_moons():
    clean, noisy = (joined(datasets.moons(noise=noise, standardize=False, num_samples=4000))[0] for noise in (0, 0.2))
    assert (noisy - clean).std() == pytest.approx(0.2, rel=0.03)


def test_blobs_are_round_and_as_wide_as_asked():
    x, y = joined(datasets.blobs(num_samples=6000, num_classes=4, num_features=3, spread=0.5, standardize=False))
    for label in range(4):
        cloud = x[y == label]
        assert len(cloud) == 1500
        assert np.abs(cloud.mean(axis=0)).max() < 10.1
        np.testing.assert_allclose(np.cov(cloud.T), 0.25 * np.eye(3), atol=0.03)


def test_the_grid_has_its_means_where_the_class_names_say():
    data = datasets.gaussian_grid(grid_size=3, spacing=1.5, scale=0.1)
    x, y = joined(data)
    assert data.info["class_names"][0] == "(-1.5, -1.5)"
    assert data.info["class_names"][5] == "(0, 1.5)"
    for label, name in enumerate(data.info["class_names"]):
        mean = [float(part) for part in name.strip("()").split(",")]
        component = x[y == label]
        assert len(component) in {1111, 1112}
        np.testing.assert_allclose(component.mean(axis=0), mean, atol=0.02)
        np.testing.assert_allclose(component.std(axis=0), 0.1, rtol=0.1)


@pytest.mark.parametrize(("fraction", "expected"), [(0.02, (144, 16, 40)), (0.3, (2160, 240, 600))])
def test_the_rare_class_has_its_share_in_every_split(fraction, expected):
    data = datasets.imbalanced(positive_fraction=fraction)
    assert tuple(split[1].sum() for split in (data.train, data.validation, data.test)) == expected


def test_the_best_roc_auc_is_what_the_documentation_says():
    # The best score is the projection on the difference of the means; Phi(2 / sqrt(2)) = 0.9214.
    x, y = joined(datasets.imbalanced(num_samples=40000, positive_fraction=0.25, standardize=False))
    direction = x[y == 1].mean(axis=0) - x[y == 0].mean(axis=0)
    assert np.linalg.norm(direction) == pytest.approx(2, abs=0.06)
    assert roc_auc_score(y, x @ direction) == pytest.approx(0.9214, abs=0.006)


def test_too_few_of_the_rare_class_are_refused():
    with pytest.raises(ValueError, match=r"at least 3 samples.*positive_fraction=0.02, num_samples=100, which is 2"):
        datasets.imbalanced(num_samples=100)


def test_three_of_the_rare_class_are_enough():
    data = datasets.imbalanced(num_samples=150)
    assert joined(data)[1].sum() == 3
    assert data.train[1].sum() >= 1


def test_a_class_needs_three_points():
    with pytest.raises(ValueError, match="`num_samples` must be a whole number, at least 36"):
        datasets.blobs(num_samples=20, num_classes=12)
