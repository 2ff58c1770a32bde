"""Several networks of one kind, trained from different beginnings."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import kplug
import numpy as np
from kplug.layers import derived_seeds

from kplug_bayes.checked_numbers import check_seed, checked_count
from kplug_bayes.prediction.monte_carlo_predictor import predict_distribution
from kplug_bayes.prediction.reseeding import reseeded

_RECORD = "ensemble.json"


class DeepEnsemble:
    """Several networks of one kind, trained from different beginnings; what they disagree about, they do not know.

    (Lakshminarayanan et al. 2017.) Members that end with an output layer, such as `IndependentNormal`, have their noise
    and their disagreement told apart by `predict_distribution`. No member need draw.

    Args:
        model: A built model that the members are made like, compiled or not; or a function that makes a member. With a
            parameter `seed` it is called with the member's seed; without one it is called without arguments, and all
            seeds in what it returns are replaced. What no optimizer trains, such as adapted statistics and frozen
            weights, the members take from the model.
        members: Number of members, at least 2.
        bootstrap: Whether each member is trained on a draw of the data, with replacement, of the data's size; it is the
            same draw at each `fit` of as many samples.
        seed: Whole number that makes beginnings and bootstraps repeat, or `None`.

    Raises:
        ValueError: If a parameter is out of range, or a member cannot be made.

    References:
        Lakshminarayanan et al. (2017), Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles,
        https://arxiv.org/abs/1612.01474

    Example:

    >>> layer = kplug_bayes.IndependentNormal(1)
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2), layer])
    >>> model.compile("adam", loss=layer.negative_log_likelihood)
    >>> ensemble = kplug_bayes.DeepEnsemble(model, members=3, seed=0)
    >>> histories = ensemble.fit(np.ones((8, 2), "float32"), np.ones((8, 1), "float32"), verbose=0)
    >>> ensemble.predict_distribution(np.zeros((4, 2), "float32")).epistemic_std.shape
    (4, 1)
    """

    def __init__(
        self,
        model: keras.Model | Callable[..., keras.Model],
        members: int = 5,
        bootstrap: bool = False,
        seed: int | None = None,
    ) -> None:
        if checked_count("members", members) < 2:
            raise ValueError(f"`members` must be at least 2. Received: members={members}")
        if seed is not None:
            check_seed(seed)
        self.bootstrap = bootstrap
        self.seed = seed
        self._entropy = int(np.random.SeedSequence(seed).generate_state(1)[0])
        seeds = [int(one) for one in derived_seeds(self._entropy, members) if one is not None]
        self.members: list[keras.Model] = [_member(model, one) for one in seeds]

    def fit(self, x: Any, y: Any = None, sample_weight: Any = None, **options: Any) -> list[Any]:
        """Train the members one after the other.

        Args:
            x: Samples as `keras.Model.fit` takes them; arrays for a bootstrap.
            y: Targets.
            sample_weight: Weights of the samples.
            **options: Further arguments of `fit` (`epochs`, `batch_size`, …).

        Returns:
            Keras' history of each member.

        Raises:
            ValueError: If a member is not compiled, or a bootstrap is asked for of what are no arrays or together with
                `validation_split`.
        """
        if self.bootstrap and options.get("validation_split"):
            raise ValueError(
                "With `bootstrap=True` the same samples would be in training and validation: split the data before, "
                f"and give `validation_data`. Received: validation_split={options['validation_split']}"
            )
        histories = []
        for number, member in enumerate(self.members):
            if not member.compiled:
                raise ValueError(
                    "Members must be compiled: compile the model before, or in the function that makes it. "
                    f"Received: member {number}, which is not compiled"
                )
            data = {"x": x, "y": y, "sample_weight": sample_weight}
            data = {name: part for name, part in data.items() if part is not None}
            histories.append(member.fit(**self._drawn(data, number), **options))
        return histories

    def _drawn(self, data: dict[str, Any], number: int) -> dict[str, Any]:
        if not self.bootstrap:
            return data
        arrays = keras.tree.flatten(data)
        if not all(isinstance(array, np.ndarray) for array in arrays):
            kinds = ", ".join(sorted({type(array).__name__ for array in arrays}))
            raise ValueError(f"`bootstrap=True` needs NumPy arrays: give those, or set it to False. Received: {kinds}")
        generator = np.random.default_rng([self._entropy, number])
        rows = generator.integers(len(arrays[0]), size=len(arrays[0]))
        drawn: dict[str, Any] = keras.tree.map_structure(lambda array: array[rows], data)
        return drawn

    def predict_distribution(self, x: Any, samples: int | None = None, **options: Any) -> Any:
        """Return the predictive distribution of all members together, as `kplug_bayes.predict_distribution` does.

        Args:
            x: Samples as the members take them.
            samples: Draws of each member.
            **options: Arguments of `MonteCarloPredictor`.
        """
        return predict_distribution(self, x, samples, **options)

    def save(self, path: str | Path) -> None:
        """Write the members, as `member_0.keras` and so on, and `ensemble.json` into a directory, which is made.

        Raises:
            ValueError: If the directory has another ensemble or other files.
        """
        directory = Path(path)
        if directory.exists() and any(directory.iterdir()):
            raise ValueError(f"`path` must be a new or an empty directory. Received: path={str(path)!r}")
        directory.mkdir(parents=True, exist_ok=True)
        for number, member in enumerate(self.members):
            member.save(directory / _name(number))
        record = {
            "members": len(self.members),
            "bootstrap": self.bootstrap,
            "seed": self.seed,
            "entropy": self._entropy,
        }
        (directory / _RECORD).write_text(json.dumps(record), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> DeepEnsemble:
        """Return the ensemble that was saved in a directory.

        Raises:
            ValueError: If there is none.
        """
        directory = Path(path)
        try:
            record = json.loads((directory / _RECORD).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise ValueError(
                f"`path` must be a directory that DeepEnsemble.save wrote. Received: path={str(path)!r}"
            ) from error
        ensemble = cls.__new__(cls)
        ensemble.bootstrap, ensemble.seed, ensemble._entropy = (
            record[name] for name in ("bootstrap", "seed", "entropy")
        )
        ensemble.members = [kplug.load_model(directory / _name(number)) for number in range(record["members"])]
        return ensemble


def _name(number: int) -> str:
    return f"member_{number}.keras"


def _member(model: Any, seed: int) -> keras.Model:
    if isinstance(model, keras.Model):
        return reseeded(model, seed)
    if not callable(model):
        raise ValueError(
            f"`model` must be a keras.Model, or a function that makes one. Received: model={type(model).__name__}"
        )
    seeded = _takes_a_seed(model)
    made = model(seed=seed) if seeded else model()
    if not isinstance(made, keras.Model):
        raise ValueError(
            f"The function given as `model` must return a keras.Model. Received: one that returns {type(made).__name__}"
        )
    return made if seeded else reseeded(made, seed)


def _takes_a_seed(make: Callable[..., keras.Model]) -> bool:
    """Say whether a function has a parameter `seed`, and refuse one that needs others."""
    parameters = inspect.signature(make).parameters.values()
    optional = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
    by_name = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
    seeded = any(one.name == "seed" and one.kind in by_name for one in parameters)
    needed = [one.name for one in parameters if one.default is one.empty and one.kind not in optional]
    others = [name for name in needed if not (name == "seed" and seeded)]
    if others:
        raise ValueError(
            "The function given as `model` is called with `seed` alone, or without arguments: give its other "
            f"parameters default values, or wrap it in a lambda. Received: one that needs {', '.join(others)}"
        )
    return seeded
