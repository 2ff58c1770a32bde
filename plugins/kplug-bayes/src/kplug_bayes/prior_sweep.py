"""What a test says over all priors, as a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from kplug_bayes.bayes_theorem import posterior_from_rates
from kplug_bayes.checked_numbers import check_number


def plot_prior_sweep(
    sensitivity: float,
    false_positive_rate: float,
    path: str | Path | None = None,
    *,
    lowest_prior: float = 1e-6,
    prior: float | None = None,
) -> Figure:
    """Draw the posterior after a positive and after a negative test over the prior, which has a logarithmic axis.

    Args:
        sensitivity: Probability of a positive test with the condition, above 0 and at most 1.
        false_positive_rate: Probability of a positive test without it, at least 0 and below 1.
        path: Where to save the picture, in the format of its suffix; `None` for nowhere.
        lowest_prior: Where the axis begins; it ends at 1.
        prior: A prior to mark; its two posteriors stand in the legend.

    Returns:
        The figure.

    Raises:
        ValueError: If a number is out of range.

    Example:

    ```python
    kplug_bayes.plot_prior_sweep(0.9, 0.05, "sweep.png", prior=0.01)
    ```
    """
    check_number("sensitivity", sensitivity, 0, 1, ends="(]")
    check_number("false_positive_rate", false_positive_rate, 0, 1, ends="[)")
    check_number("lowest_prior", lowest_prior, 0, 1, ends="()")
    if prior is not None:
        check_number("prior", prior, lowest_prior, 1)
    # Close to 1 the posterior still changes, and the axis must have points there.
    priors = np.unique(np.concatenate([np.geomspace(lowest_prior, 1.0, 400), np.linspace(lowest_prior, 1.0, 400)]))
    figure = Figure(figsize=(7, 4), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    for positive, color in ((True, "C3"), (False, "C0")):
        label = f"after a {'positive' if positive else 'negative'} test"
        if prior is not None:
            after = float(posterior_from_rates(prior, sensitivity, false_positive_rate, positive))
            label += f": {after:.3g} at the prior {prior:g}"
            axes.plot([prior], [after], "o", color=color)
        # Where the prior is 1 and the test never fails, there is no negative one.
        shown = priors if positive or sensitivity < 1 else priors[:-1]
        values = posterior_from_rates(shown, sensitivity, false_positive_rate, positive)
        axes.plot(shown, values, color=color, label=label)
    axes.plot(priors, priors, color="0.6", linestyle=":", label="without a test")
    even = false_positive_rate / (sensitivity + false_positive_rate)
    if even >= lowest_prior:
        axes.axvline(even, color="0.8", linewidth=1, zorder=0, label=f"even odds after a positive test: {even:.2g}")
    axes.set(
        xscale="log",
        xlim=(lowest_prior, 1),
        ylim=(0, 1),
        xlabel="prior probability",
        ylabel="posterior probability",
        title=f"sensitivity {sensitivity:g}, false positive rate {false_positive_rate:g}",
    )
    axes.legend(fontsize=8, loc="upper left")
    if path is not None:
        figure.savefig(path)
    return figure
