"""What a model's outputs are: numbers, probabilities, or the parameters of a distribution."""

from __future__ import annotations

from typing import Any, Literal

import keras

from kplug_bayes.outputs.distribution_layer import DistributionLayer
from kplug_bayes.prediction.model_parts import nested_layers

Task = Literal["regression", "classification", "binary"]
TASKS = ("regression", "classification", "binary")


def output_layer_of(model: keras.Model) -> DistributionLayer | None:
    """Return the layer that says how the model's outputs are distributed, or `None`.

    It is the model's last layer, that of a model at its end, or the attribute `output_distribution` of either.

    Raises:
        ValueError: If it does not put out its parameters, other layers come after it, or there are several outputs.
    """
    outputs = getattr(model, "outputs", None) or []
    if len(outputs) > 1:
        raise ValueError(
            "The model must have one output: make one for each, keras.Model(model.inputs, model.outputs[0]) say. "
            f"Received: model={model.name}, with {len(outputs)} outputs"
        )
    end = _end_of(model)
    inner = [one for one in nested_layers(model) if isinstance(one, DistributionLayer) and one is not end]
    inner = [one for one in inner if one.convert_to == "parameters"]
    if inner:
        raise ValueError(
            f"What comes after {inner[0].name} is not the distribution that it has parameters of. Let the model end "
            "with it, set it as the model's attribute `output_distribution` if the model puts out its parameters, or "
            f'make it with convert_to="mean" or "sample". Received: model={model.name}'
        )
    if not isinstance(end, DistributionLayer):
        return None
    if end.convert_to != "parameters":
        raise ValueError(
            "The model must end with the distribution's parameters for its spread to be seen. "
            f'Make its last layer with convert_to="parameters". Received: convert_to={end.convert_to!r}'
        )
    return end


def _end_of(model: Any) -> Any:
    """Return the last operation of a model, of its last model if it ends with one, or what it says itself."""
    stated = getattr(model, "output_distribution", None)
    if stated is not None:
        return stated
    parts = getattr(model, "operations", None) or getattr(model, "layers", [])
    if hasattr(model, "prediction_task") or not parts:
        return model
    return _end_of(parts[-1])


def task_of(model: keras.Model, layer: DistributionLayer | None) -> str:
    """Return what the outputs are, by the output layer or else by the last activation.

    Raises:
        ValueError: If neither says.
    """
    if layer is not None:
        return layer.task
    end = _end_of(model)
    stated = getattr(end, "prediction_task", None)
    if stated is not None:
        return str(stated)
    activation = getattr(end, "activation", None)
    if isinstance(end, keras.layers.Softmax) or activation is keras.activations.softmax:
        return "classification"
    if activation is keras.activations.sigmoid:
        return "binary"
    raise ValueError(
        "Whether the model puts out numbers or classes cannot be told from its last layer. "
        'Say so: task="regression"; or task="classification" (or "binary"), with from_logits=True for logits. '
        "Received: task=None"
    )


def refuse_without_spread(model: keras.Model) -> None:
    """Say why the predictions of a single model have no spread of any kind.

    Raises:
        ValueError: Always.
    """
    switched_off = [layer.name for layer in nested_layers(model) if getattr(layer, "deterministic", False)]
    if switched_off:
        raise ValueError(
            f"All layers that draw are switched off ({', '.join(switched_off)}). "
            "Set their `deterministic` to False. Received: deterministic=True"
        )
    raise ValueError(
        "The model has nothing that draws when it predicts, so that its predictions have no spread: call a Dropout "
        "with training=True, give the model variational layers, MCDropout or an output layer, or train a DeepEnsemble. "
        f"Received: model={model.name}"
    )
