"""Integrals over several arms, in pieces that are small beside each arm's spread."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kplug_bayes.ab_testing.arm_posteriors import LONGEST_PIECE, ArmPosterior, BetaPosterior

_ROUGH = np.polynomial.legendre.leggauss(8)
_FINE = np.polynomial.legendre.leggauss(16)


def pieces(breakpoints: np.ndarray, fine: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights of Gauss-Legendre quadrature between each two breakpoints.

    Args:
        breakpoints: Places of shape `(..., count)`, in any order.
        fine: Whether each piece has 16 nodes in place of 8.

    Returns:
        Nodes and weights, each of shape `(..., nodes)`.
    """
    nodes, weights = _FINE if fine else _ROUGH
    breakpoints = np.sort(breakpoints, axis=-1)
    middle = (breakpoints[..., 1:] + breakpoints[..., :-1])[..., np.newaxis] / 2
    half = (breakpoints[..., 1:] - breakpoints[..., :-1])[..., np.newaxis] / 2
    shape = (*breakpoints.shape[:-1], -1)
    return (middle + half * nodes).reshape(shape), (half * weights).reshape(shape)


def best_and_losses(arms: Sequence[ArmPosterior]) -> tuple[np.ndarray, np.ndarray]:
    """Return for each arm the probability that it is best, and what choosing it is expected to lose.

    With F the distribution functions and f the densities, arm k is best with probability `E_k[prod F_j]` over the
    others j, and loses `E[max(max_j x_j - x_k, 0)] = integral of F_k (1 - prod F_j)`.

    Args:
        arms: Independent posteriors of one family.

    Returns:
        Two arrays of shape `(arms,)`; the loss has the arms' unit.
    """
    breakpoints = np.unique(np.concatenate([arm.line_quantiles() for arm in arms]))
    if isinstance(arms[0], BetaPosterior):
        steps = np.ceil(np.diff(breakpoints) / LONGEST_PIECE).astype(int)
        neighbours = zip(breakpoints[:-1], breakpoints[1:], steps, strict=True)
        cuts = [np.linspace(low, high, count, endpoint=False) for low, high, count in neighbours]
        breakpoints = np.concatenate([*cuts, breakpoints[-1:]])
    line, weights = pieces(breakpoints, fine=True)
    _, slope = arms[0].from_line(line)
    tails = [arm.line_tails(line) for arm in arms]
    with np.errstate(divide="ignore"):
        logs = [np.log1p(-np.minimum(above, 1.0)) for _, above in tails]
    best, losses = np.zeros(len(arms)), np.zeros(len(arms))
    for index, arm in enumerate(arms):
        others = sum(log for other, log in enumerate(logs) if other != index)
        best[index] = weights @ (arm.line_pdf(line) * np.exp(others))
        losses[index] = weights @ (tails[index][0] * -np.expm1(others) * slope)
    # They sum to 1 but for rounding.
    return np.clip(best, 0, 1), np.maximum(losses, 0)
