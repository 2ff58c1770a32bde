"""What models of variational layers share: the weight of the KL divergence, known once the data are."""

from __future__ import annotations

import inspect
import math
from typing import Any

import keras
import numpy as np
from keras import ops

from kplug_bayes.checked_arrays import as_array
from kplug_bayes.checked_numbers import check_number
from kplug_bayes.prediction.monte_carlo_predictor import MonteCarloPredictor
from kplug_bayes.strategy_scope import strategy_scope
from kplug_bayes.variational.variational_layer import VariationalLayer


class BayesianModel(keras.Model):
    """A stack of layers of which some are variational, with the KL divergence weighted by the size of the data.

    A subclass puts its layers on the stack in `build`, by `append`.

    Args:
        kl_weight: What the KL divergence is multiplied by in the loss, at least 0; `None` for `kl_scale` / number of
            training samples, by `adapt`.
        kl_scale: Share of the KL divergence that counts, at least 0; 1 gives the evidence lower bound.
        kl_warmup_steps: Steps of training over which that weight grows from 0, at least 0.
        **kwargs: Keras' own model arguments (`name`, `dtype`, …).

    Raises:
        ValueError: If a parameter is out of range.
    """

    def __init__(
        self, kl_weight: float | None = None, kl_scale: float = 1.0, kl_warmup_steps: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if kl_weight is not None and not 0 <= kl_weight < math.inf:
            raise ValueError(
                "`kl_weight` must be at least 0, or None for kl_scale / number of training samples. "
                f"Received: kl_weight={kl_weight}"
            )
        check_number("kl_scale", kl_scale, 0)
        if isinstance(kl_warmup_steps, bool) or int(kl_warmup_steps) != kl_warmup_steps or kl_warmup_steps < 0:
            raise ValueError(
                f"`kl_warmup_steps` must be a whole number of at least 0. Received: kl_warmup_steps={kl_warmup_steps}"
            )
        self.kl_weight = kl_weight
        self.kl_scale = kl_scale
        self.kl_warmup_steps = int(kl_warmup_steps)
        self.stack: list[Any] = []
        self._knows_kl_weight = kl_weight is not None
        untrained = {"shape": (), "trainable": False, "autocast": False, "dtype": "float32"}
        full = keras.initializers.Constant(0.0 if kl_weight is None else kl_weight)
        self.full_kl_weight = self.add_weight(**untrained, initializer=full, name="full_kl_weight")
        self.trained_steps = self.add_weight(**untrained, initializer="zeros", name="trained_steps")
        self.adapted = self.add_weight(shape=(), dtype="bool", initializer="zeros", trainable=False, name="adapted")

    @property
    def variational_layers(self) -> list[VariationalLayer]:
        """The layers whose weights have a posterior."""
        return [layer for layer in self.stack if isinstance(layer, VariationalLayer)]

    def append(self, layer: Any, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """Build a layer for inputs of a shape, put it at the end of the stack, and return the shape of its outputs."""
        layer.build(shape)
        self.stack.append(layer)
        return tuple(layer.compute_output_shape(shape))

    def adapt(self, x: Any, y: Any = None) -> None:
        """Take note of how many training samples there are, for the weight of the KL divergence.

        The first `fit` with arrays does it, and no later one: that is saved with the model. Call it before where the
        data are no arrays, or to go on with data of another size.

        Args:
            x: Training samples, an array; only their number matters.
            y: Their targets, or `None`.

        Raises:
            ValueError: If they are no arrays, or such that the model cannot use.
        """
        x, y = as_array("x", x), as_array("y", y)
        if not isinstance(x, np.ndarray):
            raise ValueError(f"`adapt` needs the training samples as an array. Received: x={type(x).__name__}")
        self.check_data(x, y)
        if not self.built:
            # Keras builds the other weights there, too.
            with strategy_scope(self):
                self.build((None, *x.shape[1:]))
        if self.kl_weight is None:
            self.full_kl_weight.assign(self.kl_scale / len(x))
        self._knows_kl_weight = True
        self._weigh()
        if self.adapt_targets(y):
            self.adapted.assign(True)

    def adapt_targets(self, y: np.ndarray | None) -> bool:
        """Read off the targets what the model needs to know of them, and say whether it knows all it needs."""
        del y
        return True

    def _weigh(self) -> None:
        """Give the layers the weight of the KL divergence, so far as it has grown."""
        # In float32, as `_warm_up` computes it.
        steps, full = (np.float32(ops.convert_to_numpy(one)) for one in (self.trained_steps, self.full_kl_weight))
        share = np.minimum(steps / np.float32(self.kl_warmup_steps), 1) if self.kl_warmup_steps and steps else 1
        for layer in self.variational_layers:
            layer.kl_weight = float(share * full)

    def load_own_variables(self, store: Any) -> None:
        super().load_own_variables(store)
        self._knows_kl_weight = self._knows_kl_weight or self.has_adapted
        # Layers keep what they have when theirs are loaded, which is next.
        self._weigh()

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        if training and not self._knows_kl_weight:
            raise ValueError(self._unknown_kl_weight)
        if training and self.kl_warmup_steps:
            self._warm_up()
        outputs = inputs
        for layer in self.stack:
            outputs = layer(outputs)
        return outputs

    def _warm_up(self) -> None:
        steps = ops.convert_to_tensor(self.trained_steps) + 1.0
        self.trained_steps.assign(steps)
        share = ops.minimum(steps / self.kl_warmup_steps, 1.0)
        for layer in self.variational_layers:
            layer.assign_kl_weight(share * self.full_kl_weight)

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Train the model as `keras.Model.fit` does, on arrays, lists and data frames, or on data that come in batches.

        Raises:
            ValueError: If the model cannot use the arrays, or does not know the weight of the KL divergence.
        """
        x, y = as_array("x", x), as_array("y", y)
        self.check_data(x, y)
        if not isinstance(x, np.ndarray):
            self.check_ready()
        elif not self.has_adapted:
            named = inspect.signature(keras.Model.fit).bind(self, x, y, *args, **kwargs).arguments
            begin = math.floor(len(x) * (1 - (named.get("validation_split") or 0)))
            self.adapt(x[:begin], None if y is None else y[:begin])
        return super().fit(x, y, *args, **kwargs)

    def train_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """Train the model on one batch as `keras.Model.train_on_batch` does.

        Raises:
            ValueError: If the model does not know the weight of the KL divergence.
        """
        self.check_ready()
        return super().train_on_batch(*args, **kwargs)

    @property
    def has_adapted(self) -> bool:
        """Whether `adapt` has read off the training data what it needs; saved with the model."""
        return bool(ops.convert_to_numpy(self.adapted))

    def check_ready(self) -> None:
        """Refuse to train before the weight of the KL divergence is known.

        Raises:
            ValueError: If it is neither given nor read off the training data.
        """
        self._knows_kl_weight = self._knows_kl_weight or self.has_adapted
        if not self._knows_kl_weight:
            raise ValueError(self._unknown_kl_weight)

    @property
    def _unknown_kl_weight(self) -> str:
        return (
            f"The weight of the KL divergence is not known: give kl_weight={self.kl_scale:g} / number of training "
            "samples, or call `adapt(x)` with all training samples as an array. Received: kl_weight=None, and a "
            "batch or data that are no array"
        )

    def check_data(self, x: Any, y: Any = None) -> None:
        """Refuse data that the model cannot use; only NumPy arrays are looked at."""
        raise NotImplementedError

    def predict_distribution(self, x: Any, samples: int | None = None, **options: Any) -> Any:
        """Return the predictive distribution, as `kplug_bayes.predict_distribution` does.

        Args:
            x: Samples as the model takes them.
            samples: Draws, 100 by default.
            **options: Arguments of `MonteCarloPredictor`.
        """
        return MonteCarloPredictor(self, samples, **options)(x)

    def get_config(self) -> dict[str, Any]:
        weighting = {name: getattr(self, name) for name in ("kl_weight", "kl_scale", "kl_warmup_steps")}
        return {**super().get_config(), **weighting}


def checked_samples(x: Any, model: str, axes: tuple[int, ...], shapes: str) -> None:
    """Refuse arrays of another number of axes, or with values that are not finite.

    Args:
        x: Samples; what is no NumPy array is not looked at.
        model: What the model is called, for the message.
        axes: Numbers of axes that it takes.
        shapes: The shapes in words.

    Raises:
        ValueError: If they are others.
    """
    if not isinstance(x, np.ndarray):
        return
    if x.ndim not in axes or x.size == 0:
        raise ValueError(f"{model} needs {shapes}. Received: an array of shape {x.shape}")
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        sample = int(np.argwhere(~np.isfinite(x))[0][0])
        raise ValueError(
            f"{model} needs finite values: remove or replace others. Received: NaN or infinity in sample {sample}"
        )
