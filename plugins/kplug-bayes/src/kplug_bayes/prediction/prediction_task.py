"""What a model's outputs are: numbers, probabilities, or the parameters of a distribution."""

from __future__ import annotations

from typing import Any, Literal

import keras

from kplug_bayes.outputs.distribution_layer import DistributionLayer

Task = Literal["regression", "classification", "binary"]
TASKS = ("regression", "classification", "binary")


def output_layer_of(model: keras.Model) -> DistributionLayer | None:
    """Return the layer that says how the model's outputs are distributed, or `None`.

    It is the model's last layer, or its attribute `output_distribution`.

    Raises:
        ValueError: If it does not put out its parameters.
    """
    layers = getattr(model, "layers", [])
    found = getattr(model, "output_distribution", layers[-1] if layers else None)
    if not isinstance(found, DistributionLayer):
        return None
    if found.convert_to != "parameters":
        raise ValueError(
            "The model must end with the distribution's parameters for its spread to be seen. "
            f'Make its last layer with convert_to="parameters". Received: convert_to={found.convert_to!r}'
        )
    return found


def task_of(model: keras.Model, layer: DistributionLayer | None) -> str:
    """Return what the outputs are, by the output layer or else by the last activation.

    Raises:
        ValueError: If neither says.
    """
    if layer is not None:
        return layer.task
    stated = getattr(model, "prediction_task", None)
    if stated is not None:
        return str(stated)
    layers = getattr(model, "layers", [])
    activation: Any = getattr(layers[-1], "activation", None) if layers else None
    if isinstance(layers[-1] if layers else None, keras.layers.Softmax) or activation is keras.activations.softmax:
        return "classification"
    if activation is keras.activations.sigmoid:
        return "binary"
    raise ValueError(
        "Whether the model puts out numbers or classes cannot be told from its last layer. "
        'Say so: task="regression"; or task="classification" (or "binary"), with from_logits=True for logits. '
        "Received: task=None"
    )


def check_can_vary(models: list[keras.Model], layer: DistributionLayer | None) -> bool:
    """Say whether the models draw, and refuse a single one that has no spread of any kind.

    Raises:
        ValueError: If nothing draws, or all that could is switched off.
    """
    layers = [one for model in models for one in model._flatten_layers() if hasattr(one, "deterministic")]
    drawing = [one for one in layers if not one.deterministic]
    if not drawing and layer is None and len(models) == 1:
        if layers:
            raise ValueError(
                f"All layers that draw are switched off ({', '.join(one.name for one in layers)}). "
                "Set their `deterministic` to False. Received: deterministic=True"
            )
        raise ValueError(
            "The model has nothing that draws, so that its predictions have no spread: give it variational layers, "
            f"MCDropout or an output layer, or train a DeepEnsemble. Received: model={models[0].name}"
        )
    return bool(drawing)
