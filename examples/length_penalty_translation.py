"""A toy translation that must end in the right place: numbers from 1 to 12 become that many words, then padding.

Cross-entropy that leaves padding out, as usual, never teaches a model to stop: nothing is said about what follows the
last word. The length penalty teaches it through the expected length.
"""

import sys

import keras
import numpy as np

import kplug

epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 60
PADDING, FIRST_WORD, TIME = 0, 1, 14

rng = np.random.default_rng(0)
numbers = rng.integers(1, 13, 600)
words = FIRST_WORD + np.arange(TIME) % 3
targets = np.where(np.arange(TIME) < numbers[:, None], words, PADDING)
sources = np.eye(12)[numbers - 1]

for name, alpha in {"cross-entropy": 0.0, "with length penalty": 0.1}.items():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((12,)),
            keras.layers.RepeatVector(TIME),
            keras.layers.GRU(32, return_sequences=True),
            keras.layers.Dense(4),
        ]
    )
    model.compile(keras.optimizers.Adam(5e-3), kplug.LengthPenaltyLoss(alpha=alpha, padding_id=PADDING))
    model.fit(sources, targets, epochs=epochs, batch_size=64, verbose=0)
    tokens = model.predict(np.eye(12), verbose=0).argmax(axis=-1)
    lengths = np.where((tokens == PADDING).any(axis=1), (tokens == PADDING).argmax(axis=1), TIME)
    right = np.mean([np.mean(row[:n] == words[:n]) for row, n in zip(tokens, range(1, 13), strict=True)])
    print(f"{name:20s} lengths {lengths.tolist()}  words right {right:.0%}")
