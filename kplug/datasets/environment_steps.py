"""The splits of an environment's data set: steps to act in and learn from, and episodes to be judged by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from kplug.datasets.environment_copies import EnvironmentCopies
from kplug.datasets.environment_recipe import EnvironmentRecipe

_SPLITS = ("train", "validation", "test")


def episode_seeds(seed: int, split: str, count: int) -> np.ndarray:
    """Return seeds for episodes of one split, int32 of shape `(count,)`; no other split has the same ones by design."""
    return (np.random.SeedSequence((seed, _SPLITS.index(split))).generate_state(count) >> 1).astype("int32")


class EnvironmentSteps(keras.utils.PyDataset):
    """Steps of an environment, in blocks: a model takes a block's steps with its policy, and learns from them.

    What it yields are the steps' numbers and the seed; the steps themselves are the model's to take, in `copies()`.

    Args:
        recipe: How the environment is made.
        copies: Copies that are stepped together.
        steps: Environment steps of an epoch; a multiple of `block`.
        block: Environment steps of a batch; a multiple of `copies`.
        seed: What the seeds of the copies follow from.

    Attributes:
        recipe: How the environment is made.
        block: Environment steps of a batch.
        number_of_copies: Copies that are stepped together.
        seed: The seed.
    """

    def __init__(self, recipe: EnvironmentRecipe, copies: int, steps: int, block: int, seed: int) -> None:
        super().__init__()
        self.recipe = recipe
        self.block = block
        self.seed = seed
        self.number_of_copies = copies
        self._steps = steps

    def __len__(self) -> int:
        return self._steps // self.block

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        numbers = np.arange(index * self.block, (index + 1) * self.block, dtype="int32")
        return numbers, np.full(self.block, self.seed, dtype="int32")

    def is_like(self, other: Any) -> bool:
        """Say whether another data set is the same copies of the same environment, in epochs or blocks of any size."""
        return isinstance(other, EnvironmentSteps) and all(
            getattr(self, name) == getattr(other, name) for name in ("recipe", "number_of_copies", "seed")
        )

    def copies(self, seeds: Sequence[int] | None = None) -> EnvironmentCopies:
        """Return new copies of the environment, at the beginning of their first episodes.

        Args:
            seeds: The episodes' seeds; by default those that follow from the data set's seed.
        """
        seeds = episode_seeds(self.seed, "train", self.number_of_copies).tolist() if seeds is None else seeds
        return EnvironmentCopies(self.recipe, seeds)


class EvaluationEpisodes(keras.utils.PyDataset):
    """Whole episodes with seeds of their own, to judge a policy by: all in one batch of their numbers and seeds.

    Args:
        recipe: How the environment is made.
        seeds: The episodes' seeds, of shape `(episodes,)`.

    Attributes:
        recipe: How the environment is made.
        seeds: The seeds.
    """

    def __init__(self, recipe: EnvironmentRecipe, seeds: Any) -> None:
        super().__init__()
        self.recipe = recipe
        self.seeds = np.asarray(seeds, dtype="int32")

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return np.arange(len(self.seeds), dtype="int32"), self.seeds

    def play(self, act: Any) -> tuple[np.ndarray, np.ndarray]:
        """Play the episodes through, side by side.

        Args:
            act: Returns actions of shape `(episodes, action_dim)` for states of shape `(episodes, state_dim)`.

        Returns:
            The returns (sums of rewards) of the episodes, and their lengths in steps, each of shape `(episodes,)`.

        Raises:
            DataError: If the environment gives NaN.
        """
        copies = EnvironmentCopies(self.recipe, self.seeds.tolist())
        returns, lengths = np.zeros(len(self.seeds)), np.zeros(len(self.seeds), int)
        running = np.ones(len(self.seeds), bool)
        try:
            for _ in range(self.recipe.most_episode_steps):
                step = copies.step(act(copies.states), reset=False, among=running)
                returns += step.rewards
                lengths += running
                running &= ~step.done
                if not running.any():
                    break
        finally:
            copies.close()
        return returns, lengths
