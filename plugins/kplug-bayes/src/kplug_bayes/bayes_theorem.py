"""Bayes' theorem for probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np

from kplug_bayes.checked_numbers import probabilities

_ROUNDING = 1e-9
"""By how much evidence may be too small for its parts: what figures of nine digits make of it."""


def posterior(prior: Any, likelihood: Any, evidence: Any) -> Any:
    """Return the probability of hypotheses after an observation, by Bayes' theorem.

    ```
    P(H | E) = P(H) P(E | H) / P(E)
    ```

    Products that are too small for a float64 do not vanish on the way.

    Args:
        prior: P(H), probabilities of the hypotheses before; numbers or arrays of any shape.
        likelihood: P(E | H), the probability of the observation where the hypothesis holds; broadcasts with `prior`.
        evidence: P(E), the probability of the observation, above 0; broadcasts with the others.

    Returns:
        P(H | E), float64 of the shape that all three broadcast to; a number if all are numbers.

    Raises:
        ValueError: If one is no probability, the evidence is 0, smaller than `prior * likelihood` or larger than
            `prior * likelihood + 1 - prior`, or the shapes do not go together.

    References:
        Bayes (1763), An Essay towards solving a Problem in the Doctrine of Chances, doi:10.1098/rstl.1763.0053

    Example:

    >>> round(kplug_bayes.posterior(prior=0.01, likelihood=0.9, evidence=0.108), 4)
    0.0833
    """
    prior, likelihood, evidence = _broadcast(prior=prior, likelihood=likelihood, evidence=evidence)
    if np.any(evidence == 0):
        raise ValueError(
            "`evidence` must be above 0: nothing follows from what cannot be observed. Received: evidence=0"
        )
    # Mantissas and exponents apart, so that no product underflows.
    (mantissa, power), (times, raised), (by, lowered) = map(np.frexp, (prior, likelihood, evidence))
    result = np.ldexp(mantissa * times / by, power + raised - lowered)
    most = prior * likelihood + (1 - prior)
    for bad, limit in (
        (
            result > 1 + _ROUNDING,
            "at least prior * likelihood, which is part of it: it is the sum of prior * likelihood over all hypotheses",
        ),
        (
            evidence > most * (1 + _ROUNDING),
            "at most prior * likelihood + 1 - prior: where the hypothesis does not hold, the observation has a "
            "probability of at most 1",
        ),
    ):
        if bad.any():
            place = tuple(np.argwhere(bad)[0])
            raise ValueError(
                f"`evidence` must be {limit}. Received: prior={prior[place]:g}, likelihood={likelihood[place]:g}, "
                f"evidence={evidence[place]:g}"
            )
    return _number_or_array(np.minimum(result, 1.0))


def posterior_from_rates(prior: Any, sensitivity: Any, false_positive_rate: Any, positive: bool = True) -> Any:
    """Return the probability of a condition after a test for it, from the test's two rates.

    ```
    P(C | +) = p s / (p s + (1 - p) f)
    P(C | -) = p (1 - s) / (p (1 - s) + (1 - p) (1 - f))
    ```

    with p the prior, s the sensitivity and f the false positive rate. Exact to rounding for any prior, 1e-12 or 1e-300.

    Args:
        prior: p, the share of those tested who have the condition; numbers or arrays of any shape.
        sensitivity: s, the share of those with the condition in whom the test is positive; broadcasts with `prior`.
        false_positive_rate: f, the share of those without it in whom the test is positive, 1 - specificity; broadcasts
            with the others.
        positive: Whether the test was positive.

    Returns:
        Probabilities, float64 of the shape that all three broadcast to; a number if all are numbers.

    Raises:
        ValueError: If one is no probability, such a result of the test has probability 0, or the shapes do not go
            together.

    Example:

    >>> round(kplug_bayes.posterior_from_rates(prior=0.01, sensitivity=0.9, false_positive_rate=0.1), 4)
    0.0833
    """
    if not isinstance(positive, bool | np.bool_):
        raise ValueError(f"`positive` must be True or False. Received: positive={positive!r}")
    prior, sensitivity, false_positive_rate = _broadcast(
        prior=prior, sensitivity=sensitivity, false_positive_rate=false_positive_rate
    )
    likelihood, otherwise = (
        (sensitivity, false_positive_rate) if positive else (1 - sensitivity, 1 - false_positive_rate)
    )
    # Both parts are raised by what makes a tiny prior a number near 1, so that no product underflows.
    raised = np.minimum(-np.frexp(prior)[1], 1000)
    held, other = np.ldexp(prior, raised) * likelihood, np.ldexp((1 - prior) * otherwise, raised)
    if np.any(held + other == 0):
        what = "positive" if positive else "negative"
        raise ValueError(
            f"A {what} test must be possible: with these rates its probability is 0, and nothing follows from it. "
            f"Received: sensitivity={_first(sensitivity, held + other == 0)}, "
            f"false_positive_rate={_first(false_positive_rate, held + other == 0)}"
        )
    return _number_or_array(held / (held + other))


def _broadcast(**values: Any) -> list[np.ndarray]:
    arrays = [probabilities(name, value) for name, value in values.items()]
    try:
        return list(np.broadcast_arrays(*arrays))
    except ValueError as error:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in zip(values, arrays, strict=True))
        raise ValueError(f"The arrays' shapes must broadcast with each other. Received: {shapes}") from error


def _number_or_array(values: Any) -> Any:
    return values if np.ndim(values) else float(values)


def _first(values: np.ndarray, where: np.ndarray) -> str:
    return f"{values[where].flat[0]:g}"
