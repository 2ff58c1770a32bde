"""What a run leaves for people: the model, and whatever the model draws."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

import keras

MODEL_FILE = "model.keras"


def write_artifacts(model: keras.Model, dataset: Any, directory: Path) -> str | None:
    """Save the model, then let it leave its pictures and tables.

    A model draws through a method `write_artifacts(directory, dataset)`, if it has one. The model is saved first, so
    that an error in drawing loses nothing.

    Args:
        model: The trained model.
        dataset: What its data set component returned.
        directory: Where artifacts go; exists.

    Returns:
        What went wrong in drawing, or `None`.
    """
    aside = directory / f".new-{MODEL_FILE}"
    model.save(aside)
    aside.replace(directory / MODEL_FILE)
    draw = getattr(model, "write_artifacts", None)
    if draw is None:
        return None
    try:
        draw(directory, dataset)
    except Exception as error:  # noqa: BLE001 - a plugin's drawing must not cost the run its result
        traceback.print_exc()
        return f"{type(error).__name__}: {error}"
    return None
