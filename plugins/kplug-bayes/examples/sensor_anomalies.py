"""Faults of sensors, found without labels: detectors of scikit-learn's kind, and one that Keras trains.

    python examples/sensor_anomalies.py [EPOCHS]

The picture `anomaly_map.png` and the table `anomalies.csv` are left in the current directory.
"""

import sys

import keras
import numpy as np
from sklearn.metrics import average_precision_score

import kplug_bayes
from kplug_bayes.datasets.sensor_readings import KINDS

epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 10

readings = kplug_bayes.sensor_readings(seed=0)
kinds = kplug_bayes.sensor_readings(labels="kind", seed=0).test[1]
x_train = readings.train[0]
x, y = readings.test
print(f"{len(x_train)} readings to learn from, {len(x)} to test on, {int(y.sum())} of them faulty\n")
print(f"{'':22s} precision  recall  average precision   recall of {', '.join(KINDS[1:])}")


def report(name, probability):
    """Print how much of what is flagged is faulty, and how much of what is faulty is flagged."""
    flagged = probability > 0.5
    recalls = "  ".join(f"{flagged[kinds == kind].mean():.2f}" for kind in range(1, len(KINDS)))
    precision, recall = y[flagged].mean(), flagged[y == 1].mean()
    average = average_precision_score(y, probability)
    print(f"{name:22s} {precision:9.3f}  {recall:6.3f}  {average:17.3f}   {recalls}")


for options in ({"covariance": "diagonal"}, {}, {"covariance": "robust", "random_state": 0}, {"prior": "learned"}):
    detector = kplug_bayes.BayesianAnomalyDetector(**options).fit(x_train)
    name = options.get("covariance", "learned by EM" if "prior" in options else "full")
    report(name, detector.anomaly_probability(x))

keras.utils.set_random_seed(0)
model = kplug_bayes.AnomalyDetector(num_classes=2)
model.compile(keras.optimizers.Adam(0.003))
model.fit(x_train, epochs=epochs, batch_size=256, verbose=0)
report("AnomalyDetector, Keras", model.predict(x, verbose=0))
model.write_artifacts(".", readings)

worst = int(np.argmax(detector.anomaly_probability(x) * (y == 1)))
shares = detector.explain(x[[worst]])[0]
print(f"\nReading {worst}, a {KINDS[kinds[worst]]}: log odds {-detector.score_samples(x[[worst]])[0]:.1f}, from")
print(
    "  " + ", ".join(f"{name} {share:.1f}" for name, share in zip(readings.info["feature_names"], shares, strict=True))
)
