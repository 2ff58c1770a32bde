"""What several predictions say together: their mean, and where their spread comes from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, repr=False)
class RegressionPrediction:
    """The predictive distribution of numbers, in the unit of the targets.

    By the law of total variance the variance is the sum of what the model does not know and of the noise:
    `variance = Var over draws of the mean + mean over draws of the variance`.

    Attributes:
        mean: Predicted means, of shape `(n, *outputs)`.
        epistemic_std: Standard deviation of the means over draws: what the model does not know, and more data would
            teach. Of the same shape.
        aleatoric_std: Root of the mean variance: noise that the model sees in the data; 0 without an output layer.
        quantile_levels: Levels of the quantiles, between 0 and 1, in ascending order.
        quantiles: Quantiles of the targets, noise included, of shape `(levels, n, *outputs)`. They are those of draws:
            the tails are rough where draws are few.
        draws: All drawn targets, of shape `(draws, n, *outputs)`, where they were asked for; else `None`.
    """

    mean: np.ndarray
    epistemic_std: np.ndarray
    aleatoric_std: np.ndarray
    quantile_levels: tuple[float, ...]
    quantiles: np.ndarray
    draws: np.ndarray | None = None

    @property
    def std(self) -> np.ndarray:
        """Standard deviation of the targets, of shape `(n, *outputs)`."""
        return np.asarray(np.hypot(self.epistemic_std, self.aleatoric_std))

    @property
    def interval(self) -> tuple[np.ndarray, np.ndarray]:
        """The credible interval between the lowest and the highest quantile, each of shape `(n, *outputs)`.

        Raises:
            ValueError: If there is one quantile only.
        """
        if len(self.quantile_levels) < 2:
            raise ValueError(
                "An interval needs two quantiles: predict with quantiles=(0.05, 0.95), say. "
                f"Received: quantiles={self.quantile_levels}"
            )
        return self.quantiles[0], self.quantiles[-1]

    def __repr__(self) -> str:
        return f"RegressionPrediction(mean of shape {self.mean.shape}, quantile_levels={self.quantile_levels})"


@dataclass(frozen=True, repr=False)
class ClassificationPrediction:
    """The predictive distribution of classes; entropies in nats.

    `predictive_entropy = expected_entropy + mutual_information`: what is uncertain at all, what lies in the data, and
    what the draws disagree about (Houlsby et al. 2011, BALD, equation 2). With probabilities that do not exclude each
    other, each has its own, and entropies have the shape of `mean`.

    Attributes:
        mean: Mean probabilities, of shape `(n, num_classes)`.
        std: Their standard deviation over draws, of the same shape.
        predictive_entropy: Entropy of the mean probabilities, of shape `(n,)`.
        expected_entropy: Mean entropy of the draws: classes that overlap in the data.
        mutual_information: Between class and weights: what the model does not know, and more data would teach.
        quantile_levels: Levels of the quantiles, between 0 and 1, in ascending order.
        quantiles: Quantiles of the probabilities over draws, of shape `(levels, n, num_classes)`.
        draws: Probabilities of all draws, of shape `(draws, n, num_classes)`, where they were asked for; else `None`.

    References:
        Houlsby et al. (2011), Bayesian Active Learning for Classification and Preference Learning,
        https://arxiv.org/abs/1112.5745
    """

    mean: np.ndarray
    std: np.ndarray
    predictive_entropy: np.ndarray
    expected_entropy: np.ndarray
    mutual_information: np.ndarray
    quantile_levels: tuple[float, ...]
    quantiles: np.ndarray
    draws: np.ndarray | None = None

    @property
    def classes(self) -> np.ndarray:
        """The most likely classes, of shape `(n,)`; of labels that do not exclude each other 0 or 1, `(n, labels)`."""
        if self.predictive_entropy.shape == self.mean.shape:
            return (self.mean > 0.5).astype("int64")
        return np.asarray(self.mean.argmax(axis=-1))

    def __repr__(self) -> str:
        return f"ClassificationPrediction(mean of shape {self.mean.shape}, quantile_levels={self.quantile_levels})"


def of_numbers(
    means: np.ndarray, variances: np.ndarray, targets: np.ndarray, levels: tuple[float, ...], keep: bool
) -> RegressionPrediction:
    """Return what draws of numbers say together.

    Args:
        means: Means of each draw, of shape `(draws, n, *outputs)`.
        variances: Variances of each draw, of the same shape.
        targets: A target drawn for each, of the same shape.
        levels: Levels of the quantiles.
        keep: Whether to keep the draws.
    """
    means = means.astype("float64")
    return RegressionPrediction(
        mean=means.mean(axis=0),
        epistemic_std=means.std(axis=0),
        aleatoric_std=np.sqrt(variances.astype("float64").mean(axis=0)),
        quantile_levels=levels,
        quantiles=np.quantile(targets.astype("float64"), levels, axis=0),
        draws=targets if keep else None,
    )


def of_classes(
    probabilities: np.ndarray, binary: bool, levels: tuple[float, ...], keep: bool
) -> ClassificationPrediction:
    """Return what draws of probabilities say together.

    Args:
        probabilities: Of each draw, of shape `(draws, n, num_classes)`.
        binary: Whether they do not exclude each other.
        levels: Levels of the quantiles.
        keep: Whether to keep the draws.
    """
    exact = probabilities.astype("float64")
    mean = exact.mean(axis=0)
    predictive, expected = _entropy(mean, binary), _entropy(exact, binary).mean(axis=0)
    return ClassificationPrediction(
        mean=mean,
        std=exact.std(axis=0),
        predictive_entropy=predictive,
        expected_entropy=expected,
        # Rounding can make it a little less than 0, which it never is.
        mutual_information=np.maximum(predictive - expected, 0.0),
        quantile_levels=levels,
        quantiles=np.quantile(exact, levels, axis=0),
        draws=probabilities if keep else None,
    )


def _entropy(probabilities: np.ndarray, binary: bool) -> np.ndarray:
    if binary:
        return np.asarray(_terms(probabilities) + _terms(1 - probabilities))
    return np.asarray(_terms(probabilities).sum(axis=-1))


def _terms(probabilities: np.ndarray) -> np.ndarray:
    positive = np.where(probabilities > 0, probabilities, 1.0)
    return np.asarray(-positive * np.log(positive))
