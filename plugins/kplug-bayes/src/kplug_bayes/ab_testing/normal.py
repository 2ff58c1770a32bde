"""The A/B test of means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from kplug_bayes.ab_testing.ab_test import ABTest, arm_names, values_by_arm
from kplug_bayes.ab_testing.arm_posteriors import StudentTPosterior
from kplug_bayes.ab_testing.labelled import by_arm, check_one_index
from kplug_bayes.checked_numbers import check_number, finite_array

_LEAST_DF = 2


@dataclass(frozen=True)
class NormalInverseGamma:
    """Prior of a mean and a variance that are both unknown: `variance ~ InverseGamma(shape, rate)`, `mean | variance ~
    Normal(mean, variance / count)`.

    The default is the reference prior, `p(mean, variance) = 1 / variance`: it says nothing. The posterior of a mean is
    then at the sample's mean, with its standard error for a scale and n - 1 degrees of freedom.

    Attributes:
        mean: What the mean is thought to be.
        count: How many samples that thought is worth, at least 0.
        shape: Shape of the variance's inverse gamma distribution, at least -1/2; twice that are degrees of freedom.
        rate: Its rate, at least 0, in the metric's squared unit.

    Raises:
        ValueError: If a number is out of range.

    References:
        Murphy (2007), Conjugate Bayesian analysis of the Gaussian distribution, section 6,
        https://www.cs.ubc.ca/~murphyk/Papers/bayesGauss.pdf
    """

    mean: float = 0.0
    count: float = 0.0
    shape: float = -0.5
    rate: float = 0.0

    def __post_init__(self) -> None:
        check_number("mean", self.mean, -np.inf, ends="()")
        check_number("count", self.count, 0)
        check_number("shape", self.shape, -0.5)
        check_number("rate", self.rate, 0)


@dataclass(frozen=True)
class NormalTest(ABTest):
    """A/B test of means, such as revenue per visitor: normal samples of unknown variance.

    With n samples of mean m and squared deviations S from it, and the prior of `NormalInverseGamma`, the posterior of
    an arm's mean is Student's t (Murphy 2007, section 6):

    ```
    count_n = count + n,  shape_n = shape + n / 2,  mean_n = (count mean + n m) / count_n
    rate_n  = rate + S / 2 + count n (m - mean)^2 / (2 count_n)
    t with 2 shape_n degrees of freedom, centre mean_n, scale sqrt(rate_n / (shape_n count_n))
    ```

    Means of many samples are nearly normal whatever the samples are: a thousand visitors, of whom few buy, are fine.

    Args:
        means: Mean of each arm's samples, at least two arms: an array, or a dictionary or pandas' series by the arms'
            names; the others likewise.
        stds: Their sample standard deviations, with n - 1 in the denominator (`np.std(…, ddof=1)`).
        counts: How many there are, at least 2 of each arm.
        names: The arms' names; by default those of the numbers, or A, B, …
        prior: What is thought of each arm beforehand; by default nothing.

    Attributes:
        posteriors: The arms' posteriors, `StudentTPosterior`.

    Raises:
        ValueError: If numbers are out of range or do not go together, or a posterior has fewer than 2 degrees of
            freedom or no spread.

    References:
        Murphy (2007), Conjugate Bayesian analysis of the Gaussian distribution, section 6,
        https://www.cs.ubc.ca/~murphyk/Papers/bayesGauss.pdf

    Example:

    >>> test = kplug_bayes.NormalTest(means=[10.0, 10.4], stds=[3.0, 3.1], counts=[500, 510])
    >>> round(test.probability_best["B"], 4), str(test.difference().interval())
    (0.9812, '0.02297 to 0.777')
    """

    means: Any
    stds: Any
    counts: Any
    names: Sequence[str] | None = None
    prior: NormalInverseGamma = NormalInverseGamma()
    metric = "mean"

    def __post_init__(self) -> None:
        names, given = by_arm(self.names, means=self.means, stds=self.stds, counts=self.counts)
        means, stds, counts = (
            finite_array(name, values, dimensions=1) for name, values in zip(_SUMMARY, given, strict=True)
        )
        if not len(means) == len(stds) == len(counts):
            raise ValueError(
                "`means`, `stds` and `counts` must have one number for each arm. "
                f"Received: {len(means)}, {len(stds)} and {len(counts)}"
            )
        if np.any((counts < 2) | (counts != np.floor(counts))):
            raise ValueError(f"`counts` must be whole numbers of at least 2. Received: counts={counts.tolist()!r}")
        if np.any(stds < 0):
            raise ValueError(f"`stds` must be at least 0. Received: stds={stds.tolist()!r}")
        if not isinstance(self.prior, NormalInverseGamma):
            raise ValueError(f"`prior` must be a NormalInverseGamma. Received: prior={self.prior!r}")
        for name, values, kind in zip(_SUMMARY, (means, stds, counts), (float, float, int), strict=True):
            object.__setattr__(self, name, tuple(map(kind, values)))
        object.__setattr__(self, "names", arm_names(names, len(means)))
        self._check_posteriors()

    @classmethod
    def from_samples(
        cls,
        samples: Mapping[str, Any] | Sequence[Any],
        names: Sequence[str] | None = None,
        prior: NormalInverseGamma = NormalInverseGamma(),
    ) -> NormalTest:
        """Summarise samples.

        Args:
            samples: An array of shape `(n,)` for each arm, at least 2 numbers each; or a dictionary of them by name.
            names: The arms' names, where the samples have none; else their order.
            prior: What is thought of each arm beforehand.

        Raises:
            ValueError: If samples are not finite, or fewer than 2, or the names are not those of the dictionary.
        """
        if isinstance(samples, Mapping):
            names, (samples,) = by_arm(names, samples=samples)
        assert not isinstance(samples, Mapping)
        names = arm_names(names, len(samples))
        arrays = [
            finite_array(f"samples of {name}", one, dimensions=1) for name, one in zip(names, samples, strict=True)
        ]
        for name, array in zip(names, arrays, strict=True):
            if len(array) < 2:
                raise ValueError(f"Each arm needs at least 2 samples. Received: {len(array)} of {name}")
        return cls(
            [float(one.mean()) for one in arrays],
            [float(one.std(ddof=1)) for one in arrays],
            [len(one) for one in arrays],
            names,
            prior,
        )

    @classmethod
    def from_log(
        cls,
        arms: Any,
        values: Any,
        names: Sequence[Any] | None = None,
        prior: NormalInverseGamma = NormalInverseGamma(),
    ) -> NormalTest:
        """Summarise a log that has one entry for each sample.

        Args:
            arms: Which arm each sample is of, of shape `(entries,)`.
            values: The samples, of shape `(entries,)`.
            names: The arms in the order that is wanted; by default sorted. The first is the baseline.
            prior: What is thought of each arm beforehand.

        Raises:
            ValueError: If the arrays do not go together, or samples are not finite, or fewer than 2 of an arm.
        """
        check_one_index(arms=arms, values=values)
        found, parts = values_by_arm(arms, finite_array("values", values), names)
        return cls.from_samples(parts, found, prior)

    @cached_property
    def posteriors(self) -> tuple[StudentTPosterior, ...]:
        return tuple(map(self._posterior, self.means, self.stds, self.counts))

    def _posterior(self, mean: float, std: float, count: int) -> StudentTPosterior:
        prior = self.prior
        total, shape = prior.count + count, prior.shape + count / 2
        squares = (count - 1) * std**2 + prior.count * count * (mean - prior.mean) ** 2 / total
        rate = prior.rate + squares / 2
        scale = float(np.sqrt(rate / shape / total)) if shape > 0 else 0.0
        return StudentTPosterior((prior.count * prior.mean + count * mean) / total, scale, 2 * shape)

    def _check_posteriors(self) -> None:
        assert self.names is not None
        for name, arm in zip(self.names, self.posteriors, strict=True):
            if arm.df < _LEAST_DF:
                raise ValueError(
                    f"The posterior of arm {name} needs at least {_LEAST_DF} degrees of freedom for an expected loss: "
                    f"more samples, or a prior with more shape. Received: {arm.df:g}"
                )
            if arm.scale == 0:
                raise ValueError(
                    f"The samples of arm {name} must differ from each other, or the prior must have a rate above 0. "
                    "Received: a standard deviation of 0"
                )


_SUMMARY = ("means", "stds", "counts")
