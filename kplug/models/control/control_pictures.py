"""The pictures that an algorithm for environments leaves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from kplug.datasets.environment_copies import EnvironmentCopies
from kplug.models.control.episode_animation import write_animation

_CURVES = {
    "critic_value": "value of states, by the critic",
    "entropy": "entropy, in nats",
    "temperature": "temperature",
}
_SHOWN_EPISODES = 4
_MOST_ACTIONS = 3


def write_pictures(model: Any, directory: Path, dataset: Any) -> None:
    """Write `returns.png`, `learning.png`, `actions.png` and `episode.gif`.

    Args:
        model: A model that has learned in an environment; without a history (one that was loaded) the first two are
            left out.
        directory: An existing directory.
        dataset: An environment's data set.
    """
    experience = model.experience
    if experience is not None and experience.curves:
        return_curve(experience.curves, experience.evaluations).savefig(directory / "returns.png")
        learned = [one for one in experience.curves if not _CURVES.keys().isdisjoint(one)]
        if learned:
            learning_curves(learned).savefig(directory / "learning.png")
    episodes = next(split for split in (dataset.test, dataset.validation) if split is not None)
    states = _visited_states(model, episodes)
    action_distribution(model, states).savefig(directory / "actions.png")
    write_animation(model, episodes.recipe, int(episodes.seeds[0]), directory / "episode.gif")


def return_curve(curves: Sequence[dict[str, float]], evaluations: Sequence[dict[str, Any]]) -> Figure:
    """Return the returns over environment steps: of training episodes, and of evaluations with their spread."""
    figure = Figure(figsize=(7, 4), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    training = [(one["step"], one["return"]) for one in curves if "return" in one]
    if training:
        axes.plot(*zip(*training, strict=True), color="0.6", linewidth=1, label="last 20 training episodes, mean")
    if evaluations:
        steps = [one["step"] for one in evaluations]
        low, high = np.transpose([np.quantile(one["returns"], [0.1, 0.9]) for one in evaluations])
        mean = [np.mean(one["returns"]) for one in evaluations]
        axes.fill_between(steps, low, high, alpha=0.25, label="evaluation episodes, tenth to nine tenths")
        axes.plot(steps, mean, marker=".", label="evaluation episodes, mean")
    axes.set(title="Return", xlabel="environment steps", ylabel="sum of rewards")
    if training or evaluations:
        axes.legend(fontsize=8)
    return figure


def learning_curves(curves: Sequence[dict[str, float]]) -> Figure:
    """Return one panel for each of critic value, entropy and temperature that is in the records."""
    names = [name for name in _CURVES if name in curves[-1]]
    figure = Figure(figsize=(7, 2.2 * len(names)), dpi=120, layout="constrained")
    for name, axes in zip(names, figure.subplots(len(names), 1, squeeze=False, sharex=True).flat, strict=True):
        axes.plot([one["step"] for one in curves], [one[name] for one in curves])
        axes.set_ylabel(_CURVES[name], fontsize=8)
    axes.set_xlabel("environment steps")
    return figure


def action_distribution(model: Any, states: np.ndarray) -> Figure:
    """Return the policy over states: the deterministic action and the spread of draws, on two main directions.

    Args:
        model: Has a `policy`.
        states: States of shape `(n, state_dim)`.
    """
    policy = model.policy
    mean, log_std = policy.numpy_actor()(states)
    # The same noise in all states: differences in the spread are the policy's.
    noise = np.random.default_rng(0).standard_normal((200, 1, policy.action_dim))
    draws = policy.squashed_numpy(mean + np.exp(log_std) * noise)
    actions, spread = policy.squashed_numpy(mean), draws.std(axis=0)
    x, y, labels = _two_directions(states)
    rows = min(policy.action_dim, _MOST_ACTIONS)
    figure = Figure(figsize=(10, 2.8 * rows), dpi=120, layout="constrained")
    for action, panels in enumerate(figure.subplots(rows, 3, squeeze=False)):
        for axes, values, title in zip(panels, (actions, spread), ("deterministic", "spread of draws"), strict=False):
            bounds = (policy.action_low[action], policy.action_high[action]) if policy.squash else (None, None)
            least, most = bounds if values is actions else (0.0, None)
            points = axes.scatter(x, y, c=values[:, action], s=6, cmap="viridis", vmin=least, vmax=most)
            axes.set(title=f"action {action}: {title}", xlabel=labels[0], ylabel=labels[1])
            figure.colorbar(
                points, ax=axes, label="action" if values is actions else "standard deviation of the action"
            )
        panels[2].hist(draws[..., action].reshape(-1), bins=40, density=True)
        panels[2].set(title=f"action {action}: draws", xlabel="action", ylabel="density")
    return figure


def _two_directions(states: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple[str, str]]:
    """Return two coordinates for states, and what to call them: their own two, or principal components."""
    if states.shape[1] == 1:
        return states[:, 0], np.zeros(len(states)), ("state 0", "")
    if states.shape[1] == 2:
        return states[:, 0], states[:, 1], ("state 0", "state 1")
    centred = (states - states.mean(axis=0)) / (states.std(axis=0) + 1e-8)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    flat = centred @ directions[:2].T
    return flat[:, 0], flat[:, 1], ("states, first principal component", "second principal component")


def _visited_states(model: Any, episodes: Any) -> np.ndarray:
    """Return the states of a few episodes, in which draws of the policy act."""
    copies = EnvironmentCopies(episodes.recipe, episodes.seeds[:_SHOWN_EPISODES].tolist())
    actor, generator, visited = model.policy.numpy_actor(), np.random.default_rng(0), []
    try:
        for _ in range(episodes.recipe.most_episode_steps):
            visited.append(copies.states)
            mean, log_std = actor(copies.states)
            noise = generator.standard_normal(mean.shape)
            copies.step(model.policy.squashed_numpy(mean + np.exp(log_std) * noise))
    finally:
        copies.close()
    return np.concatenate(visited)
