"""One episode as an animated GIF."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

from kplug.datasets.environment_copies import as_action
from kplug.datasets.environment_recipe import EnvironmentRecipe

_MOST_FRAMES = 80
_SIDE = 240
_MILLISECONDS = 50
_CAPTION = 14
"""Height of the line below a picture, in pixels."""


def write_animation(model: Any, recipe: EnvironmentRecipe, seed: int, path: Path) -> None:
    """Write an episode of the deterministic policy as the environment draws it, or else as curves of its states.

    Args:
        model: Has `act`.
        recipe: How the environment is made.
        seed: The episode's seed.
        path: The file.
    """
    frames, states, actions, why = _episode(model, recipe, seed)
    images = [_image(*frame) for frame in frames] if frames else _curves(states, actions, why)
    images[0].save(path, save_all=True, append_images=images[1:], duration=_MILLISECONDS, loop=0)


def _episode(
    model: Any, recipe: EnvironmentRecipe, seed: int
) -> tuple[list[tuple[np.ndarray, str]], np.ndarray, np.ndarray, str]:
    """Return pictures of an episode with their captions (none where the environment cannot draw), its states and
    actions, and why not.
    """
    import gymnasium

    every = -(-recipe.most_episode_steps // _MOST_FRAMES)
    frames, states, actions, why, total = [], [], [], "", 0.0
    environment = recipe.make()
    if "rgb_array" in environment.metadata.get("render_modes", ()):
        environment.close()
        environment = recipe.make(render_mode="rgb_array")
    else:
        why = "it does not draw itself"
    try:
        observation, _ = environment.reset(seed=seed)
        for step in range(recipe.most_episode_steps):
            if not why and step % every == 0:
                try:
                    frames.append((np.asarray(environment.render()), f"step {step}   return {total:.1f}"))
                except Exception as error:  # noqa: BLE001 - a display or a package that is missing fails in any way
                    why = f"{type(error).__name__}: {error}"
            state = np.asarray(gymnasium.spaces.flatten(environment.observation_space, observation), "float32")
            action = model.act(state)
            states.append(state)
            actions.append(action)
            chosen = as_action(environment.action_space, action)
            observation, reward, terminated, truncated, _ = environment.step(chosen)
            total += float(reward)
            if terminated or truncated:
                break
    finally:
        environment.close()
    return frames, np.array(states), np.array(actions), why


def _image(frame: np.ndarray, caption: str) -> Image.Image:
    picture = Image.fromarray(frame.astype("uint8")).convert("RGB")
    picture.thumbnail((_SIDE, _SIDE))
    image = Image.new("RGB", (picture.width, picture.height + _CAPTION), "white")
    image.paste(picture)
    ImageDraw.Draw(image).text((4, picture.height + 1), caption, fill="black")
    return image.quantize(64)


def _curves(states: np.ndarray, actions: np.ndarray, why: str) -> list[Image.Image]:
    """Return the episode as curves that grow, with the reason for it below."""
    figure = Figure(figsize=(4, 3), dpi=80, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    figure.supxlabel(f"step (curves, since {why})", fontsize=6, wrap=True)
    markers = []
    for axes, values, title in zip(
        figure.subplots(2, 1, sharex=True), (states, actions), ("states", "actions"), strict=True
    ):
        axes.plot(values, linewidth=1)
        axes.set_ylabel(title, fontsize=8)
        markers.append(axes.axvline(0, color="0.5"))
    images = []
    for step in range(0, len(states), -(-len(states) // _MOST_FRAMES)):
        for marker in markers:
            marker.set_xdata([step, step])
        canvas.draw()
        images.append(Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3]).quantize(32))
    return images
