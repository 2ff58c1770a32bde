"""Find a rare class: focal loss beside cross-entropy where one digit in 45 is an eight, and their curves of precision.

Precision against recall over all seeds is drawn to `precision_recall.png` in the current directory.
"""

import sys

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import average_precision_score, precision_recall_curve

import kplug

epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 25
seeds = int(sys.argv[2]) if len(sys.argv) > 2 else 4

LOSSES = {
    "cross-entropy": keras.losses.BinaryCrossentropy(from_logits=True),
    "focal loss": kplug.FocalLoss(alpha=0.75, gamma=2.0, from_logits=True),
}


def split(seed, eights=20):
    """Return 1,000 digits to train on without all but a few of their eights, and the others with all of theirs."""
    images, digits = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(images))
    x, y = (images[order] / 16).astype("float32"), (digits[order] == 8).astype("float32")
    kept = np.flatnonzero((y[:1000] == 0) | (np.cumsum(y[:1000]) <= eights))
    return x[kept], y[kept], x[1000:], y[1000:]


def scores(loss, seed):
    """Train a small network and return its labels and logits on the digits it was not trained on."""
    x_train, y_train, x_test, y_test = split(seed)
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.layers.Dense(32, activation="relu"), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(3e-3), loss=loss)
    model.fit(x_train, y_train, epochs=epochs, batch_size=32, verbose=0)
    return y_test, model.predict(x_test, verbose=0)[:, 0]


labels = split(0)[1]
print(f"{int(labels.sum())} eights among {len(labels)} training digits; {seeds} seeds")
figure, axes = plt.subplots(figsize=(5, 4), layout="constrained")
for name, loss in LOSSES.items():
    tests = [scores(loss, seed) for seed in range(seeds)]
    precisions = [average_precision_score(y, logits) for y, logits in tests]
    recalls = [np.mean(logits[y == 1] > 0) for y, logits in tests]
    print(
        f"{name:14s} average precision {np.mean(precisions):.3f} (sd {np.std(precisions):.3f})  "
        f"eights found {np.mean(recalls):.3f} (sd {np.std(recalls):.3f})"
    )
    y, logits = (np.concatenate(parts) for parts in zip(*tests, strict=True))
    precision, recall, _ = precision_recall_curve(y, logits)
    axes.plot(recall, precision, label=f"{name}, {np.mean(precisions):.3f}")
axes.set(xlabel="recall", ylabel="precision", title="Eights, 20 of them in training")
axes.legend(title="average precision", loc="lower left")
figure.savefig("precision_recall.png", dpi=120)
