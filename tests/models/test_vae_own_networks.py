"""A VAE around an encoder or a decoder of one's own."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import kplug


def pair_encoder(latent_dim: int = 2) -> keras.Model:
    inputs = keras.Input((4,))
    hidden = layers.Dense(5, activation="tanh")(inputs)
    return keras.Model(inputs, [layers.Dense(latent_dim)(hidden), layers.Dense(latent_dim)(hidden)])


def feature_encoder() -> keras.Model:
    return keras.Sequential([keras.Input((4,)), layers.Dense(5, activation="tanh")])


def decoder(last: str | None = None, outputs: int = 4) -> keras.Model:
    return keras.Sequential(
        [keras.Input((2,)), layers.Dense(5, activation="tanh"), layers.Dense(outputs, activation=last, name="last")]
    )


@keras.saving.register_keras_serializable(package="kplug_tests")
class LinearDecoder(keras.Model):
    """A decoder without layers inside: its weights are its own."""

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], 4))

    def call(self, z, training=None):
        return keras.ops.matmul(z, self.kernel)


@pytest.mark.parametrize("encoder", [pair_encoder, feature_encoder], ids=["pair", "features"])
@pytest.mark.parametrize("own_decoder", [True, False])
def test_trains(small_vae, table, encoder, own_decoder):
    own = encoder()
    before = own.get_weights()[0]
    vae = small_vae(encoder=own, decoder=decoder() if own_decoder else None)
    assert np.isfinite(vae.fit(table, epochs=2, verbose=0).history["loss"]).all()
    assert vae.encoder is own
    assert not np.allclose(own.get_weights()[0], before)
    assert [part.shape for part in vae.encode(table)] == [(20, 2), (20, 2)]
    assert vae.reconstruct(table).shape == (20, 4)


def test_features_get_two_trained_heads(small_vae, table):
    vae = small_vae("sgd", encoder=feature_encoder())
    vae.build((None, 4))
    heads = [vae.mean_head.kernel, vae.log_var_head.kernel]
    before = [keras.ops.convert_to_numpy(head).copy() for head in heads]
    features = keras.ops.convert_to_numpy(vae.encoder(table))
    np.testing.assert_allclose(vae.encode(table)[0], features @ before[0], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(vae.encode(table)[1], features @ before[1], rtol=1e-4, atol=1e-6)
    vae.fit(table, verbose=0)
    assert all(
        not np.array_equal(keras.ops.convert_to_numpy(head), old) for head, old in zip(heads, before, strict=True)
    )


def test_own_networks_that_are_not_built_yet(small_vae, table):
    vae = small_vae(
        encoder=keras.Sequential([layers.Dense(5, activation="relu")]), decoder=keras.Sequential([layers.Dense(4)])
    )
    assert np.isfinite(vae.fit(table, verbose=0).history["loss"]).all()


def test_an_own_decoder_without_layers_inside(small_vae, table):
    vae = small_vae(decoder=LinearDecoder())
    assert np.isfinite(vae.fit(table, verbose=0).history["loss"]).all()


def test_dropout_is_off_in_encode_and_decode(small_vae, table):
    encoder = keras.Sequential([keras.Input((4,)), layers.Dense(16), layers.Dropout(0.5)])
    own_decoder = keras.Sequential([keras.Input((2,)), layers.Dense(16), layers.Dropout(0.5), layers.Dense(4)])
    vae = small_vae(encoder=encoder, decoder=own_decoder)
    np.testing.assert_array_equal(vae.reconstruct(table), vae.reconstruct(table))


@pytest.mark.parametrize(
    "last",
    [
        layers.Dense(4, activation="sigmoid", name="squash"),
        layers.Activation("sigmoid", name="squash"),
        layers.Activation(keras.activations.sigmoid, name="squash"),
    ],
    ids=["dense", "activation by name", "activation"],
)
def test_a_sigmoid_at_the_end_of_the_decoder_is_refused(small_vae, table, last):
    own = keras.Sequential([keras.Input((2,)), layers.Dense(4), last])
    with pytest.raises(ValueError, match=r"logits.*'squash'"):
        small_vae(decoder=own).encode(table)


def test_a_sigmoid_suits_the_gaussian_likelihood(small_vae, table):
    vae = small_vae(likelihood="gaussian", decoder=decoder("sigmoid"))
    assert np.isfinite(vae.fit(table, verbose=0).history["loss"]).all()
    assert 0 < vae.generate(20, seed=0).min() < vae.generate(20, seed=0).max() < 1


def test_a_decoder_of_another_shape_is_refused(small_vae, table):
    with pytest.raises(ValueError, match=r"samples of shape \(4,\).*\(3,\)"):
        small_vae(decoder=decoder(outputs=3)).encode(table)


def test_an_encoder_of_another_latent_dimension_is_refused(small_vae, table):
    with pytest.raises(ValueError, match=r"\[mean, log_var\].*\(batch_size, 2\).*\(3,\), \(3,\)"):
        small_vae(encoder=pair_encoder(3)).encode(table)


def test_an_encoder_of_three_outputs_is_refused(small_vae, table):
    inputs = keras.Input((4,))
    own = keras.Model(inputs, [layers.Dense(2)(inputs) for _ in range(3)])
    with pytest.raises(ValueError, match=r"\[mean, log_var\]"):
        small_vae(encoder=own).encode(table)


def test_an_encoder_of_named_outputs_is_refused(small_vae, table):
    inputs = keras.Input((4,))
    own = keras.Model(inputs, {"mean": layers.Dense(2)(inputs), "log_var": layers.Dense(2)(inputs)})
    with pytest.raises(ValueError, match="a tensor or a pair"):
        small_vae(encoder=own).encode(table)


def test_features_that_are_no_vectors_are_refused_with_their_shape(small_vae, table):
    # Heads on the last axis of a (batch, 4, 1) map would give four means of two dimensions.
    own = keras.Sequential([keras.Input((4,)), layers.Reshape((4, 1))])
    with pytest.raises(ValueError, match=r"encoder must put out.*\(4, 1\)"):
        small_vae(encoder=own).encode(table)


@pytest.mark.parametrize("encoder", [pair_encoder, feature_encoder], ids=["pair", "features"])
def test_saved_and_loaded(small_vae, table, tmp_path, encoder):
    vae = small_vae(encoder=encoder(), decoder=decoder())
    vae.fit(table, verbose=0)
    vae.save(tmp_path / "vae.keras")
    again = kplug.load_model(tmp_path / "vae.keras")
    np.testing.assert_allclose(again.reconstruct(table), vae.reconstruct(table), rtol=1e-6)
    np.testing.assert_allclose(again.encode(table)[1], vae.encode(table)[1], rtol=1e-6)
    assert np.isfinite(again.fit(table, verbose=0).history["loss"]).all()
