"""A regression that knows its noise, and where it knows nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import keras
import kplug
import numpy as np
from keras import ops
from kplug.layers import derived_seeds
from kplug.models import OwnLoss
from pydantic import Field

from kplug_bayes.checked_numbers import checked_count
from kplug_bayes.models.bayesian_model import BayesianModel, checked_samples
from kplug_bayes.models.gaussian_activation import gaussian
from kplug_bayes.outputs.independent_normal import IndependentNormal
from kplug_bayes.outputs.normal_density import deviation
from kplug_bayes.variational.local_reparameterization import DenseLocalReparameterization

_ACTIVATIONS = {"gaussian": gaussian}

_SMALLEST_SCALE, _LARGEST_SCALE = 1e-10, 1e15
PositiveInt = Annotated[int, Field(ge=1)]

_BLUNDELL = "Blundell et al. (2015), Weight Uncertainty in Neural Networks, https://arxiv.org/abs/1505.05424"
_KENDALL = "Kendall & Gal (2017), What Uncertainties Do We Need in Bayesian Deep Learning for Computer Vision?"


@kplug.component(
    tasks=["tabular-regression"],
    own_loss=True,
    optimizer="adam",
    metrics=["mean_absolute_error"],
    references=[_BLUNDELL, _KENDALL],
)
@keras.saving.register_keras_serializable(package="bayes")
class BayesianRegressor(OwnLoss, BayesianModel):
    """Regression with weights that are distributions, and noise that depends on the sample.

    Dense layers, by the local reparameterisation, end with `IndependentNormal`: mean and deviation of each target. The
    loss is the negative log likelihood plus the weighted KL divergence. `predict_distribution` tells apart what the
    model does not know (epistemic) and what is noise in the data (aleatoric; Kendall & Gal 2017, section 3). Targets
    keep their own unit: their mean and scale in the training data are read off before training, and the network works
    on what is left.

    Posteriors of independent weights are known to be too sure between clusters of data with one layer of ReLU units
    (Foong et al. 2020, theorem 1). Units of the Gaussian activation act in one place each, so that those where there
    are no data keep their prior: hence the default.

    Args:
        num_outputs: Numbers in a target, at least 1.
        units: Units of the hidden layers.
        activation: Activation of the hidden layers: `"gaussian"`, exp(-u^2 / 2), or a name of Keras.
        prior_scale: Standard deviation of the prior of each weight, in units of 1 / sqrt(fan_in), so that functions
            have the same size whatever the units (Neal 1996); above 0.
        input_scale: The same for the first layer: the more, the faster functions vary with the features, which should
            have a scale near 1; above 0.
        initial_untransformed_scale: What the untransformed posterior deviations begin at: -3 for deviations near
            0.049, -5 for 0.0067.
        kl_weight: What the KL divergence is multiplied by in the loss, at least 0; `None` for `kl_scale` / number of
            training samples.
        kl_scale: Share of the KL divergence that counts, at least 0; 1 gives the evidence lower bound.
        kl_warmup_steps: Steps of training over which that weight grows from 0.
        seed: Whole number that makes beginning and draws repeat, or `None`.
        **kwargs: Keras' own model arguments (`name`, `dtype`, …).

    Call arguments:
        inputs: Vectors of shape `(batch_size, num_features)`.

    Returns:
        When called: the parameters of `output_distribution`, of shape `(batch_size, 2 * num_outputs)`, for one draw of
        the weights. `predict` and `predict_on_batch` return means of shape `(n, num_outputs)`, and metrics are of
        these.

    Raises:
        ValueError: If a parameter is out of range, the data are no vectors of numbers, or a loss is given.

    References:
        - Blundell et al. (2015), Weight Uncertainty in Neural Networks, https://arxiv.org/abs/1505.05424
        - Kendall & Gal (2017), What Uncertainties Do We Need in Bayesian Deep Learning for Computer Vision?,
          https://arxiv.org/abs/1703.04977
        - Foong et al. (2020), On the Expressiveness of Approximate Inference in Bayesian Neural Networks,
          https://arxiv.org/abs/1909.00719
        - Neal (1996), Bayesian Learning for Neural Networks, https://doi.org/10.1007/978-1-4612-0745-0

    Example:

    ```python
    model = kplug_bayes.BayesianRegressor(seed=0)
    model.compile("adam", metrics=["mean_absolute_error"])
    model.fit(x, y, epochs=500)
    prediction = model.predict_distribution(x_test)
    prediction.mean, prediction.epistemic_std, prediction.aleatoric_std  # each of shape (n, 1)
    ```
    """

    own_loss = "negative log likelihood and KL divergence"

    def __init__(
        self,
        num_outputs: PositiveInt = 1,
        units: Sequence[PositiveInt] = (50,),
        activation: Literal["gaussian", "tanh", "relu", "gelu", "silu"] = "gaussian",
        prior_scale: Annotated[float, Field(gt=0)] = 3.0,
        input_scale: Annotated[float, Field(gt=0)] = 4.0,
        initial_untransformed_scale: float = -3.0,
        kl_weight: Annotated[float, Field(ge=0)] | None = None,
        kl_scale: Annotated[float, Field(ge=0)] = 1.0,
        kl_warmup_steps: Annotated[int, Field(ge=0)] = 0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(kl_weight=kl_weight, kl_scale=kl_scale, kl_warmup_steps=kl_warmup_steps, **kwargs)
        self.num_outputs = checked_count("num_outputs", num_outputs)
        self.units = tuple(checked_count("units", count) for count in units)
        if activation not in _ACTIVATIONS:
            keras.activations.get(activation)
        for name, value in (("prior_scale", prior_scale), ("input_scale", input_scale)):
            if not 0 < value < math.inf:
                raise ValueError(f"`{name}` must be greater than 0. Received: {name}={value}")
        self.activation = activation
        self.prior_scale = prior_scale
        self.input_scale = input_scale
        self.initial_untransformed_scale = initial_untransformed_scale
        self.seed = seed
        *self._layer_seeds, output_seed = derived_seeds(seed, len(self.units) + 2)
        self.output_distribution = IndependentNormal(self.num_outputs, seed=output_seed, dtype="float32")
        self._likelihood = self.output_distribution.negative_log_likelihood
        frozen = {"shape": (self.num_outputs,), "trainable": False, "autocast": False, "dtype": "float32"}
        self.target_mean = self.add_weight(**frozen, initializer="zeros", name="target_mean")
        self.target_scale = self.add_weight(**frozen, initializer="ones", name="target_scale")

    def build(self, input_shape: Any) -> None:
        shape: tuple[Any, ...] = tuple(input_shape)
        if len(shape) != 2 or shape[1] is None:
            raise ValueError(f"BayesianRegressor needs vectors of a known length. Received: input_shape={shape}")
        seeds = iter(self._layer_seeds)
        scale = self.input_scale
        for units in self.units:
            layer = DenseLocalReparameterization(
                units, _ACTIVATIONS.get(self.activation, self.activation), **self._variational(scale, shape[-1], seeds)
            )
            shape = self.append(layer, shape)
            scale = self.prior_scale
        outputs = self.output_distribution.parameters_per_event
        # Half precision does not hold the targets of every unit.
        options = {**self._variational(scale, shape[-1], seeds), "dtype": "float32"}
        # Small means, so that training begins near the mean of the targets.
        options["loc_initializer"] = keras.initializers.RandomNormal(
            stddev=0.1 * options["prior_scale"], seed=derived_seeds(options["seed"], 1)[0]
        )
        self.append(DenseLocalReparameterization(outputs, **options), shape)
        self.output_distribution.build((None, outputs))
        self.built = True

    def _variational(self, scale: float, fan_in: int, seeds: Iterator[int | None]) -> dict[str, Any]:
        """Return the arguments of a layer whose outputs are sums over so many inputs."""
        prior_scale = scale / math.sqrt(fan_in)
        mean_seed, seed = derived_seeds(next(seeds), 2)
        return {
            "random_bias": True,
            "prior_scale": prior_scale,
            "initial_untransformed_scale": self.initial_untransformed_scale,
            "loc_initializer": keras.initializers.RandomNormal(stddev=prior_scale, seed=mean_seed),
            "kl_weight": 1.0 if self.kl_weight is None else self.kl_weight,
            "dtype": self.dtype_policy,
            "seed": seed,
        }

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        outputs = super().call(inputs, training=training)
        loc, untransformed = outputs[..., : self.num_outputs], outputs[..., self.num_outputs :]
        scale = deviation(untransformed) * self.target_scale
        # The inverse of softplus, so that the parameters are those of the targets in their own unit.
        in_unit = scale + ops.log(-ops.expm1(-scale))
        parameters = ops.concatenate([loc * self.target_scale + self.target_mean, in_unit], axis=-1)
        return self.output_distribution(parameters)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        divergence = super().compute_loss(x, y, y_pred, sample_weight, training=training)
        return divergence + self._likelihood(y, y_pred, sample_weight)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        results: dict[str, Any] = super().compute_metrics(x, y, self.output_distribution.mean(y_pred), sample_weight)
        return results

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the means of one draw of the weights, in the unit of the targets, of shape `(n, num_outputs)`."""
        parameters = super().predict(x, *args, **kwargs)
        return ops.convert_to_numpy(self.output_distribution.mean(parameters))

    def predict_on_batch(self, x: Any) -> Any:
        """Return the means of one draw of the weights, as `predict` does."""
        return ops.convert_to_numpy(self.output_distribution.mean(super().predict_on_batch(x)))

    def adapt_targets(self, y: np.ndarray | None) -> bool:
        """Read mean and scale off the targets; without them those of before stay, if there are any."""
        if y is None:
            return self.has_adapted
        targets = y.astype("float64").reshape(len(y), -1)
        scale = targets.std(axis=0)
        beyond = (scale > 0) & ((scale < _SMALLEST_SCALE) | (scale > _LARGEST_SCALE))
        if beyond.any():
            raise ValueError(
                f"Targets must have standard deviations from {_SMALLEST_SCALE:g} to {_LARGEST_SCALE:g}, for float32 to "
                f"hold their noise: give them in another unit. Received: {scale[beyond][0]:.3g}"
            )
        self.target_mean.assign(targets.mean(axis=0))
        self.target_scale.assign(np.where(scale > 0, scale, 1.0))
        return True

    def check_ready(self) -> None:
        """Refuse to train before mean and scale of the targets, and the weight of the KL divergence, are known.

        Raises:
            ValueError: If they have not been read off the training data.
        """
        if not self.has_adapted:
            raise ValueError(
                "Mean and scale of the targets are not known: call `adapt(x, y)` with training samples and targets as "
                "arrays; with kl_weight=None with all of them, since their number gives the weight of the KL "
                f"divergence. Received: kl_weight={self.kl_weight}, and a batch or data that are no array"
            )

    def check_data(self, x: Any, y: Any = None) -> None:
        """Refuse what are no vectors of numbers; only NumPy arrays are looked at.

        Raises:
            ValueError: If samples or targets have another shape, or a value that is not finite.
        """
        checked_samples(x, "BayesianRegressor", (2,), "vectors of shape (n, num_features)")
        if not isinstance(y, np.ndarray):
            return
        targets = y.reshape(len(y), -1)
        if y.ndim > 2 or targets.shape[1] != self.num_outputs or targets.dtype.kind not in "iufb":
            raise ValueError(
                f"BayesianRegressor needs targets of shape (n, {self.num_outputs}): set num_outputs to their number of "
                f"columns. Received: {targets.dtype} targets of shape {y.shape}"
            )
        if not np.isfinite(targets).all():
            sample = int(np.argwhere(~np.isfinite(targets))[0][0])
            raise ValueError(f"Targets must be finite. Received: NaN or infinity in sample {sample}")

    def write_artifacts(self, directory: str | Path, dataset: Any) -> None:
        """Leave pictures: predictive bands or errors, the coverage of intervals, and the posteriors of the weights.

        Args:
            directory: An existing directory.
            dataset: A `kplug.Dataset` of arrays; its test split is shown, or else what it has.
        """
        from kplug_bayes.models.regressor_pictures import write_regressor_pictures

        write_regressor_pictures(self, Path(directory), dataset)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_outputs": self.num_outputs,
            "units": list(self.units),
            "activation": self.activation,
            "prior_scale": self.prior_scale,
            "input_scale": self.input_scale,
            "initial_untransformed_scale": self.initial_untransformed_scale,
            "seed": self.seed,
        }
