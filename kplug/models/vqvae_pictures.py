"""The pictures a vector-quantised autoencoder leaves."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from kplug.models.pictures import is_image, shown_split
from kplug.models.reconstruction_pictures import ROWS, comparison, overlaid_lines, sample_picture
from kplug.models.vqvae_prior import CodePrior

_COUNTED_SAMPLES = 5000
_PRIOR_STEPS = 400
_PRIOR_EPOCHS = 40
_PRIOR_SAMPLES = 20_000
_PRIOR_BATCH = 64


def write_pictures(model: Any, directory: Path, dataset: Any) -> None:
    """Write `reconstructions.png`, `codes.png` and `samples.png`.

    Args:
        model: A built `kplug.VQVAE`.
        directory: An existing directory.
        dataset: A `kplug.Dataset` whose splits are arrays; of others only the samples are left, and only if the model
            has a prior.
    """
    x, _ = shown_split(dataset)
    low, high = (0.0, 1.0) if x is None or model.likelihood == "bernoulli" else (float(np.min(x)), float(np.max(x)))
    span = (high - low) or 1.0

    def shades(samples: np.ndarray) -> np.ndarray:
        return (samples - low) / span

    if x is not None:
        originals = np.asarray(x[: 2 * ROWS], dtype="float32")
        reconstructions = model.reconstruct(originals)
        if is_image(originals):
            figure = comparison(shades(originals), shades(reconstructions))
        else:
            figure = overlaid_lines(originals, reconstructions)
        figure.savefig(directory / "reconstructions.png")
        _usage(model.encode(x[:_COUNTED_SAMPLES]), model.num_embeddings).savefig(directory / "codes.png")

    prior, title = model.prior, "Samples from the prior"
    if prior is None and isinstance(dataset.train, tuple) and isinstance(dataset.train[0], np.ndarray):
        prior = _brief_prior(model, dataset.train[0])
        title = "Samples from a prior trained briefly"
    if prior is not None:
        codes = prior.sample(ROWS * ROWS, seed=0)
        samples = model.decode(codes.reshape(-1, *model.code_shape))
        shown = shades(samples) if is_image(samples) else samples
        sample_picture(shown, title).savefig(directory / "samples.png")


def _brief_prior(model: Any, x: np.ndarray) -> CodePrior:
    codes = model.encode(x[:_PRIOR_SAMPLES])
    codes = codes.reshape(len(codes), -1)
    prior = model.new_prior(seed=0)
    epochs = math.ceil(_PRIOR_STEPS / max(1, len(codes) // _PRIOR_BATCH))
    prior.fit(codes, min(epochs, _PRIOR_EPOCHS), _PRIOR_BATCH, learning_rate=1e-3, verbose=0)
    return prior


def _usage(codes: np.ndarray, num_embeddings: int) -> Figure:
    """Show each code's share of the positions, the largest first, beside the share of equal use."""
    shares = np.sort(np.bincount(codes.reshape(-1), minlength=num_embeddings) / max(codes.size, 1))[::-1]
    used = shares[shares > 0]
    perplexity = math.exp(-float(np.sum(used * np.log(used))))
    figure = Figure(figsize=(7, 4.5), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    axes.fill_between(range(num_embeddings), shares, step="mid")
    axes.axhline(1 / num_embeddings, color="black", linestyle="--", linewidth=0.8, label="all codes used alike")
    axes.set(
        title=f"{len(used)} of {num_embeddings} codes in use, perplexity {perplexity:.0f}",
        xlabel="code, by its share",
        ylabel="share of the positions",
    )
    axes.set_ylim(bottom=0)
    axes.legend()
    return figure
