"""`kplug.Sampling`: the distribution, the gradients, the shapes, the seeds."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops
from scipy import stats

import kplug

N = 40_000


def numbers(tensor) -> np.ndarray:
    return ops.convert_to_numpy(ops.cast(tensor, "float32"))


def pair(shape=(4, 2), mean=0.0, log_var=0.0) -> list:
    return [np.full(shape, mean, "float32"), np.full(shape, log_var, "float32")]


@pytest.mark.parametrize(("mean", "log_var"), [(0.0, 0.0), (3.0, -2.0), (-1.0, 1.5)])
def test_draws_are_gaussian(mean, log_var):
    draws = numbers(kplug.Sampling(seed=1)(pair((N, 1), mean, log_var)))[:, 0]
    scale = np.exp(log_var / 2)
    assert draws.mean() == pytest.approx(mean, abs=5 * scale / np.sqrt(N))
    assert draws.var() == pytest.approx(scale**2, rel=5 * np.sqrt(2 / N))
    assert stats.kstest(draws, stats.norm(mean, scale).cdf).pvalue > 1e-3


def test_latent_dimensions_and_samples_are_independent():
    draws = numbers(kplug.Sampling(seed=2)(pair((N, 3))))
    np.testing.assert_allclose(np.corrcoef(draws.T), np.eye(3), atol=5 / np.sqrt(N))
    assert abs(np.corrcoef(draws[:-1, 0], draws[1:, 0])[0, 1]) < 5 / np.sqrt(N)


def test_each_element_has_its_own_mean_and_variance():
    mean, log_var = np.array([[1.0, -2.0], [0.0, 5.0]]), np.array([[0.0, -4.0], [2.0, -1.0]])
    draws = numbers(kplug.Sampling(num_samples=N, seed=3)([mean, log_var]))
    scale = np.exp(log_var / 2)
    np.testing.assert_allclose((draws.mean(axis=1) - mean) / scale, 0, atol=5 / np.sqrt(N))
    np.testing.assert_allclose(draws.std(axis=1) / scale, 1, atol=5 / np.sqrt(2 * N))


def test_the_stacked_draws_of_one_sample_differ():
    draws = numbers(kplug.Sampling(num_samples=5, seed=0)(pair((1, 1))))
    assert len(np.unique(draws)) == 5


def test_gradients_reach_mean_and_log_variance(gradient):
    mean, log_var = np.array([[0.5, -1.0]]), np.array([[-0.7, 0.9]])
    epsilon = (numbers(kplug.Sampling(seed=7)([mean, log_var])) - mean) / np.exp(log_var / 2)
    by_mean = gradient(lambda value: kplug.Sampling(seed=7)([value, ops.cast(log_var, "float32")]), mean)
    by_log_var = gradient(lambda value: kplug.Sampling(seed=7)([ops.cast(mean, "float32"), value]), log_var)
    np.testing.assert_allclose(by_mean, np.ones((1, 2)), rtol=1e-6)
    # dz/dlog_var = exp(log_var / 2) * epsilon / 2
    np.testing.assert_allclose(by_log_var, np.exp(log_var / 2) * epsilon / 2, rtol=1e-4)


@pytest.mark.parametrize("log_var", [-50.0, 50.0])
def test_extreme_variances_stay_finite(gradient, log_var):
    value = np.full((3, 2), log_var)
    zeros = ops.zeros((3, 2))
    draws = numbers(kplug.Sampling(seed=1)([zeros, value.astype("float32")]))
    slope = gradient(lambda given: kplug.Sampling(seed=1)([zeros, given]), value)
    assert np.isfinite(draws).all()
    assert np.isfinite(slope).all()
    np.testing.assert_allclose(slope, draws / 2, rtol=1e-5)


@pytest.mark.parametrize(
    ("shape", "num_samples", "expected"),
    [
        ((4, 2), None, (4, 2)),
        ((1, 1), None, (1, 1)),
        ((4, 3, 2), None, (4, 3, 2)),
        ((4, 2), 1, (4, 1, 2)),
        ((4, 2), 7, (4, 7, 2)),
        ((4, 3, 2), 5, (4, 5, 3, 2)),
    ],
)
def test_shapes(shape, num_samples, expected):
    layer = kplug.Sampling(num_samples=num_samples)
    assert tuple(layer(pair(shape)).shape) == expected
    assert layer.compute_output_shape([shape, shape]) == expected
    unknown = (None, *shape[1:])
    assert layer.compute_output_shape([unknown, unknown]) == (None, *expected[1:])
    symbolic = kplug.Sampling(num_samples=num_samples)([keras.Input(shape[1:]), keras.Input(shape[1:])])
    assert tuple(symbolic.shape) == (None, *expected[1:])


def test_an_unknown_length_besides_the_batch():
    inputs = [keras.Input((None, 2)), keras.Input((None, 2))]
    model = keras.Model(inputs, kplug.Sampling(num_samples=3)(inputs))
    assert model.output_shape == (None, 3, None, 2)
    assert model.predict(pair((4, 6, 2)), verbose=0).shape == (4, 3, 6, 2)


def test_one_seed_makes_the_same_draws():
    first, second = kplug.Sampling(seed=5), kplug.Sampling(seed=5)
    for _ in range(3):
        np.testing.assert_array_equal(numbers(first(pair())), numbers(second(pair())))


def test_other_seeds_and_no_seed_make_other_draws():
    draws = [numbers(kplug.Sampling(seed=seed)(pair())) for seed in (1, 2, None, None)]
    for index, one in enumerate(draws):
        assert all(not np.allclose(one, other) for other in draws[index + 1 :])


def test_every_call_draws_anew_in_training_and_in_inference():
    layer = kplug.Sampling(seed=1)
    draws = [numbers(layer(pair(), training=training)) for training in (True, False, None, True, False)]
    for index, one in enumerate(draws):
        assert all(not np.allclose(one, other) for other in draws[index + 1 :])


def test_the_global_seed_is_left_alone():
    keras.utils.set_random_seed(0)
    expected = numbers(keras.random.normal((3,)))
    keras.utils.set_random_seed(0)
    kplug.Sampling(seed=1)(pair())
    np.testing.assert_array_equal(numbers(keras.random.normal((3,))), expected)


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_predict_draws_anew_for_every_batch(run_eagerly):
    inputs = [keras.Input((2,)), keras.Input((2,))]
    model = keras.Model(inputs, kplug.Sampling(seed=1)(inputs))
    model.compile(run_eagerly=run_eagerly)
    draws = model.predict(pair((12, 2)), batch_size=4, verbose=0)
    assert len(np.unique(draws)) == 24
    assert not np.allclose(model.predict(pair((12, 2)), batch_size=4, verbose=0), draws)


def sampling_model(seed=11) -> keras.Model:
    inputs = keras.Input((3,))
    mean, log_var = keras.layers.Dense(2)(inputs), keras.layers.Dense(2)(inputs)
    return keras.Model(inputs, kplug.Sampling(num_samples=2, seed=seed, name="draw")([mean, log_var]))


@pytest.mark.parametrize("seed", [11, None])
def test_a_loaded_model_goes_on_with_the_same_draws(tmp_path, seed):
    x = np.ones((4, 3), "float32")
    model = sampling_model(seed)
    model(x)
    model.save(tmp_path / "model.keras")
    again = kplug.load_model(tmp_path / "model.keras")
    assert type(again.get_layer("draw")) is kplug.Sampling
    for _ in range(3):
        np.testing.assert_array_equal(numbers(again(x)), numbers(model(x)))


def test_draws_inside_fit():
    model = sampling_model()
    model.compile("sgd", "mse")
    history = model.fit(np.ones((8, 3)), np.zeros((8, 2, 2)), batch_size=4, epochs=2, verbose=0).history["loss"]
    assert np.isfinite(history).all()
    assert history[0] != history[1]


def test_config_round_trip():
    layer = kplug.Sampling(num_samples=3, seed=4, name="draw", dtype="mixed_bfloat16")
    again = kplug.Sampling.from_config(layer.get_config())
    assert (again.num_samples, again.seed, again.name) == (3, 4, "draw")
    assert again.dtype_policy.name == "mixed_bfloat16"
    np.testing.assert_array_equal(numbers(again(pair())), numbers(layer(pair())))


def test_the_mask_of_the_mean_is_passed_on():
    inputs = keras.Input((4,), dtype="int32")
    hidden = keras.layers.Embedding(5, 3, mask_zero=True)(inputs)
    draws = kplug.Sampling(seed=0)([hidden, hidden])
    pooled = keras.layers.GlobalAveragePooling1D()(draws)
    model = keras.Model(inputs, [draws, pooled])
    tokens = np.array([[1, 2, 0, 0], [3, 4, 1, 0]])
    values, means = (numbers(output) for output in model(tokens))
    np.testing.assert_allclose(means[0], values[0, :2].mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(means[1], values[1, :3].mean(axis=0), rtol=1e-5)


def test_stacked_draws_have_the_mask_of_their_sample():
    layer = kplug.Sampling(num_samples=2)
    mask = ops.convert_to_tensor([[True, False]])
    np.testing.assert_array_equal(layer.compute_mask([None, None], [mask, mask]), [[[True, False], [True, False]]])
    by_sample = ops.convert_to_tensor([True, False])
    np.testing.assert_array_equal(layer.compute_mask([None, None], [by_sample, by_sample]), [True, False])
    assert layer.compute_mask([None, None], None) is None
    assert kplug.Sampling().compute_mask([None, None], None) is None
    assert kplug.Sampling().compute_mask([None, None], [None, None]) is None


@pytest.mark.parametrize(("policy", "dtype"), [("mixed_float16", "float16"), ("mixed_bfloat16", "bfloat16")])
def test_mixed_precision_draws_in_float32_and_returns_the_compute_dtype(policy, dtype):
    draws = kplug.Sampling(seed=1, dtype=policy)(pair((50, 2), 2.0, -1.0))
    assert keras.backend.standardize_dtype(draws.dtype) == dtype
    precise = numbers(kplug.Sampling(seed=1)(pair((50, 2), 2.0, -1.0)))
    np.testing.assert_allclose(numbers(draws), precise, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_gradients_are_finite(gradient, policy):
    mean = ops.zeros((3, 2))
    slope = gradient(
        lambda value: ops.cast(kplug.Sampling(seed=1, dtype=policy)([mean, value]), "float32"), np.full((3, 2), -30.0)
    )
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("inputs", [np.zeros((4, 2)), [np.zeros((4, 2))] * 3, [np.zeros((4, 2))]], ids=["array", 3, 1])
def test_inputs_other_than_a_pair_are_refused(inputs):
    with pytest.raises(ValueError, match=r"pair \(mean, log_var\)"):
        kplug.Sampling()(inputs)


@pytest.mark.parametrize("shape", [(4, 3), (1, 2), (4, 2, 2), (4,)], ids=str)
def test_two_shapes_are_refused_and_named(shape):
    with pytest.raises(ValueError, match=r"one shape.*\(4, 2\)") as caught:
        kplug.Sampling()([np.zeros((4, 2)), np.zeros(shape)])
    assert str(shape) in str(caught.value)


@pytest.mark.parametrize("num_samples", [0, -3])
def test_num_samples_below_one_is_refused(num_samples):
    with pytest.raises(ValueError, match=f"num_samples={num_samples}"):
        kplug.Sampling(num_samples=num_samples)


@pytest.mark.parametrize("log_var", [-50.0, 24.0, 50.0])
def test_float16_draws_of_any_variance_leave_the_next_layer_finite(log_var):
    inputs = [np.zeros((8, 4), "float32"), np.full((8, 4), log_var, "float32")]
    z = kplug.Sampling(seed=0, dtype="mixed_float16")(inputs)
    assert np.isfinite(keras.ops.convert_to_numpy(z).astype("float32")).all()
