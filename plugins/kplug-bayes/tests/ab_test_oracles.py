"""What A/B tests are compared with: closed forms, and SciPy's own integration."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from scipy import integrate, special


def probability_b_better(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Return P(B > A) for Beta posteriors, B's first parameter whole.

    Miller (2015), Formulas for Bayesian A/B Testing, equation 6, https://www.evanmiller.org/bayesian-ab-testing.html
    """
    i = np.arange(round(b[0]))
    logs = special.betaln(a[0] + i, a[1] + b[1]) - np.log(b[1] + i) - special.betaln(1 + i, b[1]) - special.betaln(*a)
    return float(np.exp(logs).sum())


def expected_loss_of_a(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Return E[max(B - A, 0)] for Beta posteriors of whole parameters, by `x f(x; a, b) = mean f(x; a + 1, b)`."""
    mean_a, mean_b = a[0] / sum(a), b[0] / sum(b)
    return mean_b * probability_b_better(a, (b[0] + 1, b[1])) - mean_a * probability_b_better((a[0] + 1, a[1]), b)


def integral_over(arm: Any, function: Any) -> float:
    """Return the mean of a function of an arm (a frozen distribution of SciPy), by adaptive integration in pieces."""
    levels = [1e-13, 1e-9, 1e-6, 1e-4, 1e-3, 0.01, 0.05, 0.2, 0.5]
    ends = np.unique([*arm.ppf(levels), *arm.isf(levels)])
    parts = [
        integrate.quad(lambda x: float(arm.pdf(x)) * float(function(x)), low, high, epsabs=1e-12, limit=200)[0]
        for low, high in itertools.pairwise(ends)
    ]
    return float(sum(parts))
