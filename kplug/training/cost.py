"""What one forward pass of a model costs, counted in its TensorFlow graph."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

_UNCOUNTED = ("While", "PartitionedCall")
"""Operations that run other graphs, how often is not known: the loops of recurrent layers, say."""


def forward_flops(model: Any, x: Any) -> float | None:
    """Return the floating-point operations of one sample's forward pass, in matrix products and convolutions.

    Args:
        model: A Keras model, on the TensorFlow backend. It is traced, not run.
        x: Arrays in the structure that the model takes; only their shapes and dtypes are used.

    Returns:
        The number, or `None` where it cannot be known: a loop in the model, or a model that cannot be traced.
    """
    import tensorflow as tf
    from keras import tree

    one_sample = tree.map_structure(lambda array: tf.TensorSpec((1, *array.shape[1:]), array.dtype), x)
    try:
        graph = tf.function(model).get_concrete_function(one_sample).graph
    except Exception:  # noqa: BLE001 - a model that cannot be called so says why when it is trained
        return None
    operations = graph.get_operations()
    if any(name in operation.type for operation in operations for name in _UNCOUNTED):
        return None
    return float(sum(_FLOPS[operation.type](operation) for operation in operations if operation.type in _FLOPS))


def _size(shape: Any) -> int:
    return math.prod(side or 1 for side in shape)


def _matrix_product(transposed: str) -> Callable[[Any], int]:
    def flops(operation: Any) -> int:
        inner = operation.inputs[0].shape[-2 if operation.get_attr(transposed) else -1]
        return 2 * _size(operation.outputs[0].shape) * (inner or 1)

    return flops


def _einsum(operation: Any) -> int:
    terms = operation.get_attr("equation").decode().partition("->")[0].split(",")
    sides: dict[str, int | None] = {}
    for term, tensor in zip(terms, operation.inputs, strict=True):
        # An ellipsis stands for as many leading axes as are left over.
        named = term.replace("...", "")
        sides.update(zip(named, tensor.shape[len(tensor.shape) - len(named) :], strict=True))
    return 2 * _size(sides.values())


def _convolution(operation: Any) -> int:
    return 2 * _size(operation.outputs[0].shape) * _size(operation.inputs[1].shape[:-1])


def _transposed_convolution(operation: Any) -> int:
    return 2 * _size(operation.inputs[2].shape) * _size(operation.inputs[1].shape[:-1])


def _depthwise_convolution(operation: Any) -> int:
    return 2 * _size(operation.outputs[0].shape) * _size(operation.inputs[1].shape[:-2])


_FLOPS: dict[str, Callable[[Any], int]] = {
    "MatMul": _matrix_product("transpose_a"),
    "BatchMatMulV2": _matrix_product("adj_x"),
    "Einsum": _einsum,
    "Conv2D": _convolution,
    "Conv3D": _convolution,
    "Conv2DBackpropInput": _transposed_convolution,
    "Conv3DBackpropInputV2": _transposed_convolution,
    "DepthwiseConv2dNative": _depthwise_convolution,
}
