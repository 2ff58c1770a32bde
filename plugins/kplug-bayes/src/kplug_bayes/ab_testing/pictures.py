"""The picture of an A/B test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kplug_bayes.ab_testing.ab_test import ABTest
from kplug_bayes.ab_testing.comparison import Comparison
from kplug_bayes.checked_numbers import check_number

_OUTERMOST = 1e-4
_ROOM = 1.25


def plot_ab_test(
    test: ABTest, path: str | Path | None = None, *, credibility: float = 0.95, threshold: float | None = None
) -> Figure:
    """Draw the posteriors of all arms, and of how much the others differ from the first, with credible intervals.

    Args:
        test: A `BetaBinomialTest` or a `NormalTest`.
        path: Where to save the picture, in the format of its suffix; `None` for nowhere.
        credibility: Probability of the intervals, which are highest-density ones.
        threshold: A threshold of caring; what the test decides at it stands above the picture.

    Returns:
        The figure.

    Raises:
        ValueError: If the credibility or the threshold is out of range.

    Example:

    ```python
    test = kplug_bayes.BetaBinomialTest([120, 150], [2400, 2380])
    kplug_bayes.plot_ab_test(test, "test.png", threshold=0.0005)
    ```
    """
    check_number("credibility", credibility, 0, 1, ends="()")
    figure = Figure(figsize=(11, 4), dpi=120, layout="constrained")
    arms, differences = figure.subplots(1, 2)
    for index, (name, arm) in enumerate(zip(test.names, test.posteriors, strict=True)):
        x = np.linspace(arm.quantile(_OUTERMOST), arm.quantile(1 - _OUTERMOST), 400)
        interval = arm.interval(credibility, "highest-density")
        _draw(arms, x, np.asarray(arm.pdf(x)), (interval.low, interval.high), f"C{index}", f"{name}: {interval}")
    arms.set(title="arms", xlabel="rate or mean", ylabel="posterior density")
    arms.legend(fontsize=8, title=f"{credibility:.4g} intervals")
    for index, name in enumerate(test.names[1:], start=1):
        comparison: Comparison = test.difference(name)
        x = np.linspace(comparison.quantile(_OUTERMOST), comparison.quantile(1 - _OUTERMOST), 400)
        interval = comparison.interval(credibility, "highest-density")
        better = 1 - float(comparison.cdf(0.0))
        label = f"{name} - {test.names[0]}: {interval}, above 0 with {better:.4f}"
        _draw(differences, x, np.asarray(comparison.pdf(x)), (interval.low, interval.high), f"C{index}", label)
    differences.axvline(0, color="0.6", linewidth=1, zorder=0)
    differences.set(title="difference", xlabel="difference")
    differences.legend(fontsize=8, title=f"{credibility:.4g} intervals", loc="upper right")
    for axes in (arms, differences):
        # Room for the legend above the curves.
        axes.set_ylim(0, _ROOM * axes.get_ylim()[1])
    if threshold is not None:
        figure.suptitle(str(test.decide(threshold)), fontsize=10)
    if path is not None:
        figure.savefig(path)
    return figure


def _draw(axes: Axes, x: np.ndarray, density: np.ndarray, ends: tuple[float, float], color: str, label: str) -> None:
    # A density that is infinite at the border goes out of the picture.
    density = np.where(np.isfinite(density), density, np.nan)
    axes.plot(x, density, color=color, label=label)
    inside = (x >= ends[0]) & (x <= ends[1])
    axes.fill_between(x, 0, density, where=inside, color=color, alpha=0.2)
