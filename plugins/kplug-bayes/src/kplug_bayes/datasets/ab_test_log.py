"""The log of an A/B test whose rates are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import kplug
import numpy as np
from pydantic import Field

from kplug_bayes.checked_numbers import check_choice, check_number, check_seed, checked_count
from kplug_bayes.datasets.three_splits import Fraction, Seed, split_sizes

_RETURNING = 0.3
"""Share of visitors who have been there before; they convert twice as often."""
_SPREAD = 0.5
"""Standard deviation of an order's logarithm."""


@dataclass(frozen=True, repr=False)
class ABTestLog:
    """What an A/B test has recorded, one entry for each visitor in the order of their visits.

    Attributes:
        arm: `"A"` or `"B"`, of shape `(visitors,)`.
        day: Time of the visit in days since the test began, float64, ascending.
        returning: Whether the visitor had been there before, bool.
        converted: Whether they bought, bool.
        revenue: For how much, float64; 0 without a conversion.
        rates: The true conversion rate of each arm.
        revenues: The true expected revenue per visitor of each arm.
    """

    arm: np.ndarray
    day: np.ndarray
    returning: np.ndarray
    converted: np.ndarray
    revenue: np.ndarray
    rates: dict[str, float]
    revenues: dict[str, float]

    def __repr__(self) -> str:
        truth = (f"{name}: {self.rates[name]:.4g} convert, {self.revenues[name]:.4g} revenue" for name in self.rates)
        return f"ABTestLog({len(self.arm)} visitors, true {'; '.join(truth)})"


def simulate_ab_test(
    visitors: int,
    baseline: float = 0.05,
    uplift: float = 0.1,
    *,
    order_value: float = 40.0,
    days: float = 14.0,
    seed: int = 0,
) -> ABTestLog:
    """Simulate the log of a test of two arms; the truth is planted.

    Each visitor is shown A or B with even chances, and converts at the arm's rate: 30 % of them have been there before,
    and convert twice as often as the others. Orders are log-normal with a deviation of 0.5 of their logarithm.

    Args:
        visitors: Number of visitors, at least 1.
        baseline: Conversion rate of arm A, between 0 and 1, over all visitors.
        uplift: By which share B's is higher, above -1; negative if it is lower.
        order_value: Expected value of an order, above 0, in either arm.
        days: How long the test takes; visits are spread evenly.
        seed: Seed of everything.

    Returns:
        An `ABTestLog`.

    Raises:
        ValueError: If a parameter is out of range, or visitors would convert at a rate above 1.
    """
    checked_count("visitors", visitors)
    check_number("baseline", baseline, 0, 1, ends="()")
    check_number("uplift", uplift, -1, ends="(]")
    check_number("order_value", order_value, 0, ends="(]")
    check_number("days", days, 0, ends="(]")
    check_seed(seed)
    rates = {"A": float(baseline), "B": float(baseline * (1 + uplift))}
    highest = 2 * max(rates.values()) / (1 + _RETURNING)
    if highest > 1:
        raise ValueError(
            "`baseline` and `uplift` must leave returning visitors a conversion rate of at most 1, which is "
            f"{2 / (1 + _RETURNING):.3f} times that of all. Received: baseline={baseline!r}, uplift={uplift!r}"
        )
    random = np.random.default_rng(seed)
    arm = np.where(random.random(visitors) < 0.5, "A", "B")
    day = np.sort(random.uniform(0, days, visitors))
    returning = random.random(visitors) < _RETURNING
    rate = np.where(arm == "A", rates["A"], rates["B"]) * np.where(returning, 2, 1) / (1 + _RETURNING)
    converted = random.random(visitors) < rate
    orders = random.lognormal(np.log(order_value) - _SPREAD**2 / 2, _SPREAD, visitors)
    revenues = {name: value * float(order_value) for name, value in rates.items()}
    return ABTestLog(arm, day, returning, converted, np.where(converted, orders, 0.0), rates, revenues)


@kplug.component(
    tasks=["tabular-classification", "tabular-regression", "density-estimation"],
    provides=["input_shape", "num_features", "feature_names", "num_classes", "class_names"],
)
def ab_test_log(
    num_samples: Annotated[int, Field(ge=10)] = 20000,
    target: Literal["converted", "revenue"] = "converted",
    baseline: Annotated[float, Field(gt=0, lt=1)] = 0.05,
    uplift: Annotated[float, Field(gt=-1)] = 0.1,
    order_value: Annotated[float, Field(gt=0)] = 40.0,
    validation_fraction: Fraction = 0.1,
    test_fraction: Fraction = 0.2,
    seed: Seed = 0,
) -> kplug.Dataset:
    """Log of an A/B test with planted conversion rates, as a table to learn from; needs no download.

    For the log itself, as `BetaBinomialTest.from_log` and `NormalTest.from_log` read it, see
    `kplug_bayes.simulate_ab_test`, which takes the same parameters.

    Args:
        num_samples: Number of visitors.
        target: What `y` is: `"converted"`, 0 or 1, or `"revenue"`, of each visitor.
        baseline: Conversion rate of arm A.
        uplift: By which share B's is higher, above -1.
        order_value: Expected value of an order.
        validation_fraction: Share of the samples outside the test split that becomes the validation split.
        test_fraction: Share of the samples that becomes the test split.
        seed: Seed of the visitors, and of the order in which they are split.

    Returns:
        A `kplug.Dataset` with the columns `arm` (0 for A, 1 for B), `returning` (0 or 1) and `day` (days since the
        test began), float32; `y` is int64 of shape `(samples,)`, or of `"revenue"` float32 of shape `(samples, 1)`.
        Its info has `input_shape`, `num_features` and `feature_names`, and for `"converted"` `num_classes` and
        `class_names`.

    Raises:
        ValueError: If a parameter is out of range.

    Example:

    >>> log = kplug_bayes.ab_test_log(num_samples=1000)
    >>> log.train[0].shape, log.info["feature_names"]
    ((720, 3), ('arm', 'returning', 'day'))
    """
    checked_count("num_samples", num_samples, least=10)
    check_choice("target", target, ("converted", "revenue"))
    sizes = split_sizes(num_samples, validation_fraction, test_fraction)
    log = simulate_ab_test(num_samples, baseline, uplift, order_value=order_value, seed=seed)
    names = ("arm", "returning", "day")
    x = np.stack([log.arm == "B", log.returning, log.day], axis=1).astype("float32")
    info: dict[str, object] = {"input_shape": (len(names),), "num_features": len(names), "feature_names": names}
    if target == "converted":
        y = log.converted.astype("int64")
        info |= {"num_classes": 2, "class_names": ("not converted", "converted")}
    else:
        y = log.revenue.astype("float32")[:, np.newaxis]
    order = np.random.default_rng([seed, 1]).permutation(num_samples)
    parts = np.split(order, np.cumsum(sizes)[:2])
    train, validation, test = ((x[part], y[part]) for part in parts)
    return kplug.Dataset(train, validation, test, info)
