"""How an environment is made, what it is like, and which cannot be used."""

from __future__ import annotations

import contextlib
import difflib
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from kplug.datasets.environment_state import NotRestorableError, restore_state, state_of
from kplug.errors import DataError

_UNLIMITED_EPISODE_STEPS = 1000
_TRIAL_STEPS = 50


@dataclass(frozen=True)
class EnvironmentFacts:
    """What an environment is like.

    Attributes:
        state_dim: Numbers in a state.
        action_dim: Numbers in an action.
        action_low: Their lower bounds, or `None` if there are none.
        action_high: Their upper bounds, or `None`.
        reward_threshold: The return that counts as solved, or `None`.
        episode_steps: Steps after which an episode is cut off, or `None`.
        not_restorable: Why its state cannot be kept in a checkpoint, or `None` if it can.
    """

    state_dim: int
    action_dim: int
    action_low: list[float] | None
    action_high: list[float] | None
    reward_threshold: float | None
    episode_steps: int | None
    not_restorable: str | None


@dataclass(frozen=True)
class EnvironmentRecipe:
    """How an environment is made.

    Attributes:
        id: Its id, as it is registered with Gymnasium.
        arguments: Its keyword arguments.
        max_episode_steps: Steps after which an episode is cut off, or `None` for its own limit.
    """

    id: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    max_episode_steps: int | None = None

    def make(self, **more: Any) -> Any:
        """Return the `gymnasium.Env`, with further keyword arguments (`render_mode`).

        Raises:
            DataError: If it cannot be made.
        """
        gymnasium = _package()
        if ":" in self.id:
            raise DataError(
                f"environment {self.id!r} names a module to import, which a data set's parameter must not. Register "
                "the environment in a file of your own with a function that returns kplug.datasets.gymnasium(...), and "
                "name that: --data FILE.py:FUNCTION"
            )
        limit = {} if self.max_episode_steps is None else {"max_episode_steps": self.max_episode_steps}
        try:
            return gymnasium.make(self.id, disable_env_checker=True, **limit, **{**self.arguments, **more})
        except (gymnasium.error.DependencyNotInstalled, ImportError) as error:
            raise DataError(f"environment {self.id} needs a package that is missing: {error}") from error
        except gymnasium.error.UnregisteredEnv as error:
            raise DataError(f"There is no environment {self.id!r}{_suggestions(self.id)}") from error
        except gymnasium.error.Error as error:
            raise DataError(f"environment {self.id!r} cannot be made: {error}") from error
        except (TypeError, ValueError) as error:
            given = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
            raise DataError(f"environment {self.id} refuses its arguments ({given}): {error}") from error

    @cached_property
    def facts(self) -> EnvironmentFacts:
        """What the environment is like; it is made to find out.

        Raises:
            DataError: If it cannot be made, or its states or actions are not numbers.
        """
        environment = self.make()
        try:
            low, high = self._action_bounds(environment.action_space)
            state_dim = self._state_dim(environment.observation_space)
            self._try(environment, state_dim)
            return EnvironmentFacts(
                state_dim=state_dim,
                action_dim=int(np.prod(environment.action_space.shape)),
                action_low=low,
                action_high=high,
                reward_threshold=getattr(environment.spec, "reward_threshold", None),
                episode_steps=getattr(environment.spec, "max_episode_steps", None),
                not_restorable=_why_not_restorable(environment, self.make),
            )
        finally:
            environment.close()

    @property
    def most_episode_steps(self) -> int:
        """Steps after which an evaluation episode is cut off at the latest."""
        return self.facts.episode_steps or _UNLIMITED_EPISODE_STEPS

    def _action_bounds(self, space: Any) -> tuple[list[float] | None, list[float] | None]:
        box = _package().spaces.Box
        if not isinstance(space, box) or space.dtype.kind != "f":
            raise DataError(
                f"environment {self.id} has the actions {space}; policies for continuous control need a Box of "
                "floating-point numbers. Choose an environment with continuous actions "
                "(Pendulum-v1, MountainCarContinuous-v0, ...)."
            )
        low, high = np.ravel(space.low).astype("float64"), np.ravel(space.high).astype("float64")
        # Bounds that are further apart than float32 can tell (its own largest numbers, say) bound nothing.
        bounded = np.isfinite(low) & np.isfinite(high)
        boundless = bounded & (high - low > np.finfo("float32").max)
        low, high, bounded = np.where(boundless, -np.inf, low), np.where(boundless, np.inf, high), bounded & ~boundless
        if bounded.all():
            return low.tolist(), high.tolist()
        if bounded.any() or np.isfinite(low).any() or np.isfinite(high).any():
            raise DataError(
                f"environment {self.id} has actions of which some are bounded and others not: {space}. Wrap it so that "
                "all are, or none."
            )
        return None, None

    def _state_dim(self, space: Any) -> int:
        spaces = _package().spaces
        flat = spaces.flatten_space(space) if space.is_np_flattenable else None
        if not isinstance(flat, spaces.Box):
            raise DataError(f"environment {self.id} has the states {space}, which cannot be laid out as one vector.")
        if isinstance(space, spaces.Box) and len(space.shape) > 2:
            raise DataError(
                f"environment {self.id} has pictures as its states: {space}. The policies here are dense networks on "
                "vectors. Register it wrapped, with what is to be known of a picture as a vector."
            )
        return int(flat.shape[0])

    def _try(self, environment: Any, state_dim: int) -> None:
        """Refuse an environment that fails in its first step, or whose states are not those that it declares."""
        space = environment.observation_space
        environment.action_space.seed(0)
        try:
            state, _ = environment.reset(seed=0)
            next_state, reward, _, _, _ = environment.step(environment.action_space.sample())
            sizes = [len(_flat(environment, one)) for one in (state, next_state)]
            float(reward)
        except Exception as error:
            raise DataError(
                f"environment {self.id} fails in its first step: {type(error).__name__}: {error}. `reset` must return "
                "(state, info), and `step` (state, reward, terminated, truncated, info); "
                "gymnasium.utils.env_checker.check_env looks closer."
            ) from error
        if sizes != [state_dim] * 2:
            raise DataError(
                f"environment {self.id} gave states of {sizes[0]} and {sizes[1]} numbers, and says that they are "
                f"{space}."
            )


def _package() -> Any:
    try:
        import gymnasium
    except ImportError as error:
        raise DataError(
            "Environments need the package gymnasium, which is not installed: pip install 'kplug[control]'"
        ) from error
    return gymnasium


def _suggestions(name: str) -> str:
    close = difflib.get_close_matches(name, list(_package().registry), n=3, cutoff=0.5)
    return f". Did you mean {' or '.join(map(repr, close))}?" if close else "; `gymnasium.registry` lists them."


def _why_not_restorable(environment: Any, make: Callable[[], Any]) -> str | None:
    """Return why an environment's state cannot be kept, after trying it out in another one; `None` if it can."""
    environment.action_space.seed(0)
    actions = [environment.action_space.sample() for _ in range(_TRIAL_STEPS)]
    trial = [*actions, None, *actions[:3]]
    try:
        environment.reset(seed=0)
        list(_played(environment, trial[-5:]))
        state = state_of(environment)
        shared = random.getstate(), np.random.get_state()
        going_on = list(_played(environment, trial))
        with contextlib.closing(make()) as other:
            other.reset(seed=1)
            restore_state(other, state)
            # Checkpoints put back these two as well.
            random.setstate(shared[0])
            np.random.set_state(shared[1])
            restored = _played(other, trial)
            same = all(np.array_equal(*pair, equal_nan=True) for pair in zip(going_on, restored, strict=True))
    except NotRestorableError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - half a state may break an environment's code anywhere
        return f"it fails when that is tried: {error}"
    return None if same else "its next state does not follow from its attributes"


def _played(environment: Any, actions: Sequence[Any]) -> Iterator[np.ndarray]:
    """Take steps, and begin anew where an episode ends or the action is `None`; yield what each gave, flat."""
    for action in actions:
        over = action is None
        if not over:
            observation, reward, terminated, truncated, _ = environment.step(action)
            yield np.concatenate([_flat(environment, observation), np.ravel(reward), [terminated, truncated]])
            over = terminated or truncated
        if over:
            yield _flat(environment, environment.reset()[0])


def _flat(environment: Any, observation: Any) -> np.ndarray:
    return _package().spaces.flatten(environment.observation_space, observation)
