"""Find a rare class: focal loss beside cross-entropy on breast-cancer data in which one case in 25 is malignant."""

import sys

import keras
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import average_precision_score
from sklearn.model_selection import train_test_split

import kplug

epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 60

x, y = load_breast_cancer(return_X_y=True)
malignant = (y == 0).astype("float32")
x = ((x - x.mean(axis=0)) / x.std(axis=0)).astype("float32")
x_train, x_test, y_train, y_test = train_test_split(x, malignant, test_size=0.4, random_state=0, stratify=malignant)
kept = np.flatnonzero((y_train == 0) | (np.cumsum(y_train) <= 9))
x_train, y_train = x_train[kept], y_train[kept]
print(f"{int(y_train.sum())} malignant among {len(y_train)} training cases")

for name, loss in {
    "cross-entropy": keras.losses.BinaryCrossentropy(from_logits=True),
    "focal loss": kplug.FocalLoss(alpha=0.75, gamma=2.0, from_logits=True),
}.items():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.layers.Dense(32, activation="relu"), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(3e-3), loss=loss)
    model.fit(x_train, y_train, epochs=epochs, batch_size=32, verbose=0)
    scores = model.predict(x_test, verbose=0)[:, 0]
    found = ((scores > 0) & (y_test == 1)).sum() / y_test.sum()
    print(f"{name:14s} recall {found:.3f}  average precision {average_precision_score(y_test, scores):.3f}")
