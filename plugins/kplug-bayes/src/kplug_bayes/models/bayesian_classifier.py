"""A classifier whose weights are distributions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import keras
import kplug
import numpy as np
from keras import ops
from kplug.layers import derived_seeds
from pydantic import Field

from kplug_bayes.checked_numbers import checked_count
from kplug_bayes.models.bayesian_model import BayesianModel, checked_samples
from kplug_bayes.variational.flipout import Conv2DFlipout, DenseFlipout

PositiveInt = Annotated[int, Field(ge=1)]

_WEN = "Wen et al. (2018), Flipout, https://arxiv.org/abs/1803.04386"
_BLUNDELL = "Blundell et al. (2015), Weight Uncertainty in Neural Networks, https://arxiv.org/abs/1505.05424"

_WENZEL = "Wenzel et al. (2020), How Good is the Bayes Posterior in Deep Neural Networks Really?, https://arxiv.org/abs/2002.02405"


@kplug.component(
    tasks=["image-classification", "tabular-classification"],
    loss="sparse_categorical_crossentropy",
    optimizer="adam",
    metrics=["accuracy"],
    references=[_WEN, _BLUNDELL, _WENZEL],
)
@keras.saving.register_keras_serializable(package="bayes")
class BayesianClassifier(BayesianModel):
    """Classifier of images or vectors whose weights are distributions, and that says what it does not know.

    Images go through convolutions with Flipout (Wen et al. 2018), each followed by pooling that halves the resolution,
    and dense layers; vectors through the dense layers alone. Each prediction is a draw. `predict_distribution` makes
    many: mean probabilities, and the mutual information that grows where the draws disagree.

    Args:
        num_classes: Number of classes, at least 2.
        filters: Filters of each convolution, for images.
        units: Units of the dense layers before the last.
        activation: Activation of the hidden layers, a name of Keras.
        prior_scale: Standard deviation of the prior of each weight, in units of sqrt(2 / fan_in), which keeps the size
            of activations from layer to layer (He et al. 2015); above 0.
        initial_untransformed_scale: What the untransformed posterior deviations begin at: -5 for deviations near
            0.0067, -3 for 0.049.
        kl_weight: What the KL divergence is multiplied by in the loss, at least 0; `None` for `kl_scale` / number of
            training samples.
        kl_scale: Share of the KL divergence that counts, at least 0. 1 gives the evidence lower bound, with which a
            network of many weights stays unsure on few images; less gives narrower posteriors (a cold posterior, as
            Wenzel et al. 2020 found to predict better), surer and more often right, that say less of what the model
            does not know.
        kl_warmup_steps: Steps of training over which that weight grows from 0.
        seed: Whole number that makes beginning and draws repeat, or `None`.
        **kwargs: Keras' own model arguments (`name`, `dtype`, …).

    Call arguments:
        inputs: Images of shape `(batch_size, height, width, channels)` or `(batch_size, height, width)`, or vectors of
            shape `(batch_size, num_features)`.

    Returns:
        Probabilities of shape `(batch_size, num_classes)`, of one draw of the weights.

    Raises:
        ValueError: If a parameter is out of range, or the data are neither images nor vectors, or have labels that are
            no classes.

    References:
        - Wen et al. (2018), Flipout, https://arxiv.org/abs/1803.04386
        - Blundell et al. (2015), Weight Uncertainty in Neural Networks, https://arxiv.org/abs/1505.05424
        - He et al. (2015), Delving Deep into Rectifiers, https://arxiv.org/abs/1502.01852
        - Wenzel et al. (2020), How Good is the Bayes Posterior in Deep Neural Networks Really?,
          https://arxiv.org/abs/2002.02405

    Example:

    ```python
    model = kplug_bayes.BayesianClassifier(num_classes=10, seed=0)
    model.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(images, labels, epochs=60)
    prediction = model.predict_distribution(images_test)
    unknown = prediction.mutual_information > 0.2
    ```
    """

    prediction_task = "classification"

    def __init__(
        self,
        num_classes: Annotated[int, Field(ge=2)],
        filters: Sequence[PositiveInt] = (32, 64),
        units: Sequence[PositiveInt] = (64,),
        activation: Literal["relu", "tanh", "gelu", "silu"] = "relu",
        prior_scale: Annotated[float, Field(gt=0)] = 1.0,
        initial_untransformed_scale: float = -5.0,
        kl_weight: Annotated[float, Field(ge=0)] | None = None,
        kl_scale: Annotated[float, Field(ge=0)] = 0.001,
        kl_warmup_steps: Annotated[int, Field(ge=0)] = 0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(kl_weight=kl_weight, kl_scale=kl_scale, kl_warmup_steps=kl_warmup_steps, **kwargs)
        if checked_count("num_classes", num_classes) < 2:
            raise ValueError(f"`num_classes` must be at least 2. Received: num_classes={num_classes}")
        self.num_classes = int(num_classes)
        self.filters = tuple(checked_count("filters", count) for count in filters)
        self.units = tuple(checked_count("units", count) for count in units)
        keras.activations.get(activation)
        self.activation = activation
        self.prior_scale = prior_scale
        self.initial_untransformed_scale = initial_untransformed_scale
        self.seed = seed
        if not prior_scale > 0:
            raise ValueError(f"`prior_scale` must be greater than 0. Received: prior_scale={prior_scale}")

    def build(self, input_shape: Any) -> None:
        shape: tuple[Any, ...] = tuple(input_shape)
        if len(shape) not in {2, 3, 4} or None in shape[1:]:
            raise ValueError(
                "BayesianClassifier needs images of shape (height, width, channels) or (height, width), or vectors of "
                f"shape (num_features,), all known. Received: input_shape={shape}"
            )
        seeds = iter(derived_seeds(self.seed, len(self.filters) + len(self.units) + 1))
        shape = (*shape, 1) if len(shape) == 3 else shape
        if len(shape) == 4:
            for filters in self.filters:
                options = {**self._variational(9 * shape[-1], next(seeds)), "padding": "same"}
                shape = self.append(Conv2DFlipout(filters, 3, activation=self.activation, **options), shape)
                if min(shape[1:3]) >= 2:
                    shape = self.append(keras.layers.MaxPooling2D(2, dtype=self.dtype_policy), shape)
            shape = self.append(keras.layers.Flatten(dtype=self.dtype_policy), shape)
        for units in self.units:
            options = self._variational(shape[-1], next(seeds))
            shape = self.append(DenseFlipout(units, self.activation, **options), shape)
        shape = self.append(DenseFlipout(self.num_classes, **self._variational(shape[-1], next(seeds))), shape)
        # Probabilities in float32: half precision would round the likely ones to 1.
        self.append(keras.layers.Activation("softmax", dtype="float32"), shape)
        self.built = True

    def _variational(self, fan_in: int, seed: int | None) -> dict[str, Any]:
        """Return the arguments of a layer whose outputs are sums over so many inputs."""
        return {
            "prior_scale": self.prior_scale * math.sqrt(2 / fan_in),
            "initial_untransformed_scale": self.initial_untransformed_scale,
            "loc_initializer": "he_normal",
            "kl_weight": 1.0 if self.kl_weight is None else self.kl_weight,
            "dtype": self.dtype_policy,
            "seed": seed,
        }

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        images = ops.expand_dims(inputs, -1) if len(inputs.shape) == 3 else inputs
        return super().call(ops.cast(images, self.compute_dtype), training=training)

    def check_data(self, x: Any, y: Any = None) -> None:
        """Refuse what is neither images nor vectors, and labels out of range; only NumPy arrays are looked at.

        Raises:
            ValueError: If the samples have another number of axes or a value that is not finite, or a label is no
                class.
        """
        shapes = "images of shape (n, height, width[, channels]), or vectors of shape (n, num_features)"
        checked_samples(x, "BayesianClassifier", (2, 3, 4), shapes)
        if self.compiled and self.loss is None:
            raise ValueError(
                "BayesianClassifier needs a loss beside the KL divergence: compile it with "
                'loss="sparse_categorical_crossentropy", or "categorical_crossentropy" for one-hot labels. '
                "Received: loss=None"
            )
        if not isinstance(y, np.ndarray) or (y.ndim == 2 and y.shape[1] == self.num_classes):
            return
        wrong = ~np.isin(y, np.arange(self.num_classes))
        if wrong.any():
            raise ValueError(
                f"Labels must be whole numbers from 0 to {self.num_classes - 1}. Received: {y[wrong][0]} in sample "
                f"{int(np.argwhere(wrong)[0][0])}"
            )

    def write_artifacts(self, directory: str | Path, dataset: Any) -> None:
        """Leave pictures: reliability, the posteriors of the weights, and of images the most uncertain ones.

        Args:
            directory: An existing directory.
            dataset: A `kplug.Dataset` of arrays; its test split is shown, or else what it has.
        """
        from kplug_bayes.models.classifier_pictures import write_classifier_pictures

        write_classifier_pictures(self, Path(directory), dataset)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "filters": list(self.filters),
            "units": list(self.units),
            "activation": self.activation,
            "prior_scale": self.prior_scale,
            "initial_untransformed_scale": self.initial_untransformed_scale,
            "seed": self.seed,
        }
