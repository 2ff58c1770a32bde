"""What a topic model is given: texts, word counts, sparse counts; trained on, evaluated and predicted alike."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from kplug.models.documents import (
    DocumentBatches,
    check_counts,
    in_batches,
    is_sparse,
    is_text,
    validation_of,
    vocabulary_of,
    with_held_out,
)


class TopicDocuments:
    """`fit`, `evaluate` and `predict` of a `keras.Model` on documents in any form.

    What a member has: `built`, `seed`, `vocabulary`, `vocabulary_size`, `quality`, `adapt`, `_counts` of texts, and
    `named_arguments` of `OwnLoss`.
    """

    built: Any
    seed: int | None
    vocabulary: tuple[str, ...] | None
    vocabulary_size: int | None
    quality: Any
    adapt: Any
    _counts: Any
    named_arguments: Any

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Train the model as `keras.Model.fit` does, on texts or word counts; targets are ignored.

        Args:
            x: A list of texts; word counts, NumPy or scipy sparse, of shape `(n, vocabulary_size)`; or any data that
                `keras.Model.fit` takes.
            y: Ignored.
            *args: As for `keras.Model.fit`.
            **kwargs: As for `keras.Model.fit`.

        Raises:
            ValueError: If the data are no counts.
        """
        known = self.vocabulary, self.vocabulary_size
        given = is_text(x) or isinstance(x, np.ndarray) or is_sparse(x)
        try:
            x = self._documents(x, learn=True)
            if given:
                self.adapt(x)
        except ValueError:
            if not self.built:  # texts that nothing can be learned from leave no vocabulary behind
                self.vocabulary, self.vocabulary_size = known
            raise
        options = self.named_arguments(keras.Model.fit, x, y, args, kwargs)
        if is_sparse(x):
            options = with_held_out(options)
        if options.get("validation_data") is not None:
            options["validation_data"] = self._validation(options)
        if is_sparse(x):
            options = in_batches(options, options.get("shuffle", True), self.seed)
        options["callbacks"] = [self.quality.callback(self), *_as_list(options.get("callbacks"))]
        try:
            return super().fit(**options)  # type: ignore[misc]
        finally:
            if given:
                self.quality.documents = None

    def _documents(self, x: Any, learn: bool = False) -> Any:
        """Return texts as word counts, sparse counts by rows, and anything else as it is.

        Args:
            x: What Keras was given.
            learn: Whether the texts may make the vocabulary.
        """
        if not is_text(x):
            return x.tocsr() if is_sparse(x) else x
        if learn and self.vocabulary is None and self.vocabulary_size is None:
            self.vocabulary = vocabulary_of(x)
            self.vocabulary_size = len(self.vocabulary)
        return self._counts(x)

    def _validation(self, options: dict[str, Any]) -> Any:
        """Return `fit`'s validation data with texts counted and sparse counts in batches."""
        given = options["validation_data"]
        parts = (given,) if is_text(given) or is_sparse(given) else given
        if not isinstance(parts, tuple | list):
            return given
        counts = self._documents(parts[0])
        if not (isinstance(counts, np.ndarray) or is_sparse(counts)):
            return given
        self.check_data(counts)
        return validation_of(counts, parts[2] if len(parts) == 3 else None, options)

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Return the losses and the perplexity as `keras.Model.evaluate` does, of texts or word counts."""
        x = self._documents(x)
        self.check_data(x)
        options = self.named_arguments(keras.Model.evaluate, x, y, args, kwargs)
        return super().evaluate(**in_batches(options) if is_sparse(x) else options)  # type: ignore[misc]

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Return what the model puts out as `keras.Model.predict` does, of texts or word counts; see `transform`."""
        x = self._documents(x)
        self.check_data(x)
        if is_sparse(x):
            x = DocumentBatches(x, kwargs.pop("batch_size", None) or 32, shuffle=False)
        return super().predict(x, *args, **kwargs)  # type: ignore[misc]

    def check_data(self, x: Any) -> None:
        """Refuse what are no word counts; only NumPy and scipy sparse arrays are looked at.

        Raises:
            ValueError: If the array has another shape or what is no count, or if no document has words.
        """
        if isinstance(x, np.ndarray) or is_sparse(x):
            check_counts(x, self.vocabulary_size)


def _as_list(callbacks: Any) -> list:
    if callbacks is None:
        return []
    return list(callbacks) if isinstance(callbacks, list | tuple) else [callbacks]
