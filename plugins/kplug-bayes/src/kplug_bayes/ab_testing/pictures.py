"""The picture of an A/B test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kplug_bayes.ab_testing.ab_test import ABTest
from kplug_bayes.ab_testing.intervals import Continuous, Interval
from kplug_bayes.checked_numbers import check_number

_OUTERMOST = 1e-4
_ROOM = 1.3


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
        interval = arm.interval(credibility, "highest-density")
        _draw(arms, arm, interval, f"C{index}", f"{name}: {interval}")
    arms.set(title="arms", xlabel=test.metric, ylabel="posterior density")
    for index, name in enumerate(test.names[1:], start=1):
        comparison = test.difference(name)
        interval = comparison.interval(credibility, "highest-density")
        better = 1 - float(comparison.cdf(0.0))
        label = f"{name} - {test.names[0]}: {interval}, above 0 with {better:.4f}"
        _draw(differences, comparison, interval, f"C{index}", label)
    differences.axvline(0, color="0.6", linewidth=1, zorder=0)
    differences.set(title="difference", xlabel=f"difference of {test.metric}s")
    for axes in (arms, differences):
        axes.legend(fontsize=8, title=f"{credibility:.4g} highest-density intervals", loc="upper right")
    if threshold is not None:
        figure.suptitle(str(test.decide(threshold)), fontsize=10)
    if path is not None:
        figure.savefig(path)
    return figure


def _draw(axes: Axes, distribution: Continuous, interval: Interval, color: str, label: str) -> None:
    x = np.linspace(distribution.quantile(_OUTERMOST), distribution.quantile(1 - _OUTERMOST), 400)
    density = np.asarray(distribution.pdf(x))
    axes.plot(x, density, color=color, label=label)
    inside = (x >= interval.low) & (x <= interval.high)
    axes.fill_between(x, 0, density, where=inside, color=color, alpha=0.2)
    # A density that is infinite at a border goes out of the picture; the legend has room above the others.
    middle = np.linspace(distribution.quantile(0.1), distribution.quantile(0.9), 200)
    height = _ROOM * float(np.max(distribution.pdf(middle)))
    axes.set_ylim(0, max(height, axes.get_ylim()[1] if len(axes.lines) > 1 else 0.0))
