"""The pictures and tables a topic model leaves."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

_WORDS = 10
_COLUMNS = 5


def write_pictures(model: Any, directory: Path, dataset: Any) -> None:
    """Write `topics.csv`, `topics.png` and `topic_sizes.png`; words are ranked by `model.ranking()`.

    Args:
        model: A built `kplug.NeuralTopicModel`.
        directory: An existing directory.
        dataset: A `kplug.Dataset`; the sizes are those in its training documents.
    """
    names = model.vocabulary or dataset.info.get("vocabulary")
    weights = model.topic_words()
    if names is None:
        names = [str(number) for number in range(weights.shape[1])]
    order = np.argsort(-model.ranking(), axis=1, kind="stable")[:, :_WORDS]
    train = dataset.train[0] if isinstance(dataset.train, tuple) else None
    sizes = None if train is None else model.transform(train).mean(axis=0)
    with (directory / "topics.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["topic", "share", "rank_by_relevance", "word", "probability"])
        for topic, words in enumerate(order):
            for rank, word in enumerate(words, start=1):
                share = "" if sizes is None else f"{sizes[topic]:.6f}"
                table.writerow([topic, share, rank, names[word], f"{weights[topic, word]:.6f}"])
    top_words(order, weights, names).savefig(directory / "topics.png")
    if sizes is not None:
        topic_sizes(sizes, order, names).savefig(directory / "topic_sizes.png")


def top_words(order: np.ndarray, weights: np.ndarray, names: Any) -> Figure:
    """Return one panel per topic with its top words and their probabilities."""
    rows = math.ceil(len(order) / _COLUMNS)
    figure = Figure(figsize=(2.6 * _COLUMNS, 2.4 * rows), dpi=120, layout="constrained")
    for topic, axes in enumerate(figure.subplots(rows, _COLUMNS, squeeze=False).flat):
        if topic >= len(order):
            axes.axis("off")
            continue
        words = order[topic][::-1]
        axes.barh(range(len(words)), weights[topic, words], color=f"C{topic % 10}")
        axes.set_yticks(range(len(words)), [_plain(names[word]) for word in words], fontsize=8)
        axes.tick_params(axis="x", labelsize=7)
        axes.set_title(f"topic {topic}", fontsize=9)
    figure.suptitle("Top words by relevance, and their probabilities")
    return figure


def topic_sizes(sizes: np.ndarray, order: np.ndarray, names: Any) -> Figure:
    """Return the topics' shares of the documents, the largest first, each with its first words."""
    by_size = np.argsort(sizes)
    figure = Figure(figsize=(7, 0.35 * len(sizes) + 1.2), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    axes.barh(range(len(sizes)), sizes[by_size])
    labels = [f"{topic}: {', '.join(_plain(names[word]) for word in order[topic][:4])}" for topic in by_size]
    axes.set_yticks(range(len(sizes)), labels, fontsize=8)
    axes.set(title="Topics by their mean share of the documents", xlabel="share")
    return figure


def _plain(word: str) -> str:
    return word.replace("$", r"\$")
