"""Matthews correlation coefficient, for two classes and more."""

from __future__ import annotations

from typing import Annotated, Any

import keras
from keras import ops
from pydantic import Field

from kplug.catalog.facts import component
from kplug.losses.labelled import check_one_batch
from kplug.metrics.class_labels import class_ids, weights_per_sample

_GORODKIN = (
    "Gorodkin (2004), Comparing two K-category assignments by a K-category correlation coefficient, "
    "Computational Biology and Chemistry 28(5-6)"
)
_MATTHEWS = (
    "Matthews (1975), Comparison of the predicted and observed secondary structure of T4 phage lysozyme, BBA 405(2)"
)


@component(
    tasks=["image-classification", "tabular-classification", "text-classification"], references=[_GORODKIN, _MATTHEWS]
)
@keras.saving.register_keras_serializable(package="kplug")
class MatthewsCorrelation(keras.Metric):
    """Matthews correlation coefficient: the correlation of the true and the predicted classes.

    ```
    MCC = (c * s - sum over k of p_k * t_k) / sqrt( (s^2 - sum of p_k^2) * (s^2 - sum of t_k^2) )
    ```

    with s samples, c of them right, p_k predicted as class k, and t_k truly of it: the statistic R_K of Gorodkin
    (2004), which for two classes is that of Matthews (1975). Equal to scikit-learn's `matthews_corrcoef`.

    Use it where classes are imbalanced: 1 is perfect, 0 is no better than chance, and always predicting the most
    frequent class gets 0, whatever its accuracy. With two classes, -1 is all wrong.

    Args:
        num_classes: How many classes there are; at least 2.
        threshold: For one probability per sample: class 1 is predicted above it. With logits, 0.
        name: The metric's name.
        dtype: The dtype of the result; counted in float32 at least. Keras' `floatx` by default.

    Call arguments:
        y_true: Class ids of shape `(batch_size,)` or `(batch_size, 1)`, or one-hot labels of shape
            `(batch_size, num_classes)`. A sample whose class id is not among the classes (-1, say) does not count.
        y_pred: Scores of the classes, of shape `(batch_size, num_classes)`, of which the largest is predicted; for two
            classes also the probability of class 1, of shape `(batch_size,)` or `(batch_size, 1)`.
        sample_weight: Weights of shape `(batch_size,)` or `(batch_size, 1)`, or `None`.

    Returns:
        A scalar between -1 and 1; 0 where it is not defined: all samples in one class, or all predicted as one.

    Raises:
        ValueError: If a parameter or the shapes are wrong.

    References:
        - Gorodkin (2004), Comparing two K-category assignments by a K-category correlation coefficient, Computational
          Biology and Chemistry 28(5-6)
        - Matthews (1975), Comparison of the predicted and observed secondary structure of T4 phage lysozyme, BBA 405(2)

    Example:

    >>> metric = kplug.MatthewsCorrelation(num_classes=2)
    >>> metric.update_state([1, 1, 1, 0], [0.9, 0.2, 0.8, 0.7])
    >>> round(float(metric.result()), 4)
    -0.3333

    ```python
    model.compile("adam", loss="sparse_categorical_crossentropy", metrics=[kplug.MatthewsCorrelation(num_classes=10)])
    ```
    """

    def __init__(
        self,
        num_classes: Annotated[int, Field(gt=1)],
        threshold: float = 0.5,
        name: str = "matthews_correlation",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        if num_classes < 2:
            raise ValueError(f"`num_classes` must be at least 2. Received: num_classes={num_classes}")
        self.num_classes = num_classes
        self.threshold = threshold
        self.precise = keras.backend.result_type(self.dtype, "float32")
        self.confusion = self.add_variable((num_classes, num_classes), "zeros", dtype=self.precise, name="confusion")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        check_one_batch(y_true, y_pred, "MatthewsCorrelation")
        true = class_ids(y_true, self.num_classes, "MatthewsCorrelation")
        true = ops.one_hot(true, self.num_classes, dtype=self.precise)
        predicted = ops.one_hot(self._predicted(y_pred), self.num_classes, dtype=self.precise)
        weights = weights_per_sample(sample_weight, true[:, 0])
        self.confusion.assign_add(ops.matmul(ops.transpose(true * weights[:, None]), predicted))

    def result(self) -> Any:
        right = ops.diagonal(self.confusion)
        true, predicted = ops.sum(self.confusion, axis=1), ops.sum(self.confusion, axis=0)
        samples = ops.sum(true)
        # Sums of products of counts that are not negative, so that no digits cancel: s^2 - sum t^2 = sum t * (s - t).
        covariance = ops.sum(
            right * (samples - true - predicted + right) - (true - right) * (predicted - right),
        )
        spread = ops.sqrt(ops.sum(true * (samples - true))) * ops.sqrt(ops.sum(predicted * (samples - predicted)))
        defined = spread > 0
        return ops.cast(ops.where(defined, covariance / ops.where(defined, spread, 1), 0), self.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_classes": self.num_classes, "threshold": self.threshold}

    def _predicted(self, y_pred: Any) -> Any:
        scores = ops.convert_to_tensor(y_pred)
        if tuple(scores.shape[1:]) == (self.num_classes,):
            return ops.cast(ops.argmax(scores, axis=1), "int32")
        if self.num_classes == 2 and len(scores.shape) > 0 and tuple(scores.shape[1:]) in {(), (1,)}:
            return ops.reshape(ops.cast(scores > self.threshold, "int32"), (-1,))
        or_one = " or probabilities of class 1 of shape (batch_size,)" if self.num_classes == 2 else ""
        raise ValueError(
            f"MatthewsCorrelation needs scores of shape (batch_size, {self.num_classes}){or_one}. "
            f"Received: y_pred of shape {tuple(scores.shape)}"
        )
