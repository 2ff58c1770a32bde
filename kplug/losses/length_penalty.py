"""Length penalties: one to train sequence models with, one to score finished sequences with."""

from __future__ import annotations

import math
from typing import Annotated, Any

import keras
from keras import ops
from pydantic import Field

from kplug.catalog.facts import component
from kplug.losses.function_loss import FunctionLoss, Reduction
from kplug.losses.labelled import FAR, check_one_batch, in_float32, or_nan

_TOKEN_ID = Annotated[int, Field(ge=0)]


def check_length_penalty(alpha: float, padding_id: int | None, end_id: int | None) -> None:
    """Refuse a negative weight, and ids that cannot tell where a sequence ends.

    Raises:
        ValueError: If a parameter is wrong.
    """
    if not alpha >= 0:
        raise ValueError(f"`alpha` must be at least 0. Received: alpha={alpha}")
    if padding_id is None and end_id is None:
        raise ValueError("Either `padding_id` or `end_id` must say where a sequence ends. Received: None for both")
    if padding_id is not None and padding_id == end_id:
        raise ValueError(f"`padding_id` and `end_id` must differ. Received: {padding_id} for both")


@keras.saving.register_keras_serializable(package="kplug")
def length_penalty_loss(
    y_true: Any,
    y_pred: Any,
    alpha: Annotated[float, Field(ge=0)] = 0.1,
    from_logits: bool = True,
    padding_id: _TOKEN_ID | None = 0,
    end_id: _TOKEN_ID | None = None,
) -> Any:
    """Cross-entropy of a sequence plus a penalty on its expected length: for models that stop too early or too late.

    ```
    L = mean over the target's tokens of -log p(token) + alpha * (length - E[length]) ** 2
    E[length] = sum over t of P(the sequence has not ended before or at position t)
    ```

    The expected length has a gradient, which the length of the most likely sequence has not. Without `end_id` a
    sequence ends before its first padding token, and P is the product of `1 - p_padding` up to t. With `end_id` it ends
    with its first end token, which counts, and P is the product of `1 - p_end` before t and of `1 - p_padding` up to t.

    The padding after the target does not count in the cross-entropy, except that, without `end_id`, the first padding
    token stands for the end and is learned by the penalty alone.

    Use it for translation, summaries and other sequence outputs whose lengths are off although their tokens are right.
    The penalty is in tokens squared: start with a small `alpha` for long sequences. To choose among finished sequences
    at decoding time use `length_penalty`.

    Args:
        y_true: Token ids of shape `(batch_size, time)`; a sequence with an id outside the vocabulary costs NaN.
        y_pred: Logits, or probabilities, of shape `(batch_size, time, vocabulary_size)`. Where an
            `Embedding(mask_zero=True)` masks them by position, compile the model with the class: it leaves that mask
            out, as the target says what counts. Keras applies it to a function's values, which are by sequence.
        alpha: Weight of the squared difference, at least 0, in nats per token squared.
        from_logits: Whether `y_pred` holds logits, of any size, rather than probabilities.
        padding_id: The padding token, or `None` if there is none.
        end_id: The end-of-sequence token, or `None` if padding alone ends a sequence.

    Returns:
        One value per sequence, of shape `(batch_size,)`. A target without tokens has no cross-entropy.

    Raises:
        ValueError: If a parameter or a shape is wrong.

    Example:

    >>> certain = 20.0 * keras.ops.one_hot([[1, 2, 0, 0]], 3)  # two tokens, then padding
    >>> [round(float(kplug.length_penalty_loss(target, certain)[0]), 4) for target in ([[1, 2, 0, 0]], [[1, 0, 0, 0]])]
    [0.0, 0.1]
    """
    check_length_penalty(alpha, padding_id, end_id)
    predictions, tokens = in_float32(y_pred), ops.cast(ops.convert_to_tensor(y_true), "int32")
    if len(tokens.shape) == 3 and tokens.shape[-1] == 1:
        tokens = ops.squeeze(tokens, -1)
    if len(predictions.shape) != 3 or len(tokens.shape) != 2:
        raise ValueError(
            "length_penalty_loss needs token ids of shape (batch_size, time) and predictions of shape "
            f"(batch_size, time, vocabulary_size). Received: y_true of shape {tuple(tokens.shape)}, y_pred of shape "
            f"{tuple(predictions.shape)}"
        )
    check_one_batch(tokens, predictions, "length_penalty_loss")
    lengths = {tokens.shape[1], predictions.shape[1]} - {None}
    last = math.inf if predictions.shape[2] is None else predictions.shape[2] - 1
    if len(lengths) > 1 or not all(0 <= one <= last for one in (padding_id, end_id) if one is not None):
        raise ValueError(
            "length_penalty_loss needs targets as long as the predictions, and `padding_id` and `end_id` among the "
            f"tokens. Received: y_true of shape {tuple(tokens.shape)}, y_pred of shape {tuple(predictions.shape)}, "
            f"padding_id={padding_id}, end_id={end_id}"
        )
    vocabulary_size = ops.shape(predictions)[-1]
    target = ops.one_hot(ops.clip(tokens, 0, vocabulary_size - 1), vocabulary_size, dtype=predictions.dtype)
    logits = predictions if from_logits else _log_of(predictions)
    normalised = ops.log_softmax(logits, axis=-1)
    log_probabilities = normalised if from_logits else logits

    part_of_target = _part_of_target(tokens, padding_id, end_id, predictions.dtype)
    length = ops.sum(part_of_target, axis=1)
    token_costs = -ops.sum(target * ops.where(target > 0, log_probabilities, 0.0), axis=-1) * part_of_target
    cross_entropy = ops.sum(token_costs, axis=1) / ops.maximum(length, 1)
    values = cross_entropy + alpha * ops.square(length - _expected_length(normalised, padding_id, end_id))
    known = (tokens >= 0) & (tokens < vocabulary_size) | (part_of_target == 0)
    return or_nan(values, ops.all(known, axis=1))


@component(tasks=["translation", "text-generation"])
@keras.saving.register_keras_serializable(package="kplug")
class LengthPenaltyLoss(FunctionLoss, function=length_penalty_loss, check=check_length_penalty):
    """Cross-entropy of a sequence plus a penalty on its expected length: for models that stop too early or too late.

    The class of `kplug.length_penalty_loss`, which has the formula, the shapes and when to use it.

    Example:

    >>> loss = kplug.LengthPenaltyLoss(alpha=0.5)
    >>> round(float(loss([[1, 0]], [[[0.0, 2.0], [2.0, 0.0]]])), 4)
    0.127

    In a model:

    ```python
    model.compile("adam", loss=kplug.LengthPenaltyLoss(alpha=0.1, end_id=2))
    ```
    """

    def __init__(
        self,
        alpha: Annotated[float, Field(ge=0)] = 0.1,
        from_logits: bool = True,
        padding_id: _TOKEN_ID | None = 0,
        end_id: _TOKEN_ID | None = None,
        reduction: Reduction = "sum_over_batch_size",
        name: str = "length_penalty_loss",
        dtype: str | None = None,
    ) -> None:
        super().__init__(
            reduction, name, dtype, alpha=alpha, from_logits=from_logits, padding_id=padding_id, end_id=end_id
        )

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        # A mask by position does not fit values by sequence, which have counted what counts already; a new tensor has
        # none.
        return super().__call__(y_true, ops.convert_to_tensor(y_pred) + 0, sample_weight)


def length_penalty(length: Any, alpha: float = 0.6) -> Any:
    """Length penalty for scoring finished sequences at decoding time: divide a log probability by it.

    ```
    lp(Y) = ((5 + |Y|) / 6) ** alpha,    score(Y) = log P(Y | X) / lp(Y)
    ```

    (Wu et al. 2016, equation 14.) Without it, beam search prefers short sequences, since every token costs.

    Args:
        length: Numbers of tokens, of any shape.
        alpha: 0 for no penalty, 1 for nearly the mean per token; the paper's best lie between 0.6 and 0.7.

    Returns:
        A tensor of the same shape; 1 for length 1.

    References:
        Wu et al. (2016), Google's Neural Machine Translation System, https://arxiv.org/abs/1609.08144

    Example:

    >>> [float(value) for value in kplug.length_penalty([1, 7, 13], alpha=1.0)]
    [1.0, 2.0, 3.0]
    """
    return ops.power((5 + in_float32(length)) / 6, alpha)


def _part_of_target(tokens: Any, padding_id: int | None, end_id: int | None, dtype: str) -> Any:
    """Return ones where the target's tokens are, zeros from its end on."""
    ended = ops.zeros_like(tokens)
    if padding_id is not None:
        ended = ops.cumsum(ops.cast(tokens == padding_id, "int32"), axis=1)
    if end_id is not None:
        is_end = ops.cast(tokens == end_id, "int32")
        ended = ended + ops.cumsum(is_end, axis=1) - is_end
    return ops.cast(ended == 0, dtype)


def _expected_length(log_probabilities: Any, padding_id: int | None, end_id: int | None) -> Any:
    log_going_on = ops.zeros_like(log_probabilities[..., 0])
    if padding_id is not None:
        log_going_on = log_going_on + ops.cumsum(_log_of_not(log_probabilities, padding_id), axis=1)
    if end_id is not None:
        log_no_end = _log_of_not(log_probabilities, end_id)
        log_going_on = log_going_on + ops.cumsum(log_no_end, axis=1) - log_no_end
    return ops.sum(ops.exp(log_going_on), axis=1)


def _log_of_not(log_probabilities: Any, token: int) -> Any:
    """Return the log probability of every other token together."""
    is_token = ops.cast(ops.arange(ops.shape(log_probabilities)[-1]) == token, log_probabilities.dtype)
    return ops.logsumexp(log_probabilities - FAR * is_token, axis=-1)


def _log_of(probabilities: Any) -> Any:
    # The clipped value with the gradient of the unclipped one: a certain mistake must still be pulled back.
    epsilon = keras.config.epsilon()
    clipped = ops.stop_gradient(ops.clip(probabilities, epsilon, 1.0)) + (
        probabilities - ops.stop_gradient(probabilities)
    )
    return ops.log(clipped)
