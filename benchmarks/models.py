"""The topic model beside scikit-learn's latent Dirichlet allocation, the image classifier beside its support vectors.

    python benchmarks/models.py

Protocols. Topics: documents drawn from ten known topics (`kplug.datasets.synthetic_topics`); NPMI of the top ten words
in the test documents, and the share of the true top ten words that is found, topics matched best. Which words are a
topic's top ones is decided for every contestant alike, the truth included, by relevance (Sievert & Shirley 2014): 1 is
the plain probability. The k-means clusters that kplug's topics begin at are a contestant of their own. Classifier:
scikit-learn's example, the first half of the digits to learn from and the second to test on.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from record import machine, print_table, write_result
from scipy.optimize import linear_sum_assignment
from sklearn.datasets import load_digits
from sklearn.decomposition import LatentDirichletAllocation
from sklearn.svm import SVC

import kplug
from kplug.models.topic_seeds import topic_seeds

SEEDS = (0, 1, 2)
RELEVANCES = (1.0, 0.6, 0.28)


def measure_topics() -> dict[str, Any]:
    """Return NPMI, match and seconds by contestant and seed."""
    dataset = kplug.datasets.synthetic_topics()
    train, test = dataset.train[0], dataset.test[0]
    truth = kplug.datasets.synthetic_topics_truth()

    figures: dict[str, Any] = {}

    def judge(contestant: str, topics: np.ndarray, seconds: float | None = None) -> None:
        shares = np.log(topics / topics.sum(axis=1, keepdims=True) + 1e-12)
        overall = np.log(np.exp(shares).mean(axis=0))
        for relevance in RELEVANCES:
            ranking = shares - (1 - relevance) * overall
            npmi = float(kplug.topic_coherence(ranking, test).mean())
            row = {"npmi": round(npmi, 4), "match": round(_match(ranking, truth), 3)}
            row |= {} if seconds is None else {"seconds": seconds}
            figures.setdefault(f"{contestant}, relevance {relevance}", []).append(row)

    judge("truth", truth)
    for seed in SEEDS:
        lda = LatentDirichletAllocation(10, random_state=seed)
        seconds = _seconds(lambda lda=lda: lda.fit(train))
        judge("scikit-learn LDA", lda.components_, seconds)
        judge("k-means", np.exp(topic_seeds(train, 10, seed)))
        for decoder, rate in (("mixture", 0.02), ("embedded", 0.02), ("product", 0.005)):
            keras.utils.set_random_seed(seed)
            model = kplug.NeuralTopicModel(num_topics=10, decoder=decoder, seed=seed)
            model.compile(keras.optimizers.Adam(rate))
            seconds = _seconds(lambda model=model: model.fit(train, epochs=40, batch_size=200, verbose=0))
            judge(f"kplug {decoder}", model.topic_words().astype("float64"), seconds)
    return figures


def _match(found: np.ndarray, truth: np.ndarray, words: int = 10) -> float:
    tops = [[set(np.argsort(-row)[:words].tolist()) for row in topics] for topics in (found, truth)]
    shared = np.array([[len(mine & true) / words for true in tops[1]] for mine in tops[0]])
    return float(shared[linear_sum_assignment(-shared)].mean())


def measure_classifier(epochs: int = 60) -> dict[str, Any]:
    """Return test accuracy and seconds by contestant and seed."""
    images, labels = load_digits(return_X_y=True)
    half = len(images) // 2
    vectors = SVC(gamma=0.001)
    seconds = _seconds(lambda: vectors.fit(images[:half], labels[:half]))
    figures: dict[str, Any] = {
        "scikit-learn SVC": [{"accuracy": round(vectors.score(images[half:], labels[half:]), 4), "seconds": seconds}]
    }
    x = (images / 16).astype("float32").reshape(-1, 8, 8, 1)
    for seed in SEEDS:
        keras.utils.set_random_seed(seed)
        model = kplug.AugmentedCNN(10, noise=0.1, label_smoothing=0.1, seed=seed)
        rate = keras.optimizers.schedules.CosineDecay(2e-3, epochs * -(-half // 32))
        model.compile(keras.optimizers.Adam(rate), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        seconds = _seconds(
            lambda model=model: model.fit(x[:half], labels[:half], batch_size=32, epochs=epochs, verbose=0)
        )
        accuracy = model.evaluate(x[half:], labels[half:], verbose=0, return_dict=True)["accuracy"]
        figures.setdefault("kplug", []).append({"accuracy": round(accuracy, 4), "seconds": seconds})
        copies = float(np.mean(model.predict_augmented(x[half:]).argmax(axis=1) == labels[half:]))
        figures.setdefault("kplug, augmented copies", []).append({"accuracy": round(copies, 4)})
    return figures


def _seconds(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return round(time.perf_counter() - begun, 1)


def _means(rows: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(statistics.mean(row[name] for row in rows), 4) for name in rows[0]}


def main() -> None:
    """Measure, print and record."""
    where = machine()
    figures = {"topics": measure_topics(), "classifier": measure_classifier()}
    for part, contestants in figures.items():
        print(f"\n{part}: means over the seeds")
        columns = {column: "" for rows in contestants.values() for column in rows[0]}
        print_table([{"contestant": name, **columns, **_means(rows)} for name, rows in contestants.items()])
    write_result("models", figures, where, {"seeds": list(SEEDS)}, {})


if __name__ == "__main__":
    main()
