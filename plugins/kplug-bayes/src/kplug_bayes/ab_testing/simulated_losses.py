"""Expected losses of very many simulated tests at once."""

from __future__ import annotations

import numpy as np
from scipy import special

from kplug_bayes.ab_testing.arm_posteriors import BetaPosterior

_AT_ONCE = 128
_STEP = 0.3
"""Between nodes, in posterior deviations: the trapezoidal rule is exact to 1e-12 there."""


def rate_losses(successes: np.ndarray, trials: int, prior: tuple[float, float]) -> np.ndarray:
    """Return what choosing each of two arms is expected to lose, for Beta-Binomial tests of one size.

    The distribution functions of all posteriors follow from one of them, by `I_x(a, b) - I_x(a + 1, b - 1) =
    x^a (1 - x)^(b - 1) / (a B(a, b))`, added up from the small end.

    Args:
        successes: Counts of shape `(2, tests)`.
        trials: Number of trials of each arm.
        prior: a and b of the Beta prior.

    Returns:
        Losses of shape `(2, tests)`.

    References:
        NIST Digital Library of Mathematical Functions, https://dlmf.nist.gov/8.17
    """
    first, last = int(successes.min()), int(successes.max())
    extremes = [BetaPosterior(prior[0] + count, prior[1] + trials - count) for count in (first, last)]
    low, high = extremes[0].line_quantiles()[1], extremes[1].line_quantiles()[-2]
    a, b = prior[0] + successes, prior[1] + trials - successes
    deviation = np.sqrt(special.polygamma(1, a) + special.polygamma(1, b)).min()
    line = np.linspace(low, high, 2 + int((high - low) / (_STEP * deviation)))
    weights = special.expit(line) * special.expit(-line) * (line[1] - line[0])
    losses = np.zeros(successes.shape)
    for begin in range(0, line.size, _AT_ONCE):
        part = slice(begin, begin + _AT_ONCE)
        below, above = zip(*(_tails(counts, trials, prior, line[part]) for counts in successes), strict=True)
        for chosen in (0, 1):
            losses[chosen] += np.einsum("tn,tn,n->t", below[chosen], above[1 - chosen], weights[part])
    return losses


def _tails(
    counts: np.ndarray, trials: int, prior: tuple[float, float], line: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return what posteriors have below and above nodes, each of shape `(tests, nodes)`."""
    first, last = int(counts.min()), int(counts.max())
    a = prior[0] + np.arange(first, last)[:, np.newaxis]
    total = prior[0] + prior[1] + trials
    log_steps = a * special.log_expit(line) + (total - a - 1) * special.log_expit(-line)
    steps = np.exp(log_steps - np.log(a) - special.betaln(a, total - a))
    lowest, highest = (BetaPosterior(prior[0] + count, prior[1] + trials - count) for count in (first, last))
    above = np.cumsum(np.concatenate([lowest.line_tails(line)[1][np.newaxis], steps]), axis=0)
    below = np.cumsum(np.concatenate([highest.line_tails(line)[0][np.newaxis], steps[::-1]]), axis=0)[::-1]
    return below[counts - first], above[counts - first]


def mean_losses(means: np.ndarray, scales: np.ndarray, df: float) -> np.ndarray:
    """Return what choosing each of two arms is expected to lose, for tests of means of one size.

    The integral over one arm is closed, `E[max(t - c, 0)] = f(c) (df + c^2) / (df - 1) - c S(c)` for Student's t with
    density f and upper tail S; the other is the trapezoidal rule, on a scale that follows t's tails.

    Args:
        means: Centres of the posteriors, of shape `(2, tests)`.
        scales: Their scales, of that shape.
        df: Degrees of freedom of all of them, above 1.

    Returns:
        Losses of shape `(2, tests)`.
    """
    place, step = np.linspace(-5, 5, 41, retstep=True)
    z = np.sinh(place)
    weights = _t_pdf(z, df) * np.cosh(place) * step
    losses = np.empty_like(means)
    for chosen in (0, 1):
        other = 1 - chosen
        c = (means[chosen] - means[other])[:, np.newaxis] + scales[chosen][:, np.newaxis] * z
        c /= scales[other][:, np.newaxis]
        excess = _t_pdf(c, df) * (df + c * c) / (df - 1) - c * special.stdtr(df, -c)
        losses[chosen] = scales[other] * (excess @ weights)
    return np.asarray(np.maximum(losses, 0))


def _t_pdf(z: np.ndarray, df: float) -> np.ndarray:
    return np.asarray(np.exp(-special.betaln(df / 2, 0.5) - np.log(df) / 2 - (df + 1) / 2 * np.log1p(z * z / df)))
