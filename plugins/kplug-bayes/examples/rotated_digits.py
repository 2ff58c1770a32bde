"""A classifier of digits that says "I do not know" when they are turned.

    python examples/rotated_digits.py [PICTURE [EPOCHS]]

trains a Bayesian network on upright digits (scikit-learn's, 8 by 8 pixels), turns the test digits step by step, and
prints for each angle how often it is right, how sure it says it is, and the mutual information between class and
weights: what its draws disagree about. Answers whose mutual information is beyond that of 95 % of the upright digits
count as "I do not know". Up to 30 degrees the mutual information grows with the angle; beyond, many a digit looks like
another one, and the network may be wrong and sure of it. The picture shows one digit, turned, and its probabilities.
With 60 epochs it takes about half a minute.
"""

from __future__ import annotations

import sys

import keras
import kplug
import numpy as np
from matplotlib.figure import Figure
from scipy import ndimage

import kplug_bayes

ANGLES = (0, 5, 10, 15, 20, 25, 30, 45, 60, 90, 120, 180)
EPOCHS = 60
KL_SCALE = 0.03


def turned(images: np.ndarray, angle: float) -> np.ndarray:
    """Return images turned to the left, in degrees."""
    return np.clip(ndimage.rotate(images, angle, axes=(2, 1), reshape=False, order=1), 0, 1).astype("float32")


def trained(data: kplug.Dataset, epochs: int) -> kplug_bayes.BayesianClassifier:
    """Return a classifier that was trained on upright digits."""
    x, y = data.train
    # A larger share of the KL divergence than the default says more of what is not known; with all of it so few images
    # leave every answer unsure.
    model = kplug_bayes.BayesianClassifier(num_classes=10, filters=(16, 32), kl_scale=KL_SCALE, seed=0)
    rate = keras.optimizers.schedules.CosineDecay(3e-3, epochs * len(x) // 64)
    model.compile(keras.optimizers.Adam(rate), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=epochs, batch_size=64, verbose=0)
    return model


def picture(predictor: kplug_bayes.MonteCarloPredictor, image: np.ndarray, path: str) -> None:
    """Draw one digit at all angles, with the probabilities of the classes and the mutual information."""
    copies = np.concatenate([turned(image[None], angle) for angle in ANGLES])
    prediction = predictor(copies)
    figure = Figure(figsize=(1.4 * len(copies), 3.4), dpi=120, layout="constrained")
    upper, lower = figure.subplots(2, len(copies))
    for number, angle in enumerate(ANGLES):
        upper[number].imshow(copies[number].squeeze(), cmap="gray", vmin=0, vmax=1)
        upper[number].set_title(f"{angle}°", fontsize=8)
        upper[number].axis("off")
        lower[number].bar(range(10), prediction.mean[number], yerr=prediction.std[number], error_kw={"linewidth": 0.7})
        lower[number].set(ylim=(0, 1), yticks=[], xticks=range(10))
        lower[number].tick_params(labelsize=5)
        lower[number].set_title(f"{prediction.mutual_information[number]:.2f} nats", fontsize=8)
    figure.savefig(path)


def main(path: str, epochs: int = EPOCHS) -> None:
    data = kplug.get("digits", "dataset")()
    predictor = kplug_bayes.MonteCarloPredictor(trained(data, epochs), samples=50, seed=0)
    x, y = data.test
    upright = predictor(x)
    limit = np.quantile(upright.mutual_information, 0.95)
    print("angle  right  confidence  mutual information  I do not know  right where it answers")
    for angle in ANGLES:
        prediction = predictor(turned(x, angle))
        right = prediction.classes == y
        unknown = prediction.mutual_information > limit
        answered = f"{right[~unknown].mean():.2f}" if (~unknown).any() else "-"
        print(
            f"{angle:4d}°  {right.mean():5.2f}  {prediction.mean.max(axis=1).mean():10.2f}"
            f"  {prediction.mutual_information.mean():18.3f}  {unknown.mean():13.2f}  {answered:>22}"
        )
    picture(predictor, x[int(np.argmax(y == 3))], path)
    print(f"picture: {path}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "rotated_digits.png", *map(int, sys.argv[2:3]))
