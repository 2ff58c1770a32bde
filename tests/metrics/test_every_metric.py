"""What holds for every metric of targets and predictions: it works in every way Keras uses one.

`GeometricMean`, like Keras' own `Mean`, takes values alone.
"""

import numpy as np
import pytest

from kplug import metrics, testing

RNG = np.random.default_rng(0)
LABELS = np.repeat(np.arange(3), 4)
POINTS = np.eye(4)[LABELS] + RNG.normal(0, 0.7, size=(12, 4))
SCORES = RNG.dirichlet(np.ones(3), size=12)
COUNTS = RNG.poisson(0.6, size=(4, 8))
TOPICS = RNG.dirichlet(np.ones(8), size=4)

CASES = {
    # A query of weight 0 is still a neighbour of the others.
    "recall at 2": (lambda: metrics.RecallAtK(2, capacity=20), LABELS, POINTS, {"weighted": False}),
    "mean average precision at r": (
        lambda: metrics.MeanAveragePrecisionAtR("euclidean", capacity=20),
        LABELS,
        POINTS,
        {"weighted": False},
    ),
    "calibration error": (lambda: metrics.ExpectedCalibrationError(num_bins=4), LABELS, SCORES, {}),
    "matthews correlation": (lambda: metrics.MatthewsCorrelation(3), LABELS, SCORES, {}),
    # A batch has as many topics as documents, since Keras puts samples into batches.
    "coherence": (lambda: metrics.TopicCoherence(num_words=3), COUNTS, TOPICS, {"by_parts": False, "weighted": False}),
    "diversity": (lambda: metrics.TopicDiversity(num_words=3), COUNTS, TOPICS, {"by_parts": False, "weighted": False}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_metric_works_in_every_way_keras_uses_one(case, other_backends):
    make, y_true, y_pred, options = CASES[case]
    testing.check_metric(make(), y_true, y_pred, backends=other_backends, **options)


@pytest.mark.parametrize(
    "case", ["recall at 2", "mean average precision at r", "calibration error", "matthews correlation"]
)
def test_another_number_of_targets_than_predictions_is_refused(case):
    make, y_true, y_pred, _ = CASES[case]
    with pytest.raises(ValueError, match=r"one target per prediction.*\(1,\).*\(12, "):
        make().update_state(y_true[:1], y_pred.astype("float32"))
