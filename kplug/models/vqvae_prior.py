"""An autoregressive distribution over codes: what is learned of them, and new ones drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from kplug.models.vqvae_networks import causal_transformer

_LOGITS_AT_A_TIME = 2**24


class CodePrior:
    """The probability of a sequence of codes, each given those before it (van den Oord et al. 2017, section 3.3).

    Args:
        num_embeddings: Number of codes.
        length: Codes per sample.
        units: Width of the transformer that predicts them.
        blocks: Its blocks.
        dropout: Share of its units that is dropped in training.
        seed: Whole number that makes weights, dropout and the order of training repeat, or `None`.
    """

    def __init__(
        self, num_embeddings: int, length: int, units: int, blocks: int, dropout: float, seed: int | None = None
    ) -> None:
        self.num_embeddings = num_embeddings
        self.length = length
        self.seed = seed
        self.network = causal_transformer(num_embeddings, length, units, blocks, dropout, seed)
        self._at_a_time = max(1, _LOGITS_AT_A_TIME // (length * num_embeddings))

    def fit(
        self,
        codes: np.ndarray,
        epochs: int,
        batch_size: int,
        learning_rate: float,
        validation: np.ndarray | None = None,
        verbose: Any = "auto",
    ) -> keras.callbacks.History:
        """Train on codes of shape `(n, length)`; the loss is in nats per sample."""
        self.network.compile(keras.optimizers.Adam(learning_rate), loss=_nats, jit_compile=self.network.jit_compile)
        return self.network.fit(
            _ShuffledCodes(codes, batch_size, self.seed),
            epochs=epochs,
            shuffle=False,
            validation_data=None if validation is None else (validation, validation),
            validation_batch_size=None if validation is None else batch_size,
            verbose=verbose,
        )

    def log_prob(self, codes: np.ndarray) -> np.ndarray:
        """Return the log probability of each row of codes, in nats, of shape `(n,)`."""
        chunks = [codes[start : start + self._at_a_time] for start in range(0, len(codes), self._at_a_time)]
        found = [-ops.convert_to_numpy(_nats(chunk, self.network.predict_on_batch(chunk))) for chunk in chunks]
        return np.concatenate([np.zeros((0,), "float32"), *found])

    def sample(self, n: int, seed: int | None = None) -> np.ndarray:
        """Draw `n` rows of codes, one position after the other: int32 of shape `(n, length)`."""
        random = np.random.default_rng(seed)
        codes = np.zeros((n, self.length), "int32")
        for start in range(0, n, self._at_a_time):
            chunk = codes[start : start + self._at_a_time]
            for position in range(self.length):
                logits = self.network.predict_on_batch(chunk)[:, position]
                # The largest of the logits with Gumbel noise is a draw from their softmax.
                chunk[:, position] = np.argmax(logits + random.gumbel(size=logits.shape), axis=-1)
        return codes

    def get_weights(self) -> list[np.ndarray]:
        """Return the network's weights."""
        return [ops.convert_to_numpy(variable) for variable in self.network.trainable_variables]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set the network's weights to those that `get_weights` returned."""
        for variable, value in zip(self.network.trainable_variables, weights, strict=True):
            variable.assign(value)


class _ShuffledCodes(keras.utils.PyDataset):
    """Whole batches of codes, as inputs and targets, in a new order every epoch."""

    def __init__(self, codes: np.ndarray, batch_size: int, seed: int | None) -> None:
        super().__init__()
        self._codes = codes
        self._batch_size = min(batch_size, len(codes))
        self._random = np.random.default_rng(_drawn_seed() if seed is None else seed)
        self.on_epoch_end()

    def __len__(self) -> int:
        return len(self._codes) // self._batch_size

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = self._codes[self._order[index * self._batch_size :][: self._batch_size]]
        return chosen, chosen

    def on_epoch_end(self) -> None:
        self._order = self._random.permutation(len(self._codes))


def _drawn_seed() -> int:
    """Return a seed that follows from `keras.utils.set_random_seed`."""
    return int(keras.random.randint((), 0, 2**31 - 1))


def _nats(codes: Any, logits: Any) -> Any:
    """Return minus the log probability of each row of codes: shape `(n,)`."""
    return ops.sum(ops.sparse_categorical_crossentropy(codes, logits, from_logits=True), axis=-1)
