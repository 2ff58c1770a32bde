"""A detector of anomalies that Keras trains."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import keras
import kplug
import numpy as np
from keras import ops
from kplug.models import BatchMean, OwnLoss
from pydantic import Field
from scipy import linalg, special

from kplug_bayes.anomalies.labels import check_anomalies_are_few, check_labels, label_metrics
from kplug_bayes.anomalies.robust_beginning import robust_beginning
from kplug_bayes.anomalies.two_components import TwoComponents, share_of_wide
from kplug_bayes.checked_arrays import as_array
from kplug_bayes.checked_numbers import check_choice, check_number, checked_count
from kplug_bayes.strategy_scope import strategy_scope

_TUKEY = "Tukey (1960), A survey of sampling from contaminated distributions"
_MOST_FEATURES = 1024
_UNLABELLED = "unlabelled"
"""Keras passes over sample weights without a target: the name of one that says nothing."""
_FARTHEST = 1e15
_LARGEST_DISTANCE = 1e16
"""Squared, in deviations; beyond it a sample has no slope, which an optimizer could not square."""
"""Features up to which it is computed at all."""


@kplug.component(
    tasks=["anomaly-detection", "density-estimation"], own_loss=True, optimizer="adam", references=[_TUKEY]
)
@keras.saving.register_keras_serializable(package="bayes")
class AnomalyDetector(OwnLoss, keras.Model):
    """Says with which probability a sample is an anomaly, and learns what is normal from unlabelled data.

    The data are taken for a mixture of a normal component and a wide one with the same centre and `width` times the
    deviations (Tukey 1960). The loss is the negative log likelihood in nats per sample; an anomaly has the posterior

    ```
    P(anomaly | x) = prior w(x) / (prior w(x) + (1 - prior) N(x; mean, covariance))
    ```

    Anomalies among the training data are explained by the wide component and do not harm, up to two or three `width`
    away; a larger `width` reaches further. Training begins at robust estimates (`adapt`, which `fit` calls on arrays):
    the minimum covariance determinant of up to 5,000 samples, or with more than 50 features each feature's median and
    median absolute deviation. It then takes few epochs; Adam with a learning rate of 0.003 or so is good. For data that
    fit into memory `kplug_bayes.BayesianAnomalyDetector` computes the same by expectation maximisation; this model
    takes batches, any backend, and a place in a larger Keras model.

    Targets are ignored by the training. With `num_classes=2`, which a data set of two classes sets, those of
    `anomaly_class` are anomalies to measure by, and the logs have `pr_auc` (the area under the precision-recall curve,
    at 200 thresholds), `precision` and `recall`.

    Args:
        num_features: Number of features; by default that of the first data.
        covariance: `"full"`, or `"diagonal"` for features that are taken to be uncorrelated.
        wide: The wide component: `"gaussian"`, with the same centre and `width` times the deviations in every
            direction, or `"uniform"`, one density over the box of `width` deviations on either side of the centre,
            which is taken to go on beyond it: anomalies however far do not move what is learned.
        width: How wide the wide component is, in deviations of the normal one, above 1.
        prior: Share of anomalies that is expected, between 0 and 1.
        learn_prior: Whether that share is learned; `adapt` then begins at that of the robust estimates.
        threshold: Posterior probability from which a sample is called an anomaly, in metrics, pictures and tables.
        num_classes: 2 if targets say what is an anomaly, else ignored.
        anomaly_class: Which of the two classes the anomalies are, 0 or 1, to measure by.
        seed: Whole number that makes the robust beginning repeat.
        **kwargs: Keras' own model arguments (`name`, `dtype`, …).

    Call arguments:
        inputs: Samples of shape `(batch_size, num_features)`.

    Returns:
        When called: posterior probabilities of an anomaly, float32 of shape `(batch_size,)`. `log_odds(inputs)` has
        their log odds, which tell apart what is certain, too.

    Raises:
        ValueError: If a parameter is out of range, or data are not of that shape, not finite or constant in a feature.

    References:
        Tukey (1960), A survey of sampling from contaminated distributions, in Contributions to Probability and
        Statistics

    Example:

    ```python
    model = kplug_bayes.AnomalyDetector()
    model.compile(keras.optimizers.Adam(0.003))
    model.fit(x_train, epochs=10, batch_size=256)
    probabilities = model.predict(x_test)
    ```
    """

    own_loss = "the negative log likelihood"

    def __init__(
        self,
        num_features: Annotated[int, Field(ge=1)] | None = None,
        covariance: Literal["full", "diagonal"] = "full",
        wide: Literal["gaussian", "uniform"] = "gaussian",
        width: Annotated[float, Field(gt=1)] = 10.0,
        prior: Annotated[float, Field(gt=0, lt=1)] = 0.01,
        learn_prior: bool = True,
        threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5,
        num_classes: int | None = None,
        anomaly_class: Annotated[int, Field(ge=0, le=1)] = 1,
        seed: Annotated[int, Field(ge=0)] = 0,
        **kwargs: Any,
    ) -> None:
        # Distances and densities are float32 under mixed precision.
        super().__init__(**{"autocast": False, **kwargs})
        if num_features is not None:
            checked_count("num_features", num_features)
        check_choice("covariance", covariance, ("full", "diagonal"))
        check_choice("wide", wide, ("gaussian", "uniform"))
        check_number("width", width, 1, ends="(]")
        check_number("prior", prior, 0, 1, ends="()")
        check_number("threshold", threshold, 0, 1, ends="()")
        checked_count("seed", seed, least=0)
        self.num_features: Any = num_features
        self.covariance = covariance
        self.wide = wide
        self.width = float(width)
        self.prior = float(prior)
        self.learn_prior = bool(learn_prior)
        self.threshold = float(threshold)
        if anomaly_class not in {0, 1}:
            raise ValueError(f"`anomaly_class` must be 0 or 1. Received: anomaly_class={anomaly_class!r}")
        self.num_classes = num_classes
        self.anomaly_class = int(anomaly_class)
        self.seed = int(seed)
        self._batch_mean = BatchMean("negative_log_likelihood")
        self.label_metrics: list[Any] = []
        if num_classes == 2:
            self.label_metrics = label_metrics(self.threshold)

    def build(self, input_shape: Any) -> None:
        count = input_shape[-1]
        if len(input_shape) != 2 or count is None or count != (self.num_features or count):
            raise ValueError(
                f"AnomalyDetector needs samples of shape (batch_size, {self.num_features or 'num_features'}): a table "
                f"of numbers. Received: input_shape={tuple(input_shape)}"
            )
        if count > _MOST_FEATURES and self.covariance == "full":
            raise ValueError(
                f"`covariance='full'` takes up to {_MOST_FEATURES} features; use covariance='diagonal' for more. "
                f"Received: {count} features"
            )
        self.num_features = int(count)

        def weight(name: str, shape: tuple[int, ...], initializer: Any = "zeros", **options: Any) -> Any:
            options = {"dtype": "float32", "autocast": False, **options}
            return self.add_weight(shape=shape, initializer=initializer, name=name, **options)

        # The unit that all else is in, so that one learning rate fits all features.
        self.center = weight("center", (count,), trainable=False)
        self.scale = weight("scale", (count,), "ones", trainable=False)
        self.adapted = weight("adapted", (), dtype="bool", trainable=False)
        # The normal component: a mean, and W with W^T W the inverse of the covariance.
        self.mean = weight("mean", (count,))
        self.log_diagonal = weight("log_diagonal", (count,))
        if self.covariance == "full":
            self.below_diagonal = weight("below_diagonal", (count, count))
        begin = keras.initializers.Constant(math.log(self.prior) - math.log1p(-self.prior))
        self.prior_logit = weight("prior_logit", (), begin, trainable=self.learn_prior)
        if self.wide == "uniform":
            box = keras.initializers.Constant(-count * math.log(2 * self.width))
            self.wide_log_density = weight("wide_log_density", (), box, trainable=False)
        self.built = True

    def _distances(self, inputs: Any) -> Any:
        """Return squared Mahalanobis distances, of shape `(batch_size,)`."""
        # What is farther than float32 can square is as far as that.
        inputs = ops.clip((ops.cast(inputs, "float32") - self.center) / self.scale, -_FARTHEST, _FARTHEST)
        centred = inputs - self.mean
        whitened = centred * ops.exp(self.log_diagonal)
        if self.covariance == "full":
            below = ops.tril(ops.convert_to_tensor(self.below_diagonal), -1)
            whitened = whitened + ops.matmul(centred, ops.transpose(below))
        return ops.minimum(ops.sum(ops.square(whitened), axis=-1), _LARGEST_DISTANCE)

    def _log_odds(self, distances: Any) -> Any:
        normal, wide = self._log_densities(distances)
        return ops.convert_to_tensor(self.prior_logit) + wide - normal

    def _log_densities(self, distances: Any) -> tuple[Any, Any]:
        """Return log densities of both components at squared distances, less that of the normal one at its centre."""
        if self.wide == "gaussian":
            return -0.5 * distances, -0.5 * self.width**-2 * distances - self.num_features * math.log(self.width)
        wide = ops.convert_to_tensor(self.wide_log_density) - self._log_density_at_centre()
        return -0.5 * distances, wide * ops.ones_like(distances)

    def _log_density_at_centre(self) -> Any:
        return ops.sum(self.log_diagonal - ops.log(self.scale)) - 0.5 * self.num_features * math.log(2 * math.pi)

    def log_odds(self, inputs: Any) -> Any:
        """Return the log odds of an anomaly, in nats, float32 of shape `(batch_size,)`.

        Args:
            inputs: Samples of shape `(batch_size, num_features)`.
        """
        if not self.built:
            self.build(tuple(inputs.shape))
        return self._log_odds(self._distances(inputs))

    def log_density(self, inputs: Any) -> Any:
        """Return log densities of the mixture, in nats and in the data's unit, float32 of shape `(batch_size,)`.

        Args:
            inputs: Samples of shape `(batch_size, num_features)`.
        """
        if not self.built:
            self.build(tuple(inputs.shape))
        normal, wide = self._log_densities(self._distances(inputs))
        prior_logit = ops.convert_to_tensor(self.prior_logit)
        mixed = ops.logaddexp(normal - ops.softplus(prior_logit), wide - ops.softplus(-prior_logit))
        return self._log_density_at_centre() + mixed

    def call(self, inputs: Any) -> Any:
        return ops.sigmoid(self._log_odds(self._distances(inputs)))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return tuple(input_shape)[:1]

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        del y, y_pred, training
        values = -self.log_density(x)
        if isinstance(sample_weight, dict):  # Keras gives weights the structure of the targets
            sample_weight = sample_weight[_UNLABELLED]
        if sample_weight is not None:
            sample_weight = ops.reshape(ops.cast(sample_weight, "float32"), (-1,))
        return self._batch_mean.of(values, sample_weight)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        labelled = y is not None and not isinstance(y, dict)
        if labelled:
            anomalies = ops.equal(ops.cast(ops.reshape(y, (-1,)), "int32"), self.anomaly_class)
            for metric in self.label_metrics:
                metric.update_state(anomalies, y_pred, sample_weight=sample_weight)
            super().compute_metrics(x, y, y_pred, sample_weight)
        results: dict[str, Any] = self.get_metrics_result()
        # Without labels nothing has been measured by them.
        unknown = set() if labelled else {metric.name for metric in self.label_metrics}
        return {name: value for name, value in results.items() if name not in unknown}

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Train as `keras.Model.fit` does; an array, list or data frame is looked at first (`check_data`, `adapt`).

        Raises:
            ValueError: If an array is not finite, of another shape, or constant in a feature.
        """
        options = self._arguments(keras.Model.fit, x, y, args, kwargs)
        x, y = options["x"], options.get("y")
        if isinstance(x, np.ndarray):
            self.check_data(x, y)
            begin = math.floor(len(x) * (1 - (options.get("validation_split") or 0)))
            weights = options.get("sample_weight")
            counts = slice(None) if weights is None else np.reshape(weights, (len(x), -1))[:begin, 0] != 0
            self.adapt(x[:begin][counts], y[:begin][counts] if isinstance(y, np.ndarray) else None)
        elif not (self.built and bool(ops.convert_to_numpy(self.adapted))):
            warnings.warn(
                "AnomalyDetector begins at a standard normal distribution, since `fit` was not given an array. Call "
                "`adapt` with some thousand samples first.",
                stacklevel=2,
            )
        return super().fit(**options)

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Return loss and metrics as `keras.Model.evaluate` does.

        Raises:
            ValueError: If labels to measure by are neither 0 nor 1.
        """
        options = self._arguments(keras.Model.evaluate, x, y, args, kwargs)
        self._check_labels(options.get("y"))
        return super().evaluate(**options)

    def _arguments(self, method: Any, x: Any, y: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Return a call's arguments by name, with arrays for what are lists, frames and tensors."""
        named = self.named_arguments(method, as_array("x", x), as_array("y", y), args, options)
        if y is None and named.get("y") is not None:
            named["y"] = {_UNLABELLED: np.zeros(len(named["x"]), "float32")}
        return named

    def _check_labels(self, y: Any) -> None:
        if self.num_classes == 2 and isinstance(y, np.ndarray):
            check_labels(y, self.anomaly_class)

    def check_data(self, x: Any, y: Any = None) -> None:
        """Refuse data that nothing can be learned from, or measured by; only NumPy arrays are looked at.

        Raises:
            ValueError: If they are no table of two samples or more, not finite, or constant in a feature; or labels to
                measure by are neither 0 nor 1.
        """
        self._check_labels(y)
        if not isinstance(x, np.ndarray):
            return
        features = self.num_features or "num_features"
        if x.ndim != 2 or x.shape[0] < 2 or x.shape[1] != (self.num_features or x.shape[1]):
            raise ValueError(
                f"AnomalyDetector needs a table of shape (samples, {features}) with two samples or more. "
                f"Received: an array of shape {x.shape}"
            )
        if not np.isfinite(x).all():
            row, column = map(int, np.argwhere(~np.isfinite(x))[0])
            raise ValueError(
                f"Data must be finite: leave out or fill in others. Received: {x[row, column]} in sample {row}, "
                f"column {column}"
            )
        constant = np.flatnonzero(np.ptp(x, axis=0) == 0)
        if constant.size:
            raise ValueError(
                "Every feature must vary in the training data: of one that does not, nobody knows how far is far. "
                f"Leave out the columns {', '.join(map(str, constant[:5]))}{' …' if constant.size > 5 else ''}"
            )

    def adapt(self, x: Any, y: Any = None) -> None:
        """Begin at robust estimates of centre and covariance; a model that has begun keeps what it has.

        Args:
            x: Training data of shape `(samples, num_features)`, a NumPy array.
            y: Labels to measure by, or `None`; nothing is learned from them.

        Raises:
            ValueError: As `check_data` does, or if most labels are those of anomalies.
        """
        x = np.asarray(x)
        self.check_data(x, y)
        if self.num_classes == 2 and isinstance(y, np.ndarray):
            check_anomalies_are_few(y, self.anomaly_class)
        if not self.built:
            with strategy_scope(self):
                self.build((None, x.shape[1]))
        if bool(ops.convert_to_numpy(self.adapted)):
            return
        begun = robust_beginning(x, self.covariance, self.seed)
        self.center.assign(begun.center)
        self.scale.assign(begun.scale)
        if begun.factor is not None:
            self.mean.assign(begun.mean)
            self.log_diagonal.assign(np.log(np.diag(begun.factor)))
            self.below_diagonal.assign(np.tril(begun.factor, -1))
        if self.wide == "uniform":
            sides = 2 * self.width * np.sqrt(np.diag(self.components().covariance))
            self.wide_log_density.assign(-float(np.log(sides).sum()))
        if self.learn_prior:
            # Logits learn slowly by gradients.
            share = share_of_wide(replace(self.components(), prior=self.prior), begun.x)
            self.prior_logit.assign(special.logit(share))
        self.adapted.assign(True)

    def components(self) -> TwoComponents:
        """Return what was learned, in float64 and in the data's unit: location, covariance, prior, width."""
        numbers = {
            name: np.asarray(ops.convert_to_numpy(getattr(self, name)), "float64")
            for name in ("center", "scale", "mean", "log_diagonal", "prior_logit")
        }
        factor = np.diag(np.exp(numbers["log_diagonal"]))
        if self.covariance == "full":
            factor = factor + np.tril(np.asarray(ops.convert_to_numpy(self.below_diagonal), "float64"), -1)
        root = numbers["scale"][:, np.newaxis] * linalg.inv(factor)
        uniform = self.wide == "uniform"
        return TwoComponents(
            numbers["center"] + numbers["scale"] * numbers["mean"],
            root @ root.T,
            float(special.expit(numbers["prior_logit"])),
            None if uniform else self.width,
            float(ops.convert_to_numpy(self.wide_log_density)) if uniform else 0.0,
        )

    def write_artifacts(self, directory: str | Path, dataset: Any) -> None:
        """Leave `anomaly_map.png` and `anomalies.csv`: where anomalies lie, and which samples are some, and why.

        Args:
            directory: An existing directory.
            dataset: A `kplug.Dataset` of arrays; its test split is shown, or else what it has.
        """
        from kplug_bayes.anomalies.pictures import write_pictures

        write_pictures(self, Path(directory), dataset)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_features": self.num_features,
            "covariance": self.covariance,
            "wide": self.wide,
            "width": self.width,
            "prior": self.prior,
            "learn_prior": self.learn_prior,
            "threshold": self.threshold,
            "num_classes": self.num_classes,
            "anomaly_class": self.anomaly_class,
            "seed": self.seed,
        }
