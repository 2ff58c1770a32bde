"""Metric learning on digits: embeddings that put an unseen digit next to its like, with three losses."""

import sys

import keras

import kplug

epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 40

digits = kplug.datasets.digits()
x, y = digits.train
x_test, y_test = digits.test


def encoder() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.Conv2D(64, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(16),
            keras.layers.UnitNormalization(),
        ]
    )


for loss in (
    kplug.TripletSemihardLoss(margin=0.5),
    kplug.SupervisedContrastiveLoss(temperature=0.1),
    kplug.MultiSimilarityLoss(),
):
    keras.utils.set_random_seed(0)
    model = encoder()
    model.compile(keras.optimizers.Adam(1e-3), loss, metrics=[kplug.RecallAtK(1), kplug.MeanAveragePrecisionAtR()])
    before = model.evaluate(x_test, y_test, batch_size=360, return_dict=True, verbose=0)
    # Metrics over all samples are for the evaluation; in training they would be computed at every step.
    trained = keras.Sequential(model.layers)
    trained.compile(keras.optimizers.Adam(1e-3), loss)
    trained.fit(x, y, epochs=epochs, batch_size=256, verbose=0)
    after = model.evaluate(x_test, y_test, batch_size=360, return_dict=True, verbose=0)
    shown = "  ".join(f"{name} {before[name]:.3f} -> {after[name]:.3f}" for name in after if name != "loss")
    print(f"{loss.name:28s} {shown}")
