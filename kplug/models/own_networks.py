"""Encoders and decoders that a person brings along: whether they fit the data."""

from __future__ import annotations

from typing import Any

import keras


def features_of(encoder: Any, shape: tuple[int, ...], latent_dim: int) -> int | None:
    """Return how many features an encoder puts out, or `None` if it puts out `[mean, log_var]` itself.

    Args:
        encoder: A model that takes samples.
        shape: Shape of one sample.
        latent_dim: Number of latent dimensions.

    Raises:
        ValueError: If it puts out something else.
    """
    outputs = encoder(keras.Input(shape))
    if isinstance(outputs, (list, tuple)):
        shapes = [tuple(output.shape[1:]) for output in outputs]
        if shapes != [(latent_dim,)] * 2:
            raise ValueError(
                f"The encoder must put out [mean, log_var], each of shape (batch_size, {latent_dim}), "
                f"or one feature tensor. Received outputs of shape {shapes}"
            )
        return None
    if not hasattr(outputs, "shape"):
        raise ValueError(f"The encoder must put out a tensor or a pair of tensors. Received: {type(outputs)}")
    if len(outputs.shape) != 2:
        raise ValueError(
            "The encoder must put out features that are vectors, of shape (batch_size, features). "
            f"Received outputs of shape {tuple(outputs.shape[1:])} per sample: end the encoder with Flatten, say."
        )
    return outputs.shape[-1]


def check_decoder(decoder: Any, shape: tuple[int, ...], inputs: int, likelihood: str, categories: int | None) -> None:
    """Refuse a decoder whose outputs are not what the likelihood takes.

    Args:
        decoder: A model that takes vectors.
        shape: Shape of one sample.
        inputs: Length of those vectors.
        likelihood: The name of the likelihood.
        categories: Number of values of an element, or `None` where they have no axis of their own.

    Raises:
        ValueError: If the shape is another, or a sigmoid ends the decoder where logits are due.
    """
    outputs = decoder(keras.Input((inputs,)))
    expected = shape if categories is None else (*shape, categories)
    if tuple(outputs.shape[1:]) != expected:
        what = "samples" if categories is None else "a logit for each value of each element,"
        raise ValueError(
            f"The decoder must put out {what} of shape {expected}, as the data have. "
            f"Received outputs of shape {tuple(outputs.shape[1:])}"
        )
    last: Any = next(reversed(getattr(decoder, "layers", ())), None)
    if likelihood == "bernoulli" and getattr(last, "activation", None) is keras.activations.sigmoid:
        raise ValueError(
            "With `likelihood='bernoulli'` the decoder must put out logits, "
            f"but its last layer {last.name!r} applies a sigmoid. Leave that activation out."
        )
