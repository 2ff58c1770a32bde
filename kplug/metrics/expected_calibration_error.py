"""Expected calibration error: whether what is predicted with 80 % confidence is right 80 % of the time."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import keras
from keras import ops
from pydantic import Field

from kplug.catalog.facts import component
from kplug.losses.labelled import check_one_batch
from kplug.metrics.class_labels import class_ids, weights_per_sample

_GUO = "Guo et al. (2017), On Calibration of Modern Neural Networks, https://arxiv.org/abs/1706.04599"
_NAEINI = "Naeini et al. (2015), Obtaining Well Calibrated Probabilities Using Bayesian Binning, AAAI"
_NORMS = ("l1", "l2", "max")

Norm = Literal["l1", "l2", "max"]


@component(tasks=["image-classification", "tabular-classification", "text-classification"], references=[_GUO, _NAEINI])
@keras.saving.register_keras_serializable(package="kplug")
class ExpectedCalibrationError(keras.Metric):
    """Expected calibration error: how far confidence and accuracy lie apart, in bins of equal confidence.

    ```
    ECE = sum over bins b of w_b / w * |accuracy(b) - confidence(b)|                      norm="l1"
          sqrt( sum over bins b of w_b / w * (accuracy(b) - confidence(b))^2 )             norm="l2"
          max over bins b of |accuracy(b) - confidence(b)|                                 norm="max"
    ```

    with w_b of all w samples in the bin `(b / num_bins, (b + 1) / num_bins]`, confidence(b) their mean confidence and
    accuracy(b) the share that is right (Guo et al. 2017, equations 3 and 5). The first bin has the 0 too.

    The confidence is the probability of the predicted class. With one probability per sample it is that of class 1,
    against the share of samples of class 1 (Naeini et al. 2015; scikit-learn's `calibration_curve`): a sigmoid is
    judged on all its probabilities from 0 to 1, a softmax over two classes on the larger one.

    Use it beside the accuracy where probabilities are acted on. It says nothing of how good predictions are: always
    predicting the frequencies of the classes is perfectly calibrated. It is biased upwards on few samples, the more so
    the more bins there are.

    Args:
        num_bins: How many bins of equal width; at least 1.
        from_logits: Whether `y_pred` are logits, not probabilities.
        norm: `"l1"` (the ECE), `"l2"` (the root mean square) or `"max"` (the maximum calibration error).
        name: The metric's name.
        dtype: The dtype of the result; computed in float32 at least. Keras' `floatx` by default.

    Call arguments:
        y_true: Class ids of shape `(batch_size,)` or `(batch_size, 1)`, or one-hot labels of shape
            `(batch_size, num_classes)`.
        y_pred: Probabilities or logits of shape `(batch_size, num_classes)`; or of class 1 alone, of shape
            `(batch_size,)` or `(batch_size, 1)`.
        sample_weight: Weights of shape `(batch_size,)` or `(batch_size, 1)`, or `None`.

    Returns:
        A scalar between 0 and 1, a difference of probabilities; 0 if there are no samples.

    Raises:
        ValueError: If a parameter or the shapes are wrong.

    References:
        - Guo et al. (2017), On Calibration of Modern Neural Networks, https://arxiv.org/abs/1706.04599
        - Naeini et al. (2015), Obtaining Well Calibrated Probabilities Using Bayesian Binning, AAAI

    Example:

    >>> metric = kplug.ExpectedCalibrationError(num_bins=10)
    >>> metric.update_state([0, 1], [[0.75, 0.25], [0.75, 0.25]])  # 75 % sure, right half of the time
    >>> float(metric.result())
    0.25

    ```python
    metrics = ["accuracy", kplug.ExpectedCalibrationError(from_logits=True)]
    model.compile("adam", loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=metrics)
    ```
    """

    def __init__(
        self,
        num_bins: Annotated[int, Field(gt=0)] = 15,
        from_logits: bool = False,
        norm: Norm = "l1",
        name: str = "expected_calibration_error",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        if num_bins < 1:
            raise ValueError(f"`num_bins` must be at least 1. Received: num_bins={num_bins}")
        if norm not in _NORMS:
            raise ValueError(f"`norm` must be one of {', '.join(map(repr, _NORMS))}. Received: norm={norm!r}")
        self.num_bins = num_bins
        self.from_logits = from_logits
        self.norm = norm
        self.precise = keras.backend.result_type(self.dtype, "float32")
        self.weight = self.add_variable((num_bins,), "zeros", dtype=self.precise, name="weight")
        self.confidence = self.add_variable((num_bins,), "zeros", dtype=self.precise, name="confidence")
        self.accuracy = self.add_variable((num_bins,), "zeros", dtype=self.precise, name="accuracy")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        confidence, right = self._confidence_and_right(y_true, y_pred)
        bins = ops.cast(ops.ceil(confidence * self.num_bins), "int32") - 1
        in_bin = ops.one_hot(ops.clip(bins, 0, self.num_bins - 1), self.num_bins, dtype=self.precise)
        in_bin *= weights_per_sample(sample_weight, confidence)[:, None]
        self.weight.assign_add(ops.sum(in_bin, axis=0))
        self.confidence.assign_add(ops.sum(in_bin * confidence[:, None], axis=0))
        self.accuracy.assign_add(ops.sum(in_bin * right[:, None], axis=0))

    def result(self) -> Any:
        gap = ops.abs(self.accuracy - self.confidence)
        weight = self.weight.value
        total = ops.sum(weight)
        total = ops.where(total > 0, total, 1)
        per_sample = gap / ops.where(weight > 0, weight, 1)
        if self.norm == "max":
            error = ops.max(per_sample)
        elif self.norm == "l2":
            error = ops.sqrt(ops.sum(gap * per_sample) / total)
        else:
            error = ops.sum(gap) / total
        return ops.cast(error, self.dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_bins": self.num_bins,
            "from_logits": self.from_logits,
            "norm": self.norm,
        }

    def _confidence_and_right(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        scores = ops.cast(ops.convert_to_tensor(y_pred), self.precise)
        if len(scores.shape) not in {1, 2}:
            raise ValueError(
                "ExpectedCalibrationError needs probabilities of shape (batch_size, num_classes), or of class 1 alone "
                f"of shape (batch_size,). Received: y_pred of shape {tuple(scores.shape)}"
            )
        check_one_batch(ops.convert_to_tensor(y_true), scores, "ExpectedCalibrationError")
        if len(scores.shape) == 1 or scores.shape[1] == 1:
            scores = ops.reshape(scores, (-1,))
            labels = class_ids(y_true, 1, "ExpectedCalibrationError")
            return ops.sigmoid(scores) if self.from_logits else scores, ops.cast(labels, self.precise)
        labels = class_ids(y_true, scores.shape[1], "ExpectedCalibrationError")
        probabilities = ops.softmax(scores, axis=1) if self.from_logits else scores
        right = ops.cast(ops.argmax(scores, axis=1), "int32") == labels
        return ops.max(probabilities, axis=1), ops.cast(right, self.precise)
