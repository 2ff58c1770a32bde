"""One contestant of `losses.py`, which runs it as `python losses_contestant.py CONTESTANT BATCH_SIZE`.

It reads `LOSS STEPS` lines and answers each with the seconds that so many forward and backward passes took, and by how
much the process's peak memory has risen. It must run in an interpreter that has PyTorch and pytorch-metric-learning but
neither Keras nor kplug, so every library is imported by the contestant that needs it.
"""

from __future__ import annotations

import json
import math
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

DIM = 64
CLASSES = 16
TIME, VOCABULARY = 20, 100
PIXELS, LATENT, DRAWS = 784, 16, 8
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
        "triplets": rng.normal(size=(batch_size, 3, DIM)).astype("float32"),
        "tokens": rng.integers(1, VOCABULARY, (batch_size, TIME)) * (np.arange(TIME) < rng.integers(1, TIME)),
        "token_scores": rng.normal(size=(batch_size, TIME, VOCABULARY)).astype("float32"),
        "bits": rng.integers(0, 2, (batch_size, PIXELS)).astype("float32"),
        "outputs": rng.normal(size=(batch_size, PIXELS + 2 * LATENT)).astype("float32"),
        "draws": rng.normal(size=(batch_size, DRAWS, PIXELS + 3 * LATENT)).astype("float32"),
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
        pairs = (data["labels"][::2], data["embeddings"].reshape(-1, 2, DIM))
        inputs = {
            "focal_loss": (one_hot, data["scores"]),
            "categorical_focal_loss": (one_hot, data["scores"]),
            "sparse_categorical_focal_loss": (data["labels"], data["scores"]),
            "triplet_loss": (data["labels"], data["triplets"]),
            "contrastive_loss": (pairs[0] % 2, pairs[1]),
            "ntxent_loss": pairs,
            "npairs_loss": pairs,
            "npairs_multilabel_loss": (one_hot[::2], pairs[1]),
            "length_penalty_loss": (data["tokens"], data["token_scores"]),
            "elbo_loss": (data["bits"], data["outputs"]),
            "iwae_loss": (data["bits"], data["draws"]),
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

    def elbo(x: Any, outputs: Any) -> Any:
        return kplug.elbo_loss(x, outputs[:, :PIXELS], outputs[:, PIXELS:-LATENT], outputs[:, -LATENT:])

    def iwae(x: Any, draws: Any) -> Any:
        decoded, z, means, log_vars = _parts(draws)
        return kplug.iwae_loss(x, decoded, z, means, log_vars)

    return {
        **{name: getattr(kplug, name) for name in dir(kplug) if name.endswith("_loss")},
        "proxy_anchor_loss": lambda y, x: kplug.proxy_anchor_loss(y, head(x)),
        "arcface_loss": lambda y, x: kplug.arcface_loss(y, head(x)),
        "focal_loss": lambda y, p: kplug.focal_loss(y, p, from_logits=True),
        "categorical_focal_loss": lambda y, p: kplug.categorical_focal_loss(y, p, from_logits=True),
        "sparse_categorical_focal_loss": lambda y, p: kplug.sparse_categorical_focal_loss(y, p, from_logits=True),
        "elbo_loss": elbo,
        "iwae_loss": iwae,
    }


def _parts(draws: Any) -> tuple[Any, Any, Any, Any]:
    """Return what the decoder puts out for each draw, the draws, and the posterior's means and log variances."""
    z, means, log_vars = (draws[:, :, PIXELS + i * LATENT : PIXELS + (i + 1) * LATENT] for i in range(3))
    return draws[:, :, :PIXELS], z, means[:, 0], log_vars[:, 0]


def _keras_functions() -> dict:
    """Return Keras' own losses, and what is not among them written out with `keras.ops`, as a user would."""
    from keras import losses, ops

    def contrastive(y: Any, pairs: Any) -> Any:
        y = ops.cast(y, "float32")
        distance = ops.sqrt(ops.maximum(ops.sum(ops.square(pairs[:, 0] - pairs[:, 1]), axis=-1), 1e-12))
        return y * ops.square(distance) + (1 - y) * ops.square(ops.maximum(1 - distance, 0))

    def npairs_multilabel(y: Any, pairs: Any) -> Any:
        overlap = ops.matmul(y, ops.transpose(y))
        targets = overlap / ops.sum(overlap, axis=1, keepdims=True)
        logits = ops.matmul(pairs[:, 0], ops.transpose(pairs[:, 1]))
        return losses.categorical_crossentropy(targets, logits, from_logits=True)

    def length_penalty(y: Any, logits: Any) -> Any:
        kept = ops.cast(y != 0, "float32")
        length = ops.sum(kept, axis=1)
        cost = losses.sparse_categorical_crossentropy(y, logits, from_logits=True)
        expected = ops.sum(ops.cumprod(1 - ops.softmax(logits)[..., 0], axis=1), axis=1)
        return ops.sum(cost * kept, axis=1) / ops.maximum(length, 1) + 0.1 * ops.square(length - expected)

    def elbo(x: Any, outputs: Any) -> Any:
        mean, log_var = outputs[:, PIXELS:-LATENT], outputs[:, -LATENT:]
        cost = ops.sum(ops.binary_crossentropy(x, outputs[:, :PIXELS], from_logits=True), axis=1)
        return cost - 0.5 * ops.sum(1 + log_var - ops.square(mean) - ops.exp(log_var), axis=1)

    def iwae(x: Any, draws: Any) -> Any:
        decoded, z, means, log_vars = _parts(draws)
        x = ops.broadcast_to(x[:, None], ops.shape(decoded))
        log_x = -ops.sum(ops.binary_crossentropy(x, decoded, from_logits=True), axis=2)
        log_prior = -0.5 * ops.sum(ops.square(z), axis=2)
        square = ops.square(z - means[:, None]) / ops.exp(log_vars[:, None])
        log_posterior = -0.5 * ops.sum(square + log_vars[:, None], axis=2)
        return math.log(DRAWS) - ops.logsumexp(log_x + log_prior - log_posterior, axis=1)

    return {
        "contrastive_loss": contrastive,
        "npairs_multilabel_loss": npairs_multilabel,
        "length_penalty_loss": length_penalty,
        "elbo_loss": elbo,
        "iwae_loss": iwae,
        "sparse_categorical_focal_loss": lambda y, p: losses.categorical_focal_crossentropy(
            ops.one_hot(y, CLASSES), p, from_logits=True
        ),
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
    triplets = torch.from_numpy(data["triplets"])

    def make(loss: str) -> Step:
        function, miner = known.get(loss, (None, None))
        # Two views, or a pair, of each sample.
        of_pairs = loss in {"ntxent_loss", "npairs_loss"}

        def step() -> object:
            x = embeddings.clone().requires_grad_()
            targets = pairs if of_pairs else labels
            total = function(x, targets, miner(x, targets)) if miner else function(x, targets)
            total.backward()
            return x.grad

        def triplet_step() -> object:
            x = triplets.clone().requires_grad_()
            torch.nn.functional.triplet_margin_loss(x[:, 0], x[:, 1], x[:, 2]).backward()
            return x.grad

        return triplet_step if loss == "triplet_loss" else step

    return make


CONTESTANTS = {
    "kplug": tensorflow_steps(_kplug_functions),
    "keras": tensorflow_steps(_keras_functions),
    "pml": torch_steps,
}

if __name__ == "__main__":
    main()
