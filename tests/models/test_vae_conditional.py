"""A variational autoencoder that is told the class of each sample."""

import keras
import numpy as np
import pytest

import kplug

PROTOTYPES = np.array([[1, 0, 0, 0], [0, 1, 0, 1], [0, 0, 1, 1]], "float32")
LABELS = np.arange(60) % 3
X = PROTOTYPES[LABELS]


@pytest.fixture(scope="module")
def trained(small_vae):
    vae = small_vae(keras.optimizers.Adam(2e-2), conditional=True)
    vae.fit(X, LABELS, epochs=30, batch_size=20, verbose=0)
    return vae


def test_the_class_decides_what_is_generated(trained):
    assert trained.num_classes == 3
    generated = trained.generate(30, seed=0, labels=LABELS[:30])
    np.testing.assert_array_equal(generated > 0.5, X[:30] > 0.5)
    np.testing.assert_array_equal(trained.generate(4, seed=0, labels=1) > 0.5, np.tile(PROTOTYPES[1] > 0.5, (4, 1)))


def test_without_labels_each_class_is_as_likely(trained):
    generated = trained.generate(300, seed=0) > 0.5
    shares = [np.mean(np.all(generated == (prototype > 0.5), axis=1)) for prototype in PROTOTYPES]
    np.testing.assert_allclose(shares, 1 / 3, atol=0.1)


def test_samples_can_be_decoded_as_another_class(trained):
    z = trained.encode(X[:6], labels=LABELS[:6])[0]
    other = trained.decode(z, labels=(LABELS[:6] + 1) % 3)
    np.testing.assert_array_equal(other > 0.5, PROTOTYPES[(LABELS[:6] + 1) % 3] > 0.5)


def test_evaluate_uses_the_classes(trained):
    right = trained.evaluate(X, LABELS, verbose=0, return_dict=True)["loss"]
    wrong = trained.evaluate(X, (LABELS + 1) % 3, verbose=0, return_dict=True)["loss"]
    assert right + 1 < wrong
    assert trained.evaluate_nll(X, 50, labels=LABELS) < trained.evaluate_nll(X, 50, labels=(LABELS + 1) % 3) - 1


def test_labels_of_any_form_mean_the_same(small_vae):
    losses = []
    for labels in (LABELS, LABELS[:, None], np.eye(3, dtype="float32")[LABELS], LABELS.astype("float32")):
        vae = small_vae(conditional=True)
        losses.append(vae.fit(X, labels, shuffle=False, verbose=0).history["loss"])
    np.testing.assert_allclose(losses, [losses[0]] * 4, rtol=1e-6)


def test_saved_and_loaded_with_the_classes_it_saw(trained, tmp_path):
    trained.save(tmp_path / "vae.keras")
    again = kplug.load_model(tmp_path / "vae.keras")
    assert again.num_classes == 3
    expected = trained.generate(6, seed=1, labels=LABELS[:6])
    np.testing.assert_allclose(again.generate(6, seed=1, labels=LABELS[:6]), expected, rtol=1e-5)


def test_batches_of_pairs(small_vae):
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return X[20 * index : 20 * index + 20], LABELS[20 * index : 20 * index + 20]

    vae = small_vae(conditional=True, num_classes=3)
    history = vae.fit(Batches(), validation_data=(X, LABELS), epochs=2, verbose=0).history
    assert np.isfinite(history["loss"] + history["val_loss"]).all()
    with pytest.raises(ValueError, match="set num_classes"):
        small_vae(conditional=True).fit(Batches(), verbose=0)


def test_an_own_encoder_of_features_gets_the_class_beside_them(small_vae):
    encoder = keras.Sequential([keras.layers.Dense(5, activation="relu")])
    vae = small_vae(conditional=True, encoder=encoder)
    vae.fit(X, LABELS, verbose=0)
    assert vae.mean_head.kernel.shape == (5 + 3, 2)


@pytest.mark.parametrize(
    ("labels", "named"),
    [
        (None, r"fit\(x, y\)"),
        (np.append(LABELS[:-1], -1), "-1 in sample 59"),
        (np.append(LABELS[:-1], 0.5), "0.5 in sample 59"),
        (np.append(LABELS[:-1], 3), "from 0 to 2.*3 in sample 59"),
        (np.zeros((60, 2)), r"\(60, 2\)"),
    ],
    ids=str,
)
def test_labels_that_are_no_classes_are_refused(small_vae, labels, named):
    with pytest.raises(ValueError, match=named):
        small_vae(conditional=True, num_classes=3).fit(X, labels, verbose=0)


def test_labels_of_an_unconditional_model_are_refused(small_vae):
    vae = small_vae()
    vae.fit(X, verbose=0)
    with pytest.raises(ValueError, match="conditional=True"):
        vae.generate(3, labels=1)


def test_without_the_classes_nothing_is_said_of_given_samples(trained):
    for use in (trained.reconstruct, trained.encode, trained.evaluate_nll):
        with pytest.raises(ValueError, match="`labels` must be the samples' classes"):
            use(X[:4])
    with pytest.raises(ValueError, match=r"predict\(\[x, y\]\)"):
        trained.predict(X[:4], verbose=0)


def test_predict_uses_the_classes(trained):
    found = trained.predict([X[:6], LABELS[:6]], verbose=0)
    np.testing.assert_array_equal(found["reconstruction"] > 0, X[:6] > 0.5)
    vector = trained.attribute_vector(X, LABELS == 1, classes=LABELS)
    assert vector.shape == (2,)


@pytest.mark.parametrize("labels", [LABELS + 1, LABELS - 1], ids=["too high", "negative"])
def test_wrong_classes_are_refused_wherever_arrays_are_given(trained, small_vae, labels):
    with pytest.raises(ValueError, match="from 0 to 2"):
        trained.evaluate(X, labels, verbose=0)
    with pytest.raises(ValueError, match="from 0 to 2"):
        small_vae(conditional=True).fit(X, LABELS, validation_data=(X, labels), verbose=0)


def test_labels_that_are_texts_are_refused_with_the_remedy(small_vae):
    with pytest.raises(ValueError, match=r"np.unique\(y, return_inverse=True\)"):
        small_vae(conditional=True).fit(X, np.array(["a", "b", "c"])[LABELS], verbose=0)
    with pytest.raises(ValueError, match="-1 in sample 59"):
        small_vae(conditional=True).fit(X, np.append(LABELS[:-1], -1), verbose=0)


def test_steps_that_are_not_compiled():
    vae = kplug.VAE(units=(8,), conditional=True, num_classes=3)
    vae.compile("sgd", run_eagerly=True)
    losses = vae.fit(X[:20], LABELS[:20], validation_data=(X[:20], LABELS[:20]), verbose=0).history
    assert np.isfinite(losses["loss"] + losses["val_loss"]).all()
    assert vae.predict([X[:6], LABELS[:6]], verbose=0)["reconstruction"].shape == (6, 4)
