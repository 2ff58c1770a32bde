"""Image classifier that augments its training images itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Literal

import keras
import numpy as np
from keras import ops
from pydantic import Field

from kplug.catalog.facts import component
from kplug.layers.seeded import derived_seeds
from kplug.models.augmentation import Flip, Share, augmentation
from kplug.models.classifier_checks import check_architecture, check_classes, check_images
from kplug.models.classifier_networks import plain_features, residual_features
from kplug.models.mixing import BatchMixing, Mixture

PositiveInt = Annotated[int, Field(gt=0)]

_HE = "He et al. (2016), Deep Residual Learning for Image Recognition, https://arxiv.org/abs/1512.03385"
_ZHANG = "Zhang et al. (2018), mixup: Beyond Empirical Risk Minimization, https://arxiv.org/abs/1710.09412"
_YUN = "Yun et al. (2019), CutMix, https://arxiv.org/abs/1905.04899"


@component(
    tasks=["image-classification"],
    loss="sparse_categorical_crossentropy",
    optimizer="adam",
    metrics=["accuracy"],
    references=[_HE, _ZHANG, _YUN],
)
@keras.saving.register_keras_serializable(package="kplug")
class AugmentedCNN(keras.Model):
    """Convolutional image classifier that turns, zooms and shifts its training images itself.

    The augmentation is part of the model: it runs where the model runs, in training only, and is saved with it. The
    defaults keep labels: nothing is mirrored or recoloured until asked for. The rest is a small residual network (He et
    al. 2016), or plain convolutions, with batch normalisation, global average pooling and dropout.

    Use it for small and medium images with up to some ten thousands of examples. It is not pre-trained: with few images
    like those of ImageNet, fine-tune one of `keras.applications`.

    Any loss of class probabilities works, on class numbers or one-hot labels. With MixUp or CutMix the loss is the mean
    of the losses on both labels, weighted as the images are; training metrics count the label that weighs more.

    Args:
        num_classes: Number of classes, at least 2.
        architecture: `"residual"` or `"plain"`.
        filters: Filters of each stage; each but the first halves the resolution.
        blocks: Residual blocks, or pairs of plain convolutions, per stage.
        dropout: Share of the features that are dropped in training.
        classifier_activation: `"softmax"` for probabilities, or `None` for logits, with a loss `from_logits`.
        rotation: Largest turn either way, in degrees.
        zoom: Largest relative change of size.
        translation: Largest shift along each axis, as a share of the image's side.
        flip: `"none"`, `"horizontal"`, `"vertical"` or `"both"`.
        contrast: Largest relative change of contrast.
        brightness: Largest change of brightness, for images between 0 and 1.
        noise: Standard deviation of Gaussian noise.
        erasing: Share of the image that a random patch of zeros covers at most.
        mixup: `alpha` of MixUp, 0.2 is usual; 0 for none.
        cutmix: `alpha` of CutMix, 1 is usual; 0 for none.
        label_smoothing: Share of the loss that is the mean of the losses on all classes. It works with any loss, at the
            price of evaluating it for every class: with hundreds of classes use the loss's own smoothing.
        seed: Whole number that makes augmentation and dropout repeat, or `None`.
        **kwargs: Keras' own model arguments (`name`, `dtype`, …).

    Call arguments:
        inputs: Images of shape `(batch_size, height, width, channels)`, or `(batch_size, height, width)`.
        training: Whether to augment.

    Returns:
        Probabilities (or logits) of shape `(batch_size, num_classes)`.

    Raises:
        ValueError: If a parameter is out of range, or data are no images or have labels out of range.

    References:
        He et al. (2016), Deep Residual Learning for Image Recognition, https://arxiv.org/abs/1512.03385
        Zhang et al. (2018), mixup: Beyond Empirical Risk Minimization, https://arxiv.org/abs/1710.09412
        Yun et al. (2019), CutMix, https://arxiv.org/abs/1905.04899

    Example:

    ```python
    model = kplug.AugmentedCNN(num_classes=10)
    model.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(images, labels, epochs=60)
    probabilities = model.predict_augmented(images)  # mean over augmented copies
    ```
    """

    def __init__(
        self,
        num_classes: Annotated[int, Field(ge=2)],
        architecture: Literal["residual", "plain"] = "residual",
        filters: Sequence[PositiveInt] = (32, 64),
        blocks: PositiveInt = 1,
        dropout: Share = 0.3,
        classifier_activation: Literal["softmax"] | None = "softmax",
        rotation: Annotated[float, Field(ge=0, le=180)] = 10.0,
        zoom: Share = 0.1,
        translation: Share = 0.1,
        flip: Flip = "none",
        contrast: Share = 0.0,
        brightness: Share = 0.0,
        noise: Annotated[float, Field(ge=0)] = 0.0,
        erasing: Share = 0.0,
        mixup: Annotated[float, Field(ge=0)] = 0.0,
        cutmix: Annotated[float, Field(ge=0)] = 0.0,
        label_smoothing: Share = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_architecture(num_classes, architecture, filters, blocks, classifier_activation)
        for name, value in (("mixup", mixup), ("cutmix", cutmix)):
            if not value >= 0:
                raise ValueError(f"`{name}` must be at least 0. Received: {name}={value}")
        for name, value in (("dropout", dropout), ("label_smoothing", label_smoothing)):
            if not 0 <= value < 1:
                raise ValueError(f"`{name}` must be at least 0 and less than 1. Received: {name}={value}")
        self.num_classes = num_classes
        self.architecture = architecture
        self.filters = tuple(filters)
        self.blocks = blocks
        self.dropout = dropout
        self.classifier_activation = classifier_activation
        self.amounts: dict[str, Any] = {
            "rotation": rotation,
            "zoom": zoom,
            "translation": translation,
            "flip": flip,
            "contrast": contrast,
            "brightness": brightness,
            "noise": noise,
            "erasing": erasing,
        }
        self.mixup = mixup
        self.cutmix = cutmix
        self.label_smoothing = label_smoothing
        self.seed = seed
        seeds = derived_seeds(seed, 3)
        self.augmentation: Any = augmentation(**self.amounts, seed=seeds[0], dtype=self.dtype_policy)
        self.mixing = BatchMixing(mixup, cutmix, seed=seeds[1], dtype=self.dtype_policy) if mixup or cutmix else None
        self.features: Any = None
        self.pooling = keras.layers.GlobalAveragePooling2D(dtype=self.dtype_policy)
        self.dropping = keras.layers.Dropout(dropout, seed=seeds[2], dtype=self.dtype_policy)
        # Probabilities in float32: half precision would round the likely ones to 1.
        self.classifier = keras.layers.Dense(num_classes, dtype=self.dtype_policy, name="logits")
        self.activation = keras.layers.Activation(classifier_activation or "linear", dtype="float32")
        # What `call` leaves for `compute_loss` within one step; plain Python, so that Keras does not track it.
        self._step = SimpleNamespace(mixture=None)

    def build(self, input_shape: Any) -> None:
        shape = tuple(input_shape[1:])
        if len(shape) not in {2, 3} or None in shape:
            raise ValueError(
                "AugmentedCNN needs images of shape (height, width, channels) or (height, width), all known. "
                f"Received: input_shape={tuple(input_shape)}"
            )
        shape = (*shape, 1) if len(shape) == 2 else shape
        self.augmentation.build((None, *shape))
        build = residual_features if self.architecture == "residual" else plain_features
        self.features = build(shape, self.filters, self.blocks, self.dtype_policy)
        self.classifier.build((None, self.filters[-1]))
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        images = ops.expand_dims(inputs, -1) if len(inputs.shape) == 3 else inputs
        images = ops.cast(images, self.compute_dtype)
        if training:
            images = self.augmentation(images, training=True)
            if self.mixing is not None:
                images, self._step.mixture = self.mixing(images)
        hidden = self.dropping(self.pooling(self.features(images, training=training)), training=training)
        return self.activation(self.classifier(hidden))

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        mixture: Mixture | None = self._step.mixture
        self._step.mixture = None

        if not training or (mixture is None and not self.label_smoothing):
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        labels, predictions, weights = self._rows(y, y_pred, sample_weight, mixture)
        loss = super().compute_loss(x, labels, predictions, weights, training)
        # A mean over all rows, where it is to be one over the images.
        rows_of_each = (1 if mixture is None else 2) + (self.num_classes if self.label_smoothing else 0)
        reduction = getattr(self.loss, "reduction", "sum_over_batch_size")
        return loss * rows_of_each if reduction in {"sum_over_batch_size", "mean"} else loss

    def _rows(self, y: Any, y_pred: Any, sample_weight: Any, mixture: Mixture | None) -> tuple[Any, Any, Any]:
        """Return labels, predictions and weights with a row for each label that an image has a share of."""
        batch_size = ops.shape(y_pred)[0]
        given = ops.ones((batch_size,)) if sample_weight is None else ops.reshape(sample_weight, (-1,))
        given = ops.cast(given, "float32")
        labels, predictions, weights = [y], [y_pred], [given]
        if mixture is not None:
            labels.append(ops.take(y, mixture.partners, axis=0))
            predictions.append(y_pred)
            partners_weights = ops.take(given, mixture.partners, axis=0)
            weights = [given * mixture.shares, partners_weights * (1 - mixture.shares)]
        if self.label_smoothing:
            classes = ops.tile(ops.arange(self.num_classes, dtype="int32"), (batch_size,))
            if _is_one_hot(y, y_pred):
                every = ops.cast(ops.one_hot(classes, self.num_classes), y.dtype)
            else:
                every = ops.reshape(ops.cast(classes, y.dtype), (-1, *[1] * (len(y.shape) - 1)))
            labels.append(every)
            predictions.append(ops.repeat(y_pred, self.num_classes, axis=0))
            weights = [(1 - self.label_smoothing) * part for part in weights]
            weights.append(ops.repeat(self.label_smoothing / self.num_classes * given, self.num_classes))
        return tuple(ops.concatenate(parts, axis=0) for parts in (labels, predictions, weights))

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Train the model as `keras.Model.fit` does.

        Raises:
            ValueError: If arrays are no images, or a label is no class.
        """
        self.check_data(x, y)
        validation = kwargs.get("validation_data")
        if isinstance(validation, tuple):
            self.check_data(*validation[:2])
        return super().fit(x, y, *args, **kwargs)

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Return the loss and the metrics as `keras.Model.evaluate` does."""
        self.check_data(x, y)
        return super().evaluate(x, y, *args, **kwargs)

    def check_data(self, x: Any, y: Any = None) -> None:
        """Refuse what is no image, and labels out of range; only NumPy arrays are looked at.

        Raises:
            ValueError: If the images have another number of axes or a value that is not finite, if there is none, or if
                a label is no class.
        """
        if isinstance(x, np.ndarray):
            check_images(x)
        if isinstance(y, np.ndarray):
            check_classes(y, self.num_classes)

    def predict_augmented(self, x: Any, copies: int = 16, batch_size: int = 256, seed: int | None = None) -> np.ndarray:
        """Return the mean prediction over augmented copies of each image (test-time augmentation).

        Args:
            x: Images of shape `(n, height, width, channels)` or `(n, height, width)`.
            copies: Augmented copies of each image, at least 1; the image as it is counts as one more.
            batch_size: How many images to work on at a time.
            seed: Whole number that makes the copies repeat, or `None`.

        Returns:
            NumPy array of shape `(n, num_classes)`: probabilities, or mean logits.

        Raises:
            ValueError: If `copies` is less than 1, or the data are no images.
        """
        if not copies >= 1:
            raise ValueError(f"`copies` must be at least 1. Received: copies={copies}")
        x = np.asarray(x)
        check_images(x)
        x = x[..., np.newaxis] if x.ndim == 3 else x
        total = self.predict(x, batch_size=batch_size, verbose=0)
        for number in range(copies):
            copy = self.augmented(x, batch_size, None if seed is None else seed + number)
            total = total + self.predict(copy, batch_size=batch_size, verbose=0)
        return total / (copies + 1)

    def augmented(self, x: Any, batch_size: int = 256, seed: int | None = None) -> np.ndarray:
        """Return the images as training would see them once, without mixing.

        It leaves the draws of the training as they are.

        Args:
            x: Images of shape `(n, height, width, channels)` or `(n, height, width)`.
            batch_size: How many images to work on at a time.
            seed: Whole number that makes the draws repeat, or `None`.

        Returns:
            NumPy array of the shape of `x`.

        Raises:
            ValueError: If they are no images.
        """
        x = np.asarray(x, dtype="float32")
        check_images(x)
        images = x[..., np.newaxis] if x.ndim == 3 else x
        augment = augmentation(**self.amounts, seed=seed, dtype=self.dtype_policy)
        batches = [
            ops.convert_to_numpy(ops.cast(augment(images[start : start + batch_size], training=True), "float32"))
            for start in range(0, len(images), batch_size)
        ]
        return np.concatenate(batches).reshape(x.shape)

    def write_artifacts(self, directory: str | Path, dataset: Any) -> None:
        """Leave pictures: confusion matrix, worst mistakes, training curves, and an augmented batch.

        Args:
            directory: An existing directory.
            dataset: A `kplug.Dataset` of arrays; its test split is shown, or else what it has.
        """
        from kplug.models.classifier_pictures import write_pictures

        write_pictures(self, Path(directory), dataset)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "architecture": self.architecture,
            "filters": list(self.filters),
            "blocks": self.blocks,
            "dropout": self.dropout,
            "classifier_activation": self.classifier_activation,
            **self.amounts,
            "mixup": self.mixup,
            "cutmix": self.cutmix,
            "label_smoothing": self.label_smoothing,
            "seed": self.seed,
        }


def _is_one_hot(y: Any, y_pred: Any) -> bool:
    return len(y.shape) == len(y_pred.shape) and y.shape[-1] == y_pred.shape[-1] != 1
