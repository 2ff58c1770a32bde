"""What holds for every loss class: it works in every way Keras uses a loss, and says what it needs."""

import keras
import numpy as np
import pytest

import kplug
from kplug import losses, testing

RNG = np.random.default_rng(0)
BATCH, DIM, CLASSES, TIME = 12, 5, 4, 6
LABELS = np.repeat(np.arange(4), 3)
EMBEDDINGS = RNG.normal(size=(BATCH, DIM))
# Without a positive and a negative at nearly one distance, where the loss jumps.
OTHER_EMBEDDINGS = np.random.default_rng(3).normal(size=(BATCH, DIM))
VIEWS = RNG.normal(size=(BATCH, 2, DIM))
LOGITS = RNG.normal(size=(BATCH, CLASSES))
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
ONE_HOT = np.eye(CLASSES)[LABELS]
TOKENS = np.array([[1, 2, 3, 0, 0, 0], [2, 2, 1, 3, 1, 0], [3, 1, 1, 1, 2, 2]])
TOKEN_LOGITS = RNG.normal(size=(3, TIME, CLASSES))
COSINES = np.tanh(LOGITS)

CASES = {
    "focal": (losses.FocalLoss(gamma=1.5, from_logits=True), ONE_HOT, LOGITS),
    "focal from probabilities": (losses.FocalLoss(alpha=None), ONE_HOT, PROBABILITIES),
    "categorical focal": (losses.CategoricalFocalLoss(from_logits=True, label_smoothing=0.1), ONE_HOT, LOGITS),
    "sparse categorical focal": (
        losses.SparseCategoricalFocalLoss(alpha=[0.1, 0.2, 0.3, 0.4], from_logits=True),
        LABELS,
        LOGITS,
    ),
    "triplet": (losses.TripletLoss(margin=2.0), LABELS, RNG.normal(size=(BATCH, 3, DIM))),
    "semihard": (losses.TripletSemihardLoss(), LABELS, EMBEDDINGS),
    "semihard, cosine": (losses.TripletSemihardLoss(margin=0.3, distance="cosine"), LABELS, OTHER_EMBEDDINGS),
    "hard": (losses.TripletHardLoss(), LABELS, EMBEDDINGS),
    "hard, soft margin": (losses.TripletHardLoss(soft_margin=True, distance="squared"), LABELS, EMBEDDINGS),
    "all": (losses.TripletAllLoss(), LABELS, EMBEDDINGS),
    "all, mean over the nonzero": (losses.TripletAllLoss(margin=0.3, nonzero_mean=True), LABELS, EMBEDDINGS),
    "contrastive": (losses.ContrastiveLoss(margin=3.0), LABELS % 2, VIEWS),
    "supervised contrastive": (losses.SupervisedContrastiveLoss(temperature=0.5), LABELS, EMBEDDINGS),
    "nt-xent": (losses.NTXentLoss(temperature=0.5), LABELS, VIEWS),
    "n-pairs": (losses.NPairsLoss(), LABELS, VIEWS),
    "n-pairs, several labels": (losses.NPairsMultilabelLoss(), (LOGITS > 0).astype(int), VIEWS),
    "lifted structure": (losses.LiftedStructureLoss(), LABELS, EMBEDDINGS),
    "multi-similarity": (losses.MultiSimilarityLoss(beta=5.0), LABELS, OTHER_EMBEDDINGS),
    "proxy anchor": (losses.ProxyAnchorLoss(alpha=4.0), LABELS, COSINES),
    "arcface": (losses.ArcFaceLoss(scale=4.0), LABELS, 0.9 * COSINES),
    "length penalty": (losses.LengthPenaltyLoss(alpha=0.3), TOKENS, TOKEN_LOGITS),
    "length penalty, end token": (losses.LengthPenaltyLoss(end_id=3), TOKENS, TOKEN_LOGITS),
}


@pytest.mark.parametrize("case", CASES)
def test_a_loss_works_in_every_way_keras_uses_one(case, other_backends):
    loss, y_true, y_pred = CASES[case]
    on_sequences = isinstance(loss, losses.LengthPenaltyLoss)
    testing.check_loss(loss, y_true, y_pred, masked=not on_sequences, backends=other_backends)


def test_the_elbo_works_on_a_dictionary_of_outputs(other_backends):
    outputs = {
        "reconstruction": RNG.normal(size=(BATCH, 7)),
        "mean": RNG.normal(size=(BATCH, 2)),
        "log_var": RNG.normal(size=(BATCH, 2)),
    }
    x = (RNG.uniform(size=(BATCH, 7)) > 0.5).astype("float32")
    testing.check_loss(losses.ELBOLoss(beta=2.0), x, outputs, backends=other_backends)
    outputs["log_scale"] = RNG.normal(size=(BATCH, 7))
    testing.check_loss(losses.ELBOLoss("gaussian"), x, outputs, backends=other_backends)


@pytest.mark.parametrize("case", CASES)
def test_a_function_and_its_class_say_the_same(case):
    loss, y_true, y_pred = CASES[case]
    parameters = {name: value for name, value in loss.get_config().items() if name not in {"name", "reduction"}}
    function = getattr(kplug, loss.name)
    expected = keras.ops.convert_to_numpy(function(y_true, y_pred.astype("float32"), **parameters))
    own = type(loss)(**parameters, reduction=None)
    np.testing.assert_allclose(own(y_true, y_pred), expected, rtol=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_a_loss_function_can_be_compiled_with(case):
    loss, y_true, y_pred = CASES[case]
    function = getattr(kplug, loss.name)
    model = testing.small_models.stretching_model(y_pred.astype("float32"))
    model.compile("sgd", function)
    found = model.evaluate(y_pred, y_true, batch_size=len(y_pred), verbose=0)
    assert found == pytest.approx(float(keras.ops.mean(function(y_true, y_pred.astype("float32")))), rel=1e-4)


@pytest.mark.parametrize("cls", sorted({type(loss) for loss, _, _ in CASES.values()}, key=lambda cls: cls.__name__))
def test_a_class_documents_every_parameter(cls):
    import inspect

    parameters = set(inspect.signature(cls.__init__).parameters) - {"self"}
    undocumented = [name for name in parameters if f"\n    {name}: " not in inspect.getdoc(cls)]
    assert undocumented == []


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: losses.TripletLoss(margin=-1.0), "margin=-1.0"),
        (lambda: losses.TripletLoss(distance="manhattan"), "'euclidean', 'squared', 'cosine'.*'manhattan'"),
        (lambda: losses.TripletSemihardLoss(margin=float("nan")), "margin=nan"),
        (lambda: losses.TripletHardLoss(margin=-1.0), "margin=-1.0"),
        (lambda: losses.TripletAllLoss(distance="l1"), "'l1'"),
        (lambda: losses.ContrastiveLoss(margin=-0.5), "margin=-0.5"),
        (lambda: losses.SupervisedContrastiveLoss(temperature=0.0), "temperature=0.0"),
        (lambda: losses.NTXentLoss(temperature=-1.0), "temperature=-1.0"),
        (lambda: losses.LiftedStructureLoss(margin=-1.0), "margin=-1.0"),
        (lambda: losses.MultiSimilarityLoss(alpha=0.0), "alpha=0.0"),
        (lambda: losses.MultiSimilarityLoss(epsilon=-0.1), "epsilon=-0.1"),
        (lambda: losses.ProxyAnchorLoss(alpha=0.0), "alpha=0.0"),
        (lambda: losses.ArcFaceLoss(margin=3.5), "margin=3.5"),
        (lambda: losses.ArcFaceLoss(scale=0.0), "scale=0.0"),
        (lambda: losses.LengthPenaltyLoss(alpha=-1.0), "alpha=-1.0"),
        (lambda: losses.LengthPenaltyLoss(padding_id=None), "padding_id"),
        (lambda: losses.LengthPenaltyLoss(padding_id=1, end_id=1), "must differ"),
        (lambda: losses.CategoricalFocalLoss(gamma=-1.0), "gamma=-1.0"),
        (lambda: losses.SparseCategoricalFocalLoss(alpha=-1.0), "alpha=-1.0"),
        (lambda: losses.CategoricalFocalLoss(label_smoothing=2.0), "label_smoothing=2.0"),
        (lambda: losses.ELBOLoss("weibull"), "'bernoulli'.*'weibull'"),
        (lambda: losses.ELBOLoss(beta=-1.0), "beta=-1.0"),
        (lambda: losses.ELBOLoss(free_bits=-1.0), "free_bits=-1.0"),
        (lambda: losses.ELBOLoss(scale=0.0), "scale=0.0"),
        (lambda: losses.TripletHardLoss(margin="a"), "`margin` should be a valid number.*'a'"),
        (lambda: losses.TripletAllLoss(margin=None), "`margin` should be a valid number.*None"),
        (lambda: losses.FocalLoss(gamma=True), "`gamma` should be a valid number.*True"),
        (lambda: losses.FocalLoss(axis=None), "`axis` should be a valid integer.*None"),
        (lambda: losses.FocalLoss(from_logits="yes"), "`from_logits` should be a valid boolean.*'yes'"),
        (lambda: losses.CategoricalFocalLoss(axis=0.5), "`axis` should be a valid integer.*0.5"),
        (lambda: losses.LengthPenaltyLoss(end_id=2.5), "`end_id`.*2.5"),
        (lambda: losses.LengthPenaltyLoss(padding_id=-1), "`padding_id`.*-1"),
    ],
)
def test_a_wrong_parameter_is_named(make, named):
    with pytest.raises(ValueError, match=named):
        make()


@pytest.mark.parametrize(
    ("function", "y_true", "shape", "named"),
    [
        ("triplet_loss", [0], (1, 2, 3), r"\(batch_size, 3, dim\).*\(1, 2, 3\)"),
        ("triplet_semihard_loss", [0], (1, 2, 3), r"\(batch_size, dim\).*\(1, 2, 3\)"),
        ("triplet_hard_loss", [[0, 1]], (1, 3), r"\(1, 2\)"),
        ("triplet_all_loss", [0], (3,), r"\(3,\)"),
        ("contrastive_loss", [0], (1, 3, 2), r"\(1, 3, 2\)"),
        ("supervised_contrastive_loss", [0], (3,), r"\(3,\)"),
        ("ntxent_loss", [0], (1, 3), r"\(1, 3\)"),
        ("npairs_loss", [0], (1, 3), r"\(1, 3\)"),
        ("npairs_multilabel_loss", [0], (1, 1), r"y_true of shape \(1,\)"),
        ("lifted_structure_loss", [0], (3,), r"\(3,\)"),
        ("multi_similarity_loss", [0], (3,), r"\(3,\)"),
        ("proxy_anchor_loss", [0], (3,), r"\(3,\)"),
        ("arcface_loss", [[0, 1]], (1, 3), r"\(1, 2\)"),
        ("length_penalty_loss", [[0, 1]], (1, 3), r"\(1, 3\)"),
        ("categorical_focal_loss", [1], (1, 3), "sparse_categorical_focal_loss"),
        ("sparse_categorical_focal_loss", [[0, 1]], (1, 3), r"\(1, 2\)"),
        ("contrastive_loss", [[0, 1]], (1, 2, 4), r"\(1, 2\)"),
        ("npairs_loss", [[0, 1]], (1, 2, 4), r"\(1, 2\)"),
        ("length_penalty_loss", [[1], [1]], (2, 5, 4), r"\(2, 1\).*\(2, 5, 4\)"),
        ("npairs_multilabel_loss", [[3], [1]], (2, 2, 3), r"\(2, 1\).*npairs_loss"),
    ],
)
def test_a_wrong_shape_is_named(function, y_true, shape, named):
    with pytest.raises(ValueError, match=named):
        getattr(kplug, function)(np.array(y_true), np.zeros(shape, "float32"))


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        ("triplet_semihard_loss", (6, 4)),
        ("triplet_hard_loss", (6, 4)),
        ("triplet_all_loss", (6, 4)),
        ("contrastive_loss", (6, 2, 4)),
        ("supervised_contrastive_loss", (6, 4)),
        ("npairs_loss", (6, 2, 4)),
        ("lifted_structure_loss", (6, 4)),
        ("multi_similarity_loss", (6, 4)),
        ("proxy_anchor_loss", (6, 4)),
        ("arcface_loss", (6, 4)),
        ("sparse_categorical_focal_loss", (6, 4)),
    ],
)
def test_another_number_of_targets_than_predictions_is_refused(function, shape):
    with pytest.raises(ValueError, match=rf"{function} needs one target per prediction.*\(1,\).*\(6,"):
        getattr(kplug, function)(np.array([0]), np.ones(shape, "float32"))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((np.ones((2, 3)), np.ones((2, 1)), np.ones((2, 2)), np.ones((2, 2))), r"\(2, 3\).*\(2, 1\)"),
        ((np.ones((2, 3)), np.ones((2, 3)), np.ones((2, 2)), np.ones((2, 1))), r"\(2, 2\).*\(2, 1\)"),
        ((np.ones((6, 3)), np.ones((6, 3)), np.ones((1, 2)), np.ones((1, 2))), r"one batch.*\(6, 3\).*\(1, 2\)"),
    ],
)
def test_an_elbo_of_tensors_that_do_not_fit_is_refused(arguments, named):
    with pytest.raises(ValueError, match=named):
        kplug.elbo_loss(*(part.astype("float32") for part in arguments))


@pytest.mark.parametrize(
    ("function", "y_true", "y_pred"),
    [
        ("sparse_categorical_focal_loss", [0, 3, 99], PROBABILITIES[:3, :3]),
        ("arcface_loss", [0, 4, 99], COSINES[:3]),
        ("proxy_anchor_loss", [0, 4, 99], COSINES[:3]),
        ("contrastive_loss", [0, -1, 2], VIEWS[:3]),
        ("length_penalty_loss", [[1, 2, 0], [1, 9, 0], [-1, 2, 0]], TOKEN_LOGITS[:, :3]),
    ],
)
def test_a_target_that_means_nothing_costs_nan_and_not_less_than_nothing(function, y_true, y_pred):
    values = keras.ops.convert_to_numpy(getattr(kplug, function)(np.array(y_true), y_pred.astype("float32")))
    np.testing.assert_array_equal(np.isnan(values), [False, True, True])


@pytest.mark.parametrize(
    ("function", "y_pred"),
    [
        ("sparse_categorical_focal_loss", PROBABILITIES[:6]),
        ("arcface_loss", COSINES[:6]),
        ("proxy_anchor_loss", COSINES[:6]),
    ],
)
def test_a_negative_class_number_leaves_a_sample_out(function, y_pred, gradient):
    labels, kept = np.array([0, -1, 1, 2, -1, 3]), [0, 2, 3, 5]
    y_pred = y_pred.astype("float32")
    values = keras.ops.convert_to_numpy(getattr(kplug, function)(labels, y_pred))
    alone = keras.ops.convert_to_numpy(getattr(kplug, function)(labels[kept], y_pred[kept]))
    # Of a loss whose mean is that over the proxies, the sum is as many times larger as there are samples.
    share = 6 / 4 if function == "proxy_anchor_loss" else 1
    np.testing.assert_allclose(values[kept], share * alone, rtol=1e-5)
    np.testing.assert_array_equal(values[[1, 4]], 0)
    found = gradient(lambda x: getattr(kplug, function)(labels, x), y_pred)
    np.testing.assert_array_equal(found[[1, 4]], 0)
    loss = losses.SparseCategoricalFocalLoss()
    if function == loss.name:
        assert float(loss(labels, y_pred, sample_weight=labels >= 0)) == pytest.approx(values.sum() / 6, rel=1e-5)


@pytest.mark.parametrize(
    "function",
    [
        *("triplet_semihard_loss", "triplet_hard_loss", "triplet_all_loss", "supervised_contrastive_loss"),
        *("lifted_structure_loss", "multi_similarity_loss", "proxy_anchor_loss", "arcface_loss"),
    ],
)
def test_an_empty_batch_has_no_values(function):
    values = getattr(kplug, function)(np.zeros((0,), "int32"), np.zeros((0, 4), "float32"))
    assert tuple(values.shape) == (0,)


@pytest.mark.parametrize(("name", "value"), [("padding_id", 4), ("end_id", 7)])
def test_a_token_that_the_vocabulary_lacks_is_refused(name, value):
    with pytest.raises(ValueError, match=rf"{name}={value}"):
        kplug.length_penalty_loss(TOKENS, TOKEN_LOGITS.astype("float32"), **{name: value})


def test_an_elbo_of_several_dtypes_is_computed_in_the_widest():
    narrow = kplug.elbo_loss(*(np.full(shape, 0.5, "float32") for shape in ((2, 3), (2, 3), (2, 2), (2, 2))))
    mixed = kplug.elbo_loss(
        *(np.full(shape, 0.5, dtype) for shape, dtype in (((2, 3), "float64"), ((2, 3), "float32"))),
        *(np.full((2, 2), 0.5, "float64"),) * 2,
    )
    np.testing.assert_allclose(mixed, narrow, rtol=1e-6)
    assert float(kplug.gaussian_kl(np.ones((1, 2)), np.zeros((1, 2), "float32"))[0]) == 1.0
