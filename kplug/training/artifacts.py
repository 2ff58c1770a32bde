"""What a run leaves for people: the model, and whatever the model draws."""

from __future__ import annotations

import os
import traceback
from pathlib import Path
from typing import Any

import keras

from kplug.saved_requirements import write_requirements
from kplug.training.checkpoints import flush_directory

MODEL_FILE = "model.keras"
BEST_MODEL_FILE = "best.keras"


def save_model(model: keras.Model, directory: Path, name: str = MODEL_FILE) -> None:
    """Save the model, whole or not at all.

    Args:
        model: The trained model.
        directory: Where artifacts go; exists.
        name: The file's name.

    Raises:
        OSError: If it cannot be written; nothing of it is left.
    """
    aside = directory / f".new-{name}"
    try:
        model.save(aside)
        write_requirements(aside)
        # A loss of power must not leave a name without its content.
        with aside.open("rb+") as file:
            os.fsync(file.fileno())
        aside.replace(directory / name)
        flush_directory(directory)
    finally:
        aside.unlink(missing_ok=True)


def draw_artifacts(model: keras.Model, dataset: Any, directory: Path) -> str | None:
    """Let the model leave its pictures and tables, if it has a method `write_artifacts(directory, dataset)`.

    Args:
        model: The trained model.
        dataset: What its data set component returned.
        directory: Where artifacts go; exists.

    Returns:
        What went wrong, or `None`.
    """
    draw = getattr(model, "write_artifacts", None)
    if draw is None:
        return None
    try:
        draw(directory, dataset)
    except Exception as error:  # noqa: BLE001 - a plugin's drawing must not cost the run its result
        traceback.print_exc()
        return f"{type(error).__name__}: {error}"
    return None
