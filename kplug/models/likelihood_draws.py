"""Draws from the likelihoods, given what a decoder puts out."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from kplug.losses.likelihoods import Likelihood


def draw(outputs: np.ndarray, likelihood: Likelihood, scale: float, random: np.random.Generator) -> np.ndarray:
    """Return one draw of the data for each sample.

    Args:
        outputs: As `kplug.losses.likelihoods.log_likelihood` takes them.
        likelihood: One of its names, but for `"multinomial"`.
        scale: Standard deviation of the Gaussian.
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
