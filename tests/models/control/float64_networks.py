"""The algorithms' networks in float64 on NumPy, from their weights."""

from __future__ import annotations

import numpy as np
from keras import ops


def with_random_weights(model):
    """Give a model weights of which none is zero, and states another scale than one."""
    random = np.random.default_rng(3)
    for variable in (*model.trainable_variables, *(model.targets.weights if hasattr(model, "targets") else ())):
        variable.assign(random.normal(0, 0.5, variable.shape))
    model.policy.state_mean.assign(random.normal(size=model.policy.state_dim))
    model.policy.state_scale.assign(random.uniform(0.5, 2, model.policy.state_dim))
    return model


def policy_variables(policy):
    head = [policy.log_std] if policy.log_std_head is None else [policy.log_std_head.kernel, policy.log_std_head.bias]
    return [part for layer in (*policy.hidden, policy.mean_head) for part in (layer.kernel, layer.bias)] + head


def policy_weights(policy):
    return exact(policy_variables(policy))


def exact(variables):
    """Return variables' values in float64."""
    return [np.float64(ops.convert_to_numpy(variable)) for variable in variables]


def standardized(model, states):
    mean, scale = exact([model.policy.state_mean, model.policy.state_scale])
    return (states - mean) / scale


def dense(weights, features, activation):
    """A network of kernels and biases, the last of them linear."""
    *hidden, kernel, bias = weights
    for first, second in zip(hidden[::2], hidden[1::2], strict=True):
        features = activation(features @ first + second)
    return features @ kernel + bias


def log_density(values, mean, log_std):
    """Log-density of a diagonal Gaussian."""
    return (-0.5 * ((values - mean) / np.exp(log_std)) ** 2 - log_std - 0.5 * np.log(2 * np.pi)).sum(axis=1)
