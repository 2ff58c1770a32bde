"""Metrics that Keras lacks."""

from kplug.metrics.expected_calibration_error import ExpectedCalibrationError
from kplug.metrics.geometric_mean import GeometricMean
from kplug.metrics.matthews_correlation import MatthewsCorrelation
from kplug.metrics.mean_average_precision_at_r import MeanAveragePrecisionAtR
from kplug.metrics.recall_at_k import RecallAtK
from kplug.metrics.topic_coherence import TopicCoherence, topic_coherence
from kplug.metrics.topic_diversity import TopicDiversity, topic_diversity

__all__ = [
    "ExpectedCalibrationError",
    "GeometricMean",
    "MatthewsCorrelation",
    "MeanAveragePrecisionAtR",
    "RecallAtK",
    "TopicCoherence",
    "TopicDiversity",
    "topic_coherence",
    "topic_diversity",
]
