"""Environments of Gymnasium as data sets: what a policy for continuous actions learns from and is judged by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from kplug.catalog.facts import component
from kplug.datasets.dataset import Dataset
from kplug.datasets.limits import Seed, check_counts, check_seed

PositiveInt = Annotated[int, Field(gt=0)]

_TOWERS = (
    "Towers et al. (2024), Gymnasium: A Standard Interface for Reinforcement Learning Environments, "
    "https://arxiv.org/abs/2407.17032"
)
_PROVIDED = ["state_dim", "action_dim", "action_low", "action_high", "reward_threshold"]


@component(tasks=["continuous-control"], provides=_PROVIDED, references=[_TOWERS])
def gymnasium(
    environment: str = "Pendulum-v1",
    arguments: Mapping[str, Any] | None = None,
    max_episode_steps: PositiveInt | None = None,
    copies: PositiveInt = 1,
    steps_per_epoch: PositiveInt = 1000,
    steps_per_block: PositiveInt = 50,
    evaluation_episodes: PositiveInt = 10,
    test_episodes: PositiveInt = 20,
    seed: Seed = 0,
) -> Dataset:
    """A Gymnasium environment with continuous actions, by its id; needs the package gymnasium.

    The training split is the environment itself, in which a model acts while it learns; a batch is a block of steps
    between which it learns. Validation and test splits are whole episodes with seeds of their own, always the same,
    played with the deterministic policy: their metric is `return`, the mean over the episodes of the summed rewards.

    Args:
        environment: An id that is registered with Gymnasium (`"Pendulum-v1"`). Packages that declare environments for
            Gymnasium are found; register one of your own in a file with a data set function that calls this one.
        arguments: Keyword arguments of the environment.
        max_episode_steps: Steps after which an episode is cut off; by default the environment's own limit. One
            without any is cut off in the validation and test splits alone, after 1000 steps.
        copies: Copies that are stepped together, each with episodes of its own.
        steps_per_epoch: Environment steps of an epoch, all copies together.
        steps_per_block: Environment steps between which a model learns, and a run can stop.
        evaluation_episodes: Episodes of the validation split, after each epoch.
        test_episodes: Episodes of the test split.
        seed: What the seeds of all episodes follow from.

    Returns:
        A `kplug.Dataset` whose splits are `keras.utils.PyDataset`s: `x` holds numbers of environment steps in the
        training split, and of episodes in the others, int32 of shape `(steps_per_block,)` and `(episodes,)`; `y` the
        seeds that they follow from. Its info has `state_dim` and `action_dim`; `action_low` and `action_high`, lists
        of numbers, or `None` where actions have no bounds; and `reward_threshold`, the return that counts as solved, or
        `None`.

    Raises:
        DataError: If the environment is not known, lacks a package, or has actions or states that are no numbers.
        ValueError: If a parameter is out of range.

    References:
        Towers et al. (2024), Gymnasium: A Standard Interface for Reinforcement Learning Environments,
        https://arxiv.org/abs/2407.17032

    Example:

    ```python
    data = kplug.datasets.gymnasium("MountainCarContinuous-v0", copies=5)
    fitting = {name: data.info[name] for name in ("state_dim", "action_dim", "action_low", "action_high")}
    model = kplug.SoftActorCritic(**fitting)
    ```
    """
    if not isinstance(environment, str):
        raise ValueError(
            "`environment` must be an id, of which copies can be made; an environment of your own, or a wrapped one, "
            f"gets one by gymnasium.register(id, entry_point=...). Received: {environment!r}"
        )
    check_counts(
        1,
        copies=copies,
        steps_per_epoch=steps_per_epoch,
        steps_per_block=steps_per_block,
        evaluation_episodes=evaluation_episodes,
        test_episodes=test_episodes,
    )
    if max_episode_steps is not None:
        check_counts(1, max_episode_steps=max_episode_steps)
    check_seed(seed)
    for name, steps, of in (
        ("steps_per_block", steps_per_block, copies),
        ("steps_per_epoch", steps_per_epoch, steps_per_block),
    ):
        if steps % of:
            of_what = "copies" if name == "steps_per_block" else "steps_per_block"
            raise ValueError(f"`{name}` must be a multiple of {of_what}={of}. Received: {name}={steps}")
    # Keras, which the module of the splits needs, is imported by those who make one.
    from kplug.datasets.environment_recipe import EnvironmentRecipe
    from kplug.datasets.environment_steps import EnvironmentSteps, EvaluationEpisodes, episode_seeds

    recipe = EnvironmentRecipe(environment, dict(arguments or {}), max_episode_steps)
    facts = recipe.facts
    return Dataset(
        EnvironmentSteps(recipe, copies, steps_per_epoch, steps_per_block, seed),
        EvaluationEpisodes(recipe, episode_seeds(seed, "validation", evaluation_episodes)),
        EvaluationEpisodes(recipe, episode_seeds(seed, "test", test_episodes)),
        {name: getattr(facts, name) for name in _PROVIDED},
    )


@component(tasks=["continuous-control"], provides=_PROVIDED, references=[_TOWERS])
def pendulum(
    gravity: Annotated[float, Field(gt=0)] = 10.0,
    copies: PositiveInt = 1,
    steps_per_epoch: PositiveInt = 1000,
    steps_per_block: PositiveInt = 50,
    evaluation_episodes: PositiveInt = 10,
    test_episodes: PositiveInt = 20,
    seed: Seed = 0,
) -> Dataset:
    """The pendulum that is to be swung up and held there, with too weak a motor to lift it at once; needs gymnasium.

    Gymnasium's `Pendulum-v1`: states are cosine and sine of the angle and the angular velocity, the action is a torque
    between -2 and 2, an episode has 200 steps. Returns lie between about -1800 and 0; a good policy reaches -150.

    Args:
        gravity: Acceleration in m/s^2.
        copies: Copies that are stepped together, each with episodes of its own.
        steps_per_epoch: Environment steps of an epoch, all copies together.
        steps_per_block: Environment steps between which a model learns, and a run can stop.
        evaluation_episodes: Episodes of the validation split, after each epoch.
        test_episodes: Episodes of the test split.
        seed: What the seeds of all episodes follow from.

    Returns:
        A `kplug.Dataset` as `kplug.datasets.gymnasium` returns it.

    Raises:
        DataError: If the package gymnasium is missing.
        ValueError: If a parameter is out of range.

    References:
        Towers et al. (2024), Gymnasium: A Standard Interface for Reinforcement Learning Environments,
        https://arxiv.org/abs/2407.17032

    Example:

    ```python
    data = kplug.datasets.pendulum(copies=2)
    ```
    """
    return gymnasium(
        "Pendulum-v1",
        {"g": gravity},
        copies=copies,
        steps_per_epoch=steps_per_epoch,
        steps_per_block=steps_per_block,
        evaluation_episodes=evaluation_episodes,
        test_episodes=test_episodes,
        seed=seed,
    )
