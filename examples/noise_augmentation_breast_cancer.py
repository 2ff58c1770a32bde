"""Learn a rare diagnosis: noisy copies of the few malignant tumours that there are, beside repeating them as they are.

Of 200 tumours to learn from, 10 are malignant. Both ways of filling up the rare class find more of the malignant ones
that the network has not seen, the noisy copies the most, at a few more false alarms; the area under the ROC curve
(AUC), which needs no threshold, says the same. Where no class is rare, do not expect much: on 20 of these tumours drawn
as they come, noise changed the accuracy by less than chance does.
"""

import sys

import keras
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import roc_auc_score

import kplug

epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 40
seeds = int(sys.argv[2]) if len(sys.argv) > 2 else 8

COMMON, RARE = 190, 10
SCALES = {"as they are": None, "repeated": 0.0, "noisy copies": 0.5}


def split(seed):
    """Return 200 tumours to train on, 10 of them malignant (label 1), and all others."""
    x, y = load_breast_cancer(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(x))
    x, y = x[order], 1 - y[order]
    train = np.concatenate([np.flatnonzero(y == 0)[:COMMON], np.flatnonzero(y == 1)[:RARE]])
    x = (x - x[train].mean(axis=0)) / x[train].std(axis=0)
    return x[train], y[train], np.delete(x, train, axis=0), np.delete(y, train)


def scores(scale, seed):
    """Train a small network and return what it makes of the tumours that it was not trained on.

    Returns the shares of the malignant and of the benign ones that it takes for malignant, and the AUC.
    """
    x, y, x_test, y_test = split(seed)
    if scale is not None:
        x, y = kplug.GaussianNoiseAugmentation(COMMON - RARE, scale=scale, seed=seed, balance=True)(x, y)
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.layers.Dense(32, activation="relu"), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(3e-3), loss=keras.losses.BinaryCrossentropy(from_logits=True))
    model.fit(x, y, epochs=epochs, batch_size=32, verbose=0)
    logits = keras.ops.convert_to_numpy(model(x_test))[:, 0]
    return np.mean(logits[y_test == 1] > 0), np.mean(logits[y_test == 0] > 0), roc_auc_score(y_test, logits)


print(f"{RARE} malignant among {COMMON + RARE} tumours to learn from; mean (sd) of {seeds} seeds")
for name, scale in SCALES.items():
    found, alarms, areas = np.transpose([scores(scale, seed) for seed in range(seeds)])
    print(
        f"{name:13s} malignant found {found.mean():.3f} ({found.std():.3f})  "
        f"false alarms {alarms.mean():.4f} ({alarms.std():.4f})  AUC {areas.mean():.4f} ({areas.std():.4f})",
        flush=True,
    )
