"""What the layers of TensorFlow Probability do, computed under tf-keras in a process of its own.

Run with a directory: each layer's weights, inputs, KL divergence, and mean and variance of its outputs over many draws
are written to `NAME.npz` in it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras

DRAWS = 1500
SHAPES = {"Dense": (3, 4), "Conv1D": (3, 5, 2), "Conv2D": (3, 4, 4, 2), "Conv3D": (3, 3, 3, 3, 2)}
LAYERS = {
    "DenseReparameterization": "DenseReparameterization",
    "DenseFlipout": "DenseFlipout",
    "DenseLocalReparameterization": "DenseLocalReparameterization",
    **{
        f"Conv{n}D{method}": f"Convolution{n}D{method}"
        for n in (1, 2, 3)
        for method in ("Reparameterization", "Flipout")
    },
}


def wide() -> Any:
    """Return what makes a posterior whose deviations are large enough to be measured well."""
    return tfp.layers.default_mean_field_normal_fn(
        untransformed_scale_initializer=tf_keras.initializers.RandomNormal(mean=-1.0, stddev=0.5)
    )


def posterior(kernel_size: int, bias_size: int, dtype: Any = None) -> Any:
    size = kernel_size + bias_size
    return tf_keras.Sequential(
        [
            tfp.layers.VariableLayer(2 * size, dtype=dtype, initializer=tf_keras.initializers.RandomNormal(stddev=0.5)),
            tfp.layers.DistributionLambda(
                lambda t: tfp.distributions.Independent(
                    tfp.distributions.Normal(t[..., :size], 2.0**-23 + tf.nn.softplus(t[..., size:])), 1
                )
            ),
        ]
    )


def prior(kernel_size: int, bias_size: int, dtype: Any = None) -> Any:
    size = kernel_size + bias_size
    return tf_keras.Sequential(
        [
            tfp.layers.VariableLayer(size, dtype=dtype, initializer=tf_keras.initializers.RandomNormal(stddev=0.5)),
            tfp.layers.DistributionLambda(
                lambda t: tfp.distributions.Independent(tfp.distributions.Normal(t, tf.ones_like(t)), 1)
            ),
        ]
    )


def write(folder: Path, name: str, layer: Any, inputs: np.ndarray) -> None:
    layer(inputs)
    (divergence,) = layer.losses

    @tf.function  # type: ignore[untyped-decorator]
    def draws() -> Any:
        return tf.map_fn(lambda _: layer(inputs), tf.range(DRAWS), fn_output_signature=tf.float32)

    outputs = draws().numpy().astype("float64")
    weights = {weight.name.partition(":")[0].rpartition("/")[2]: weight.numpy() for weight in layer.weights}
    if name == "DenseVariational":
        loc, untransformed = np.split(layer._posterior.layers[0].weights[0].numpy(), 2)
        weights = {"loc": loc, "untransformed_scale": untransformed, "prior": layer._prior.layers[0].weights[0].numpy()}
    np.savez(
        folder / f"{name}.npz",
        inputs=inputs,
        divergence=float(divergence),
        mean=outputs.mean(axis=0),
        variance=outputs.var(axis=0),
        **weights,
    )


if __name__ == "__main__":
    tf.random.set_seed(0)
    rng = np.random.default_rng(0)
    for ours, theirs in LAYERS.items():
        geometry = next(one for one in SHAPES if ours.startswith(one))
        size = {} if geometry == "Dense" else {"kernel_size": 2}
        made = getattr(tfp.layers, theirs)(2, **size, kernel_posterior_fn=wide())
        write(Path(sys.argv[1]), ours, made, rng.normal(size=SHAPES[geometry]).astype("float32"))
    own = tfp.layers.DenseVariational(2, posterior, prior, kl_weight=0.5, kl_use_exact=True)
    write(Path(sys.argv[1]), "DenseVariational", own, rng.normal(size=SHAPES["Dense"]).astype("float32"))
