"""What algorithms share that learn in environments: acting, learning in blocks, evaluation, resuming, use."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from kplug.datasets.environment_copies import Step
from kplug.datasets.environment_steps import EnvironmentSteps, EvaluationEpisodes
from kplug.models.control.experience import Experience
from kplug.models.control.gradient_steps import FitSteps, compiled, for_fit
from kplug.models.control.logged_means import LoggedMeans
from kplug.models.control.normalization import Normalization
from kplug.models.control.numpy_network import NumpyActor
from kplug.models.control.policy import ContinuousPolicy
from kplug.models.own_loss import OwnLoss


class EnvironmentLearner(FitSteps, Normalization, OwnLoss):
    """A `keras.Model` that learns in an environment: what `fit` is given is a `kplug.datasets.EnvironmentSteps`.

    A member sets `policy` and `logged`, calls `_start` at the end of its constructor, and has

    - `losses(batch)`: the loss whose gradients train all its variables, and a dictionary of the numbers in `logged`;
    - `_explore(actor, states)`: actions for states, in training;
    - `_keep(steps, actor)`: takes in what a block gave;
    - `_batches()`: what is to be learned from now, `{name: (batches, batch_size, ...)}`, or `None`;
    - `_learns_when()`: after which steps that is, in words.

    Attributes:
        policy: The `kplug.ContinuousPolicy` that is trained.
        experience: Where it is in its environment, or `None` before `fit`.
    """

    policy: ContinuousPolicy
    experience: Any
    logged: tuple[str, ...] = ()
    discount: float
    seed: int | None
    max_gradient_norm: float | None = None

    def _start(self: Any) -> None:
        self.experience = None
        self._source: Any = None
        self._episodes: Any = None
        self._recording = False
        self._gradient_steps: Callable | None = None
        self._compiling: bool | str = "auto"
        self._means = LoggedMeans(self.logged)
        self._logged_last: dict[str, float] = {}
        self._lost_steps = False
        self._add_statistics()
        self.built = True

    def call(self, inputs: Any) -> Any:
        return self.policy.squashed(self.policy(inputs)[0])

    def act(self, state: Any, deterministic: bool = True) -> np.ndarray:
        """Return actions for states on NumPy, as `kplug.ContinuousPolicy.act` does."""
        return self.policy.act(state, deterministic)

    def as_keras_model(self) -> keras.Model:
        """Return the deterministic policy as a plain Keras model, as `kplug.ContinuousPolicy.as_keras_model` does."""
        return self.policy.as_keras_model()

    def compile(
        self: Any,
        optimizer: Any = "adam",
        loss: Any = None,
        metrics: Any = None,
        jit_compile: bool | str = "auto",
        **kwargs: Any,
    ) -> None:
        """Configure the training as `keras.Model.compile` does, without a loss and metrics: it has its own.

        Gradient steps are compiled, a block's together, so that `run_eagerly` and `steps_per_execution` say nothing.

        Raises:
            ValueError: If a loss or a metric is given.
        """
        if metrics:
            raise ValueError(f"{type(self).__name__} has metrics of its own. Received: metrics={metrics!r}")
        # Environments are stepped in Python; what is compiled are the gradient steps in between.
        kwargs |= {"run_eagerly": True, "jit_compile": False, "steps_per_execution": 1}
        super().compile(optimizer, loss, **kwargs)
        self._compiling = jit_compile
        self._gradient_steps = None
        if not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)

    def get_compile_config(self: Any) -> dict[str, Any]:
        return {**super().get_compile_config(), "jit_compile": self._compiling}

    def attach(self: Any, source: Any) -> None:
        """Enter an environment, at the beginning of an episode; `fit` does so where it has not been done.

        Args:
            source: A training split of `kplug.datasets.gymnasium` or `kplug.datasets.pendulum`.

        Raises:
            ValueError: If it is something else, or its states and actions are not those of the policy.
        """
        self._insist_on(EnvironmentSteps, source, "fit", "training")
        if self.experience is not None:
            self.experience.copies.close()
        seed = int(np.random.randint(2**31)) if self.seed is None else self.seed
        self._source = source
        self.experience = Experience(source, np.random.default_rng(seed), self.discount)
        self._read_statistics()
        self._forget()
        why = source.recipe.facts.not_restorable
        if why is not None:
            warnings.warn(
                f"The state of environment {source.recipe.id} cannot be kept in checkpoints ({why}): a resumed run "
                "goes on with fresh episodes.",
                stacklevel=2,
            )

    def check_data(self, x: Any) -> None:
        """Refuse what is no environment, or one of other states and actions than the policy's.

        Raises:
            ValueError: Saying what was expected.
        """
        name = type(self).__name__
        if not isinstance(x, EnvironmentSteps | EvaluationEpisodes):
            raise ValueError(
                f"{name} learns in environments: it needs the splits of kplug.datasets.gymnasium or "
                f"kplug.datasets.pendulum. Received: {type(x).__name__}"
            )
        facts, policy = x.recipe.facts, self.policy
        if (facts.state_dim, facts.action_dim) != (policy.state_dim, policy.action_dim):
            raise ValueError(
                f"{name} has state_dim={policy.state_dim} and action_dim={policy.action_dim}; environment "
                f"{x.recipe.id} has state_dim={facts.state_dim} and action_dim={facts.action_dim}"
            )
        bounds = (policy.action_low, policy.action_high) if policy.squash else (None, None)
        given = _as_tuple(facts.action_low), _as_tuple(facts.action_high)
        if bounds != given:
            raise ValueError(
                f"{name} has action_low={bounds[0]} and action_high={bounds[1]}; environment {x.recipe.id} has "
                f"{given[0]} and {given[1]}"
            )

    def _insist_in(self, method: str, environment: Any) -> None:
        if environment is None:
            raise ValueError(
                f"{type(self).__name__} learns in environments and is judged by them, not by batches: give `{method}` "
                "a split of kplug.datasets.gymnasium. Logged steps are learned from by kplug.ContinuousPolicy."
            )

    def _insist_on(self, kind: type, x: Any, use: str, splits: str) -> None:
        self.check_data(x)
        if not isinstance(x, kind):
            raise ValueError(
                f"`{use}` takes the {splits} split of an environment's data set. Received: {type(x).__name__}"
            )

    def fit(self: Any, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Learn in an environment as `keras.Model.fit` trains on data.

        Args:
            x: The training split of an environment's data set.
            y: Nothing.
            *args: As for `keras.Model.fit`.
            **kwargs: As for `keras.Model.fit`; `validation_data` may be the validation split.

        Raises:
            ValueError: If it is something else.
            DataError: If the environment gives NaN.
        """
        options = self.named_arguments(keras.Model.fit, x, y, args, kwargs)
        if options.get("validation_data") is not None:
            self._insist_on(EvaluationEpisodes, options["validation_data"], "validation_data", "validation or test")
        # The rest of an epoch, when a run is taken up in its middle, has the whole one in `batches`.
        source = getattr(x, "batches", x)
        if self._source is None or not self._source.is_like(source):
            self.attach(source)
        self._source = source
        _say_that_returns_are_better_higher(options.get("callbacks"))
        self._recording = True
        try:
            history = super().fit(**{**options, "x": for_fit(x), "shuffle": False})
        finally:
            self._recording = False
        if not int(self.optimizer.iterations):
            warnings.warn(
                f"{type(self).__name__} has learned nothing yet: it took {self.experience.steps} environment steps, "
                f"and learns {self._learns_when()}.",
                stacklevel=2,
            )
        return history

    def evaluate(self: Any, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Play the episodes of a validation or test split with the deterministic policy.

        Returns:
            As `keras.Model.evaluate`: the metrics `episode_length` (in steps), `return` (the mean of the episodes'
            returns) and `return_std` (their standard deviation), in that order.
        """
        self._insist_on(EvaluationEpisodes, x, "evaluate", "validation or test")
        self._episodes = x
        return super().evaluate(**self.named_arguments(keras.Model.evaluate, x, y, args, kwargs))

    def learn(self: Any, data: Any) -> dict[str, float]:
        """Take a block of environment steps, in one part or several, and learn behind each from what is there."""
        self._insist_in("fit", self.experience)
        count, experience = int(keras.utils.unpack_x_y_sample_weight(data)[0].shape[0]), self.experience
        part = self._part(count)
        learned = [self._go_on(min(part, count - begun)) for begun in range(0, count, part)]
        learned = [one for one in learned if one is not None]
        means = {name: float(np.mean([one[name] for one in learned])) for name in (self.logged if learned else ())}
        if learned:
            self._logged_last = self._means.result()
        recent = {"return": float(np.mean(experience.recent_returns))} if experience.recent_returns else {}
        experience.curves.append({"step": experience.steps, **recent, **means})
        # An epoch in which nothing was learned yet has the numbers of the one before.
        return {"environment_steps": float(experience.steps), **self._logged_last, **recent}

    def _go_on(self: Any, count: int) -> dict[str, float] | None:
        """Take environment steps, and learn; return the means of what is logged, or `None` if nothing was learned."""
        experience, actor = self.experience, self.policy.numpy_actor()
        if self._lost_steps:
            self._close_gap()
        # Whatever interrupts this (a keyboard, NaN), the steps of the block that were taken are lost.
        self._lost_steps = True
        steps, discounted = experience.take(count, lambda states: self._explore(actor, states))
        self._take_into_statistics(steps, discounted)
        self._keep(steps, actor)
        self._lost_steps = False
        batches = self._batches()
        return None if batches is None else self._descend(batches)

    def judge(self: Any, data: Any) -> dict[str, float]:
        """Play the evaluation's episodes."""
        del data
        self._insist_in("evaluate", self._episodes)
        actor = self.policy.numpy_actor()
        returns, lengths = self._episodes.play(lambda states: self.policy.squashed_numpy(actor(states)[0]))
        if self._recording:
            self.experience.evaluations.append({"step": self.experience.steps, "returns": returns.tolist()})
        return {
            "return": float(returns.mean()),
            "return_std": float(returns.std()),
            "episode_length": float(lengths.mean()),
        }

    def _descend(self: Any, batches: Mapping[str, np.ndarray]) -> dict[str, float]:
        if self._gradient_steps is None:
            self._gradient_steps = compiled(self, self._compiles())
        dtype = self.policy.precise_dtype
        means = self._gradient_steps({name: values.astype(dtype, copy=False) for name, values in batches.items()})
        means = {name: float(value) for name, value in means.items()}
        self._means.update_state(means, len(next(iter(batches.values()))))
        return means

    def _compiles(self) -> bool:
        # On TensorFlow a graph is as fast on a CPU, and there at once.
        if self._compiling == "auto":
            return keras.backend.backend() == "jax"
        return bool(self._compiling)

    def limited(self: Any, gradients: Any) -> Any:
        """Return gradients of a norm of `max_gradient_norm` at most, where there is such a limit.

        Args:
            gradients: Gradients of the loss as the optimizer has scaled it (in half precision).
        """
        if self.max_gradient_norm is None:
            return gradients
        norm = ops.sqrt(sum(ops.sum(ops.square(ops.cast(one, "float32"))) for one in gradients))
        factor = ops.minimum(1.0, self.optimizer.scale_loss(self.max_gradient_norm) / (norm + 1e-6))
        return [one * ops.cast(factor, one.dtype) for one in gradients]

    def end_step(self) -> None:
        """Follow up a gradient step, inside the compiled loop."""

    def training_state(self: Any) -> dict[str, Any] | None:
        """Return what a checkpoint keeps besides the variables: where the model is in its environment."""
        if self.experience is None:
            return None
        return {
            "experience": self.experience.training_state(),
            "statistics": self._state_of_statistics(),
            "logged": self._logged_last,
            "own": self._own_state(),
        }

    def restore_training_state(self: Any, state: Mapping[str, Any] | None) -> None:
        """Go on where another process stopped."""
        if state is None:
            return
        self._lost_steps = not self.experience.restore_training_state(state["experience"])
        self._restore_statistics(state["statistics"])
        self._logged_last = state["logged"]
        self._restore_own_state(state["own"])

    def write_artifacts(self, directory: str | Path, dataset: Any) -> None:
        """Leave pictures of the training and of the policy, and one episode as an animation.

        Args:
            directory: An existing directory.
            dataset: An environment's data set.
        """
        from kplug.models.control.control_pictures import write_pictures

        write_pictures(self, Path(directory), dataset)

    def get_config(self: Any) -> dict[str, Any]:
        policy = self.policy
        return {
            **super().get_config(),
            "state_dim": policy.state_dim,
            "action_dim": policy.action_dim,
            "action_low": None if policy.action_low is None else list(policy.action_low),
            "action_high": None if policy.action_high is None else list(policy.action_high),
            "units": list(self.units),
            "discount": self.discount,
            "normalize_observations": self.normalize_observations,
            "normalize_rewards": self.normalize_rewards,
            "seed": self.seed,
        }

    def _forget(self) -> None:
        """Begin without steps to learn from."""

    def _part(self, block: int) -> int:
        """Return after how many environment steps of a block to learn, a multiple of the copies."""
        return block

    def _explore(self, actor: NumpyActor, states: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def _keep(self, steps: Sequence[Step], actor: NumpyActor) -> None:
        raise NotImplementedError

    def _close_gap(self) -> None:
        """See to it that the steps from now on are not taken for those that follow the ones before."""

    def _batches(self) -> dict[str, np.ndarray] | None:
        raise NotImplementedError

    def _learns_when(self) -> str:
        raise NotImplementedError

    def _own_state(self) -> dict[str, Any]:
        raise NotImplementedError

    def _restore_own_state(self, state: Mapping[str, Any]) -> None:
        raise NotImplementedError


def _say_that_returns_are_better_higher(callbacks: Any) -> None:
    """Set the mode of callbacks that watch a return: of a metric that is no `keras.Metric` Keras cannot tell it."""
    given = getattr(callbacks, "callbacks", callbacks)
    for callback in given if isinstance(given, list | tuple) else [given]:
        if getattr(callback, "monitor", None) in {"return", "val_return"} and getattr(callback, "mode", "") == "auto":
            callback.mode = "max"


def _as_tuple(bounds: Sequence[float] | None) -> tuple[float, ...] | None:
    return None if bounds is None else tuple(np.asarray(bounds, "float32").tolist())
