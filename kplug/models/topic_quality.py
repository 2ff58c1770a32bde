"""How good topics are while they are learned: perplexity, coherence, diversity."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kplug.metrics.topic_coherence import topic_coherence
from kplug.metrics.topic_diversity import topic_diversity

_WORDS = 10


class Perplexity(keras.Metric):
    """The exponential of the nats per word: `exp( sum of the documents' losses / number of their words )`."""

    def __init__(self, name: str = "perplexity") -> None:
        super().__init__(name=name, dtype="float32")
        self.nats = self.add_variable((), "zeros", name="nats")
        self.words = self.add_variable((), "zeros", name="words")

    def update_state(self, counts: Any, losses: Any, sample_weight: Any = None) -> None:
        """Add documents: counts of shape `(batch_size, vocabulary_size)`, losses in nats of shape `(batch_size,)`."""
        words = ops.sum(counts, axis=-1)
        if sample_weight is not None:
            losses, words = losses * sample_weight, words * sample_weight
        self.nats.assign_add(ops.sum(losses))
        self.words.assign_add(ops.sum(words))

    def result(self) -> Any:
        return ops.exp(self.nats / ops.maximum(self.words, 1.0))


class TopicQuality:
    """The training documents, and the callback that puts the topics' quality in them into each epoch's logs."""

    def __init__(self) -> None:
        self.documents: Any = None

    def callback(self, model: Any) -> keras.callbacks.Callback:
        """Return a callback that adds `coherence` (NPMI) and `diversity`, if the documents are known."""

        def add(epoch: int, logs: dict[str, float]) -> None:
            del epoch
            if self.documents is None or logs is None:
                return
            ranking = model.ranking()
            words = min(_WORDS, ranking.shape[1])
            logs["coherence"] = float(topic_coherence(ranking, self.documents, num_words=words).mean())
            logs["diversity"] = float(topic_diversity(ranking, num_words=words))

        return keras.callbacks.LambdaCallback(on_epoch_end=add)
