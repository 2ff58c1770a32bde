"""The pictures a VAE leaves in a run's artifacts."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.image import imread

import kplug

pytestmark = pytest.mark.neutral

PICTURES = ["latent_space.png", "reconstructions.png", "samples.png", "traversal.png"]


def pictures(vae, dataset, folder) -> list[str]:
    vae.write_artifacts(folder, dataset)
    names = sorted(path.name for path in folder.iterdir())
    for name in names:
        picture = imread(folder / name)
        assert min(picture.shape[:2]) > 100
        assert picture.std() > 0
    return names


def random(*shape) -> np.ndarray:
    return np.random.default_rng(0).uniform(size=shape).astype("float32")


def dataset_of(x, y=None, **info) -> kplug.Dataset:
    return kplug.Dataset(train=(x, y), info=info)


@pytest.mark.parametrize(
    ("shape", "latent_dim"),
    [
        ((8, 8, 1), 1),
        ((8, 8, 1), 2),
        ((8, 8, 1), 5),
        ((4,), 1),
        ((4,), 2),
        ((4,), 5),
        ((6, 5), 2),
        ((6, 7, 3), 2),
        ((5, 4, 2), 2),
        ((3, 2, 2, 2), 2),
    ],
    ids=str,
)
def test_four_pictures_for_any_data_and_any_latent_dim(small_vae, tmp_path, latent_dim, shape):
    x = random(24, *shape)
    vae = small_vae(latent_dim=latent_dim, filters=(2,))
    vae.encode(x)
    assert pictures(vae, dataset_of(x, np.arange(24) % 3), tmp_path) == PICTURES


@pytest.mark.parametrize("shape", [(6, 5, 1), (4,)])
def test_pictures_of_a_conditional_vae(small_vae, tmp_path, shape):
    x, y = random(24, *shape), np.arange(24) % 3
    vae = small_vae(filters=(2,), conditional=True)
    vae.fit(x, y, verbose=0)
    assert pictures(vae, dataset_of(x, y), tmp_path) == PICTURES


def test_counts_are_shown_in_their_own_range(small_vae, tmp_path):
    x = np.random.default_rng(0).poisson(20, size=(24, 6, 5)).astype("float32")
    vae = small_vae("adam", filters=(2,), likelihood="poisson")
    vae.fit(x, epochs=3, verbose=0)
    assert pictures(vae, dataset_of(x), tmp_path) == PICTURES
    assert imread(tmp_path / "reconstructions.png").mean() < 0.9


def test_pictures_of_the_digits(small_vae, tmp_path):
    data = kplug.get("digits")()
    vae = small_vae(filters=(2,))
    vae.encode(data.test[0][:4])
    assert pictures(vae, data, tmp_path) == PICTURES


def test_the_test_split_is_shown_then_validation_then_train(small_vae, tmp_path):
    seen = []
    vae = small_vae()
    vae.encode(random(4, 4))
    encode = vae.encode
    vae.encode = lambda x, *arguments, **labels: seen.append(len(x)) or encode(x, *arguments, **labels)
    train, validation, test = ((random(n, 4), None) for n in (30, 20, 10))
    for splits in ({"validation": validation, "test": test}, {"validation": validation}, {}):
        seen.clear()
        vae.write_artifacts(tmp_path, kplug.Dataset(train=train, **splits))
        assert seen[-1] == {2: 10, 1: 20, 0: 30}[len(splits)]


@pytest.mark.parametrize(
    "targets",
    [
        None,
        np.arange(30),
        np.linspace(-1, 1, 30),
        np.eye(30)[:, :3],
        np.arange(30)[:, np.newaxis],
        np.array(["cat", "dog"] * 15),
    ],
    ids=["none", "30 classes", "real", "one-hot", "column", "names"],
)
def test_targets_of_any_sort(small_vae, table, tmp_path, targets):
    vae = small_vae()
    vae.encode(table)
    assert pictures(vae, dataset_of(random(30, 4), targets), tmp_path) == PICTURES


def test_class_names_are_used(small_vae, table, tmp_path):
    vae = small_vae()
    vae.encode(table)
    data = dataset_of(random(20, 4), np.arange(20) % 2, class_names=("cat", "dog"))
    assert pictures(vae, data, tmp_path) == PICTURES


@pytest.mark.parametrize(("n", "latent_dim"), [(1, 1), (1, 2), (1, 5), (3, 5), (17, 2)])
def test_few_samples(small_vae, tmp_path, n, latent_dim):
    vae = small_vae(latent_dim=latent_dim)
    vae.encode(random(4, 3))
    assert pictures(vae, dataset_of(random(n, 3)), tmp_path) == PICTURES


def test_data_that_are_no_arrays_leave_the_samples(small_vae, table, tmp_path):
    vae = small_vae()
    vae.encode(table)
    assert pictures(vae, kplug.Dataset(train=iter([(table, table)])), tmp_path) == ["samples.png", "traversal.png"]


def test_the_pictures_repeat(small_vae, table, tmp_path):
    vae = small_vae()
    vae.encode(table)
    found = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        vae.write_artifacts(tmp_path / name, dataset_of(table))
        found.append([imread(tmp_path / name / picture) for picture in PICTURES])
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)
