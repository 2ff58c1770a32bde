"""What a new plugin begins with: one component of each kind, and how people use it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kplug.catalog.component import KINDS, kind_of
from kplug.errors import PluginError


@dataclass(frozen=True)
class Sample:
    """One component of a new plugin.

    Attributes:
        kind: Its kind.
        module: The module that holds it, which is also its entry point's name.
        attribute: The class or function.
        summary: What it is, in a few words.
        train: The arguments of a `kplug train` that uses it, with `NAME` for the namespace, or `None`.
        code: The lines of Python that use it.
    """

    kind: str
    module: str
    attribute: str
    summary: str
    train: str | None
    code: str

    @property
    def group(self) -> str:
        """The entry points' group."""
        return f"kplug.{KINDS[self.kind]}"


_SAMPLES = (
    Sample(
        "loss",
        "generalized_cross_entropy",
        "GeneralizedCrossEntropy",
        "a loss for labels of which some are wrong",
        "augmented_cnn --data digits --epochs 5 --loss NAME/generalized_cross_entropy --set loss.q=0.5",
        'model.compile("adam", loss=GeneralizedCrossEntropy(q=0.5))',
    ),
    Sample(
        "layer",
        "snake",
        "Snake",
        "an activation for what repeats",
        None,
        "model = keras.Sequential([keras.layers.Dense(64), Snake(), keras.layers.Dense(1)])",
    ),
    Sample(
        "metric",
        "selective_accuracy",
        "SelectiveAccuracy",
        "how often a classifier is right where it is sure",
        "augmented_cnn --data digits --epochs 5 --metric NAME/selective_accuracy",
        'model.compile("adam", "sparse_categorical_crossentropy", metrics=[SelectiveAccuracy(0.9)])',
    ),
    Sample(
        "model",
        "conv_mixer",
        "ConvMixer",
        "a small image classifier of nothing but convolutions",
        "NAME/conv_mixer --data digits --epochs 5",
        "model = ConvMixer(num_classes=10)",
    ),
    Sample(
        "dataset",
        "shapes",
        "shapes",
        "small images of discs, squares and crosses",
        "augmented_cnn --data NAME/shapes --epochs 5",
        "images, labels = shapes().train",
    ),
    Sample(
        "callback",
        "stop_at_target",
        "StopAtTarget",
        "ends the training as soon as a metric is good enough",
        "augmented_cnn --data digits --epochs 50 --callback NAME/stop_at_target",
        "model.fit(x, y, epochs=100, validation_split=0.1, callbacks=[StopAtTarget(0.98)])",
    ),
    Sample(
        "launcher",
        "under_command",
        "UnderCommand",
        "runs workers under another command, as `nice` or `srun`",
        "augmented_cnn --data digits --epochs 5 --launcher NAME/under_command",
        'launcher = UnderCommand("nice -n 19")',
    ),
)

SAMPLES = {sample.kind: sample for sample in _SAMPLES}
"""Kind -> what a new plugin has of it."""


def samples_of(words: Iterable[str]) -> tuple[Sample, ...]:
    """Return the samples of the kinds that a person names, singular or plural, each once.

    Raises:
        UnknownComponentError: If no kind is called so.
        PluginError: If there is no sample of a kind.
    """
    kinds = dict.fromkeys(kind_of(word) for word in words)
    for kind in kinds:
        if kind not in SAMPLES:
            raise PluginError(
                f"There is no template for the kind {kind}. Choose one of: {', '.join(SAMPLES)}; then add an entry "
                f"point in kplug.{KINDS[kind]} to its pyproject.toml."
            )
    return tuple(SAMPLES[kind] for kind in kinds)
