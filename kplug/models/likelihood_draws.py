"""Means of the likelihoods, and draws from them, given what a decoder puts out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops
from scipy.special import expit

from kplug.losses.labelled import in_float32
from kplug.losses.likelihoods import Likelihood

_MEANS: dict[str, Callable[[Any], Any]] = {"bernoulli": ops.sigmoid, "multinomial": ops.softmax, "poisson": ops.exp}


def mean(outputs: Any, likelihood: Likelihood) -> Any:
    """Return the mean of each element's distribution; if categorical, its likeliest value.

    Args:
        outputs: As `kplug.losses.likelihoods.log_likelihood` takes them, in any precision.
        likelihood: One of its names.

    Returns:
        Tensor of the data's shape, in float32 at least; shares of the total if multinomial.
    """
    outputs = in_float32(outputs)
    if likelihood == "categorical":
        return ops.argmax(outputs, axis=-1)
    return _MEANS[likelihood](outputs) if likelihood in _MEANS else outputs


def draw(outputs: np.ndarray, likelihood: Likelihood, scale: Any, random: np.random.Generator) -> np.ndarray:
    """Return one draw of the data for each sample.

    Args:
        outputs: As `kplug.losses.likelihoods.log_likelihood` takes them.
        likelihood: One of its names, but for `"multinomial"`.
        scale: Standard deviation of the Gaussian: a number, or an array that broadcasts against the data.
        random: Where the draws come from.

    Returns:
        Float32 array of the data's shape.

    Raises:
        ValueError: If the likelihood is multinomial: how much there is to share out is no part of the model.
    """
    if likelihood == "multinomial":
        raise ValueError(
            "`draw=True` needs the total of each sample, which a multinomial likelihood does not have. Draw yourself "
            "from the shares that `generate(n)` returns. Received: likelihood='multinomial'"
        )
    if likelihood == "bernoulli":
        drawn = random.random(outputs.shape) < expit(outputs)
    elif likelihood == "gaussian":
        drawn = outputs + scale * random.standard_normal(outputs.shape)
    elif likelihood == "poisson":
        drawn = random.poisson(np.exp(outputs.astype("float64")))
    else:
        drawn = np.argmax(outputs + random.gumbel(size=outputs.shape), axis=-1)
    return np.asarray(drawn, "float32")
