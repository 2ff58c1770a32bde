"""Losses that see all of a model's outputs at once.

Keras hands one loss to each output in turn, and all outputs to each loss in a list. A loss that Keras' trees take for
a list of one is handed all of them without being written as a list.
"""

from __future__ import annotations

from typing import Any

import keras


class _AllOutputs(keras.losses.Loss):
    """What stands in the list: the loss itself would be taken for a list again."""

    def __init__(self, loss: keras.losses.Loss) -> None:
        super().__init__(name=loss.name, reduction=loss.reduction, dtype=loss.dtype)
        self.loss = loss

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return self.loss(y_true, y_pred, sample_weight)


class SeesAllOutputs:
    """Lets `compile(loss=loss)` hand the loss all of a model's outputs, for a class of losses and its subclasses.

    Keras' trees (`keras.tree`) see such a loss as a list of one.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        _register(cls)


def _register(loss_class: type) -> None:
    if keras.backend.backend() == "torch":
        from torch.utils import _pytree

        _pytree.register_pytree_node(
            loss_class,
            lambda loss: ([_AllOutputs(loss)], None),
            lambda losses, _: list(losses),
            serialized_type_name=f"{loss_class.__module__}.{loss_class.__name__}",
            flatten_with_keys_fn=lambda loss: ([(_pytree.SequenceKey(0), _AllOutputs(loss))], None),
        )
    else:
        import optree

        optree.register_pytree_node(
            loss_class,
            lambda loss: ([_AllOutputs(loss)], None),
            lambda _, losses: list(losses),
            namespace="keras",
        )
