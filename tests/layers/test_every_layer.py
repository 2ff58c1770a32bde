"""What holds for every layer: it works in every way Keras uses one."""

import keras
import numpy as np
import pytest

from kplug import layers, testing

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(6, 4))
PAIR = [RNG.normal(size=(6, 3)), RNG.normal(size=(6, 3))]

CASES = {
    "sampling": (lambda: layers.Sampling(seed=1), PAIR, True),
    "several samples": (lambda: layers.Sampling(num_samples=2, seed=1), PAIR, True),
    "gumbel-softmax": (lambda: layers.GumbelSoftmax(seed=1), LOGITS, True),
    "straight through": (
        lambda: layers.GumbelSoftmax(2.0, straight_through=True, final_temperature=0.5, annealing_steps=3, seed=1),
        LOGITS,
        True,
    ),
    "logistic-normal": (lambda: layers.LogisticNormal(seed=1), PAIR, True),
    "dirichlet": (lambda: layers.DirichletSampling(seed=1), np.exp(LOGITS), True),
    "kl": (lambda: layers.KLDivergence(beta=2.0, annealing_steps=4, cycles=2, free_bits=0.1), PAIR, False),
    "vector quantizer": (lambda: layers.VectorQuantizer(5, restart_threshold=0.1, seed=1), LOGITS, True),
    "vector quantizer that restarts no codes": (lambda: layers.VectorQuantizer(5, seed=1), LOGITS, False),
    "vector quantizer by gradients": (
        lambda: layers.VectorQuantizer(5, ema_decay=None, seed=1),
        RNG.normal(size=(6, 2, 4)),
        False,
    ),
    "random affine": (lambda: layers.RandomAffine(seed=1), RNG.random((6, 5, 4, 2)), True),
    "gradient reversal": (lambda: layers.GradientReversal(0.5), LOGITS, False),
    "proxy head": (lambda: layers.ProxyHead(3, centers_per_class=2), LOGITS, False),
}

OTHER_GRADIENTS = {
    "straight through",
    "vector quantizer",
    "vector quantizer that restarts no codes",
    "vector quantizer by gradients",
    "gradient reversal",
}
"""Layers whose gradients are meant to be others than those of their outputs."""


@pytest.mark.parametrize("case", CASES)
def test_a_layer_works_in_every_way_keras_uses_one(case, other_backends):
    make, inputs, random = CASES[case]
    testing.check_layer(make(), inputs, random=random, smooth=case not in OTHER_GRADIENTS, backends=other_backends)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: layers.GumbelSoftmax(0.0), "temperature=0.0"),
        (lambda: layers.GumbelSoftmax(final_temperature=0.5), "both `final_temperature` and `annealing_steps`"),
        (lambda: layers.DirichletSampling(0), "shape_augmentation=0"),
        (lambda: layers.KLDivergence(beta=-1.0), "beta=-1.0"),
        (lambda: layers.KLDivergence(cycles=0), "cycles=0"),
        (lambda: layers.VectorQuantizer(0), "num_embeddings=0"),
        (lambda: layers.VectorQuantizer(4, ema_decay=1.0), "ema_decay=1.0"),
        (lambda: layers.VectorQuantizer(4, ema_decay=None, restart_threshold=1.0), "needs moving averages"),
        (lambda: layers.RandomAffine(rotation=200.0), "rotation=200.0"),
        (lambda: layers.RandomAffine(zoom=1.0), "zoom=1.0"),
        (lambda: layers.RandomAffine(translation=-0.1), "translation=-0.1"),
        (lambda: layers.RandomAffine(fill_mode="black"), "fill_mode='black'"),
        (lambda: layers.GradientReversal(-1.0), "strength=-1.0"),
        (lambda: layers.ProxyHead(0), "num_classes=0"),
        (lambda: layers.dirichlet_laplace(0.0, 3), "alpha=0.0"),
        (lambda: layers.dirichlet_laplace([0.1, 0.2], 3), r"alpha=\[0.1, 0.2\]"),
    ],
)
def test_a_wrong_parameter_is_named(make, named):
    with pytest.raises(ValueError, match=named):
        make()


@pytest.mark.parametrize("layer", [layers.LogisticNormal, layers.KLDivergence])
def test_what_is_no_pair_is_refused(layer):
    with pytest.raises(ValueError, match="pair"):
        layer()(keras.ops.ones((2, 3)))
