"""Steps taken with the policy as it is now, to be learned from once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kplug.datasets.environment_copies import Step

_OF_STEP = ("states", "rewards", "next_states", "terminated", "done")
_FIELDS = (*_OF_STEP, "unsquashed", "log_density")


class Rollout:
    """Steps of all copies in the order in which they were taken."""

    def __init__(self) -> None:
        self._steps: dict[str, list[np.ndarray]] = {name: [] for name in _FIELDS}

    def __len__(self) -> int:
        return len(self._steps["rewards"])

    def add(self, step: Step, unsquashed: np.ndarray, log_density: np.ndarray) -> None:
        """Keep a step.

        Args:
            step: What it gave, its states as the networks saw them.
            unsquashed: The actions before squashing, of shape `(copies, action_dim)`.
            log_density: Their log-densities under the Gaussian that they were drawn from, of shape `(copies,)`.
        """
        for name in _OF_STEP:
            self._steps[name].append(getattr(step, name))
        self._steps["unsquashed"].append(unsquashed)
        self._steps["log_density"].append(log_density)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return each field as an array of shape `(steps, copies, ...)`, float32."""
        return {name: np.asarray(values, "float32") for name, values in self._steps.items()}

    def clear(self) -> None:
        """Forget all steps."""
        self.__init__()  # type: ignore[misc]

    def cut_off(self) -> None:
        """Take the episodes under way for cut off, where they are: what comes now is of others."""
        if len(self):
            self._steps["done"][-1] = np.ones_like(self._steps["done"][-1])

    def finished_episodes(self) -> int:
        """Return how many episodes have ended in the copy in which the fewest have."""
        return int(np.sum(self._steps["done"], axis=0).min()) if len(self) else 0

    def take_episodes(self, count: int) -> list[dict[str, np.ndarray]]:
        """Return the first episodes of each copy, each field of shape `(steps, ...)`, and forget all steps.

        As many of each copy: those that happen to have ended would be the short ones.

        Args:
            count: How many of each copy.
        """
        arrays = self.arrays()
        episodes = []
        for copy in range(arrays["done"].shape[1]):
            ends = np.flatnonzero(arrays["done"][:, copy])[:count] + 1
            for begin, end in zip([0, *ends], ends, strict=False):
                episodes.append({name: values[begin:end, copy] for name, values in arrays.items()})
        self.clear()
        return episodes

    def training_state(self) -> dict[str, Any]:
        """Return what `restore_training_state` takes back."""
        return {name: np.asarray(values) for name, values in self._steps.items()}

    def restore_training_state(self, state: Mapping[str, Any]) -> None:
        """Go on where another process stopped."""
        self._steps = {name: list(values) for name, values in state.items()}
