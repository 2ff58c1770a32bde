"""One contestant of `losses.py`, which runs it as `python losses_contestant.py CONTESTANT BATCH_SIZE`.

It reads `LOSS STEPS` lines and answers each with the seconds that so many forward and backward passes took, and by how
much the process's peak memory has risen. It must run in an interpreter that has PyTorch and pytorch-metric-learning but
neither Keras nor kplug, so every library is imported by the contestant that needs it.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable

import numpy as np

DIM = 64
CLASSES = 16
Step = Callable[[], object]


def main() -> None:
    """Answer orders until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    contestant, batch_size = sys.argv[1], int(sys.argv[2])
    rng = np.random.default_rng(0)
    data = {
        "embeddings": rng.normal(size=(batch_size, DIM)).astype("float32"),
        "labels": np.arange(batch_size) % CLASSES,
        "scores": rng.normal(size=(batch_size, CLASSES)).astype("float32"),
    }
    make_step = CONTESTANTS[contestant](data)
    steps: dict[str, Step] = {}
    before = _peak_mib()
    print("{}", file=answers, flush=True)
    for line in sys.stdin:
        loss, count = line.split()
        if loss not in steps:
            steps[loss] = make_step(loss)
        step = steps[loss]
        begun = time.perf_counter()
        for _ in range(int(count)):
            step()
        seconds = time.perf_counter() - begun
        print(json.dumps({"seconds": seconds, "peak_mib": _peak_mib() - before}), file=answers, flush=True)


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def tensorflow_steps(functions: Callable[[], dict]) -> Callable[[dict], Callable[[str], Step]]:
    """Return what makes compiled steps of loss functions of Keras' form."""

    def with_data(data: dict) -> Callable[[str], Step]:
        import tensorflow as tf

        known = functions()
        one_hot = np.eye(CLASSES, dtype="float32")[data["labels"]]
        inputs = {
            "focal_loss": (one_hot, data["scores"]),
            "categorical_focal_loss": (one_hot, data["scores"]),
            "ntxent_loss": (data["labels"][::2], data["embeddings"].reshape(-1, 2, DIM)),
            "npairs_loss": (data["labels"][::2], data["embeddings"].reshape(-1, 2, DIM)),
        }

        def make(loss: str) -> Step:
            y_true, y_pred = map(tf.constant, inputs.get(loss, (data["labels"], data["embeddings"])))

            @tf.function
            def step() -> object:
                with tf.GradientTape() as tape:
                    tape.watch(y_pred)
                    total = tf.reduce_mean(known[loss](y_true, y_pred))
                return tape.gradient(total, y_pred)

            return step

        return make

    return with_data


def _kplug_functions() -> dict:
    import kplug

    head = kplug.ProxyHead(CLASSES)
    return {
        **{name: getattr(kplug, name) for name in dir(kplug) if name.endswith("_loss")},
        "proxy_anchor_loss": lambda y, x: kplug.proxy_anchor_loss(y, head(x)),
        "arcface_loss": lambda y, x: kplug.arcface_loss(y, head(x)),
        "focal_loss": lambda y, p: kplug.focal_loss(y, p, from_logits=True),
        "categorical_focal_loss": lambda y, p: kplug.categorical_focal_loss(y, p, from_logits=True),
    }


def _keras_functions() -> dict:
    from keras import losses

    return {
        "focal_loss": lambda y, p: losses.binary_focal_crossentropy(
            y, p, apply_class_balancing=True, gamma=2.0, from_logits=True
        ),
        "categorical_focal_loss": lambda y, p: losses.categorical_focal_crossentropy(y, p, from_logits=True),
    }


def torch_steps(data: dict) -> Callable[[str], Step]:
    """Return what makes steps of pytorch-metric-learning's losses, with its miners where the loss needs one."""
    import torch
    from pytorch_metric_learning import losses, miners

    embeddings, labels = torch.from_numpy(data["embeddings"]), torch.from_numpy(data["labels"])
    cosine = {"num_classes": CLASSES, "embedding_size": DIM}
    known = {
        "triplet_semihard_loss": (losses.TripletMarginLoss(1.0), miners.TripletMarginMiner(1.0, "semihard")),
        "triplet_hard_loss": (losses.TripletMarginLoss(1.0), miners.BatchHardMiner()),
        "triplet_all_loss": (losses.TripletMarginLoss(1.0), None),
        "supervised_contrastive_loss": (losses.SupConLoss(0.1), None),
        "ntxent_loss": (losses.NTXentLoss(0.1), None),
        "npairs_loss": (losses.NPairsLoss(), None),
        "lifted_structure_loss": (losses.LiftedStructureLoss(), None),
        "multi_similarity_loss": (losses.MultiSimilarityLoss(), miners.MultiSimilarityMiner()),
        "proxy_anchor_loss": (losses.ProxyAnchorLoss(**cosine), None),
        "arcface_loss": (losses.ArcFaceLoss(**cosine), None),
    }
    pairs = torch.arange(len(labels) // 2).repeat_interleave(2)

    def make(loss: str) -> Step:
        function, miner = known[loss]
        # Two views, or a pair, of each sample.
        of_pairs = loss in {"ntxent_loss", "npairs_loss"}

        def step() -> object:
            x = embeddings.clone().requires_grad_()
            targets = pairs if of_pairs else labels
            total = function(x, targets, miner(x, targets)) if miner else function(x, targets)
            total.backward()
            return x.grad

        return step

    return make


CONTESTANTS = {
    "kplug": tensorflow_steps(_kplug_functions),
    "keras": tensorflow_steps(_keras_functions),
    "pml": torch_steps,
}

if __name__ == "__main__":
    main()
