"""Classify handwritten digits, with half of them to learn from: augmentation, label smoothing, test-time copies."""

import sys

import keras
from sklearn.datasets import load_digits

import kplug

epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 60

images, labels = load_digits(return_X_y=True)
images = (images / 16).astype("float32").reshape(-1, 8, 8, 1)
half = len(images) // 2  # scikit-learn's own example learns from the first half and tests on the second

keras.utils.set_random_seed(0)
model = kplug.AugmentedCNN(num_classes=10, noise=0.1, label_smoothing=0.1, seed=0)
rate = keras.optimizers.schedules.CosineDecay(2e-3, epochs * -(-half // 32))
model.compile(keras.optimizers.Adam(rate), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(images[:half], labels[:half], epochs=epochs, batch_size=32, verbose=0)
accuracy = model.evaluate(images[half:], labels[half:], verbose=0, return_dict=True)["accuracy"]
copies = (model.predict_augmented(images[half:]).argmax(axis=1) == labels[half:]).mean()
print(f"accuracy {accuracy:.4f}, over augmented copies {copies:.4f}")
