"""Extra facts an author may state about a component, with a decorator that imports nothing heavy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T", bound=Callable)

INFO_FIELDS = (
    "input_shape",
    "num_classes",
    "class_names",
    "num_features",
    "feature_names",
    "vocabulary",
    "vocabulary_size",
    "sequence_length",
    "state_dim",
    "action_dim",
    "action_low",
    "action_high",
    "reward_threshold",
)
"""What a data set's info record may hold; a model's parameters of these names are filled from it."""

_EXAMPLES = {
    "tasks": "image-classification",
    "provides": "num_classes",
    "loss": "mean_squared_error",
    "optimizer": "adam",
    "metrics": "accuracy",
    "references": "Haar (1910)",
}


@dataclass(frozen=True)
class Facts:
    """What the decorator `component` leaves on a class or function."""

    tasks: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    loss: str | None = None
    own_loss: bool = False
    optimizer: str | None = None
    metrics: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    example: Mapping[str, Any] = field(default_factory=dict)


def component(
    *,
    tasks: Sequence[str] = (),
    provides: Sequence[str] = (),
    loss: str | None = None,
    own_loss: bool = False,
    optimizer: str | None = None,
    metrics: Sequence[str] = (),
    references: Sequence[str] = (),
    example: Mapping[str, Any] | None = None,
) -> Callable[[T], T]:
    """State facts about a component that its signature cannot say. Optional: a plain Keras class works without.

    Args:
        tasks: What the component is for (`"image-classification"`, `"image-generation"`, …). Components
            train together only if they share a task; one that states no task goes with all.
        provides: For a data set: the fields of its info record (`"input_shape"`, `"num_classes"`, …).
        loss: For a model: the loss to use where none is chosen, a component's or a Keras loss's name.
        own_loss: For a model: it computes its loss itself and takes no other.
        optimizer: For a model: the optimizer to use where none is chosen.
        metrics: For a model: the metrics to use where none are chosen.
        references: Papers and other sources.
        example: Parameters that `kplug plugins check` tries the component with: those that have no default, at least.

    Returns:
        A decorator that returns its class or function unchanged but for the facts.

    Raises:
        TypeError: If a fact is not text, or not a list of texts where several may be stated.

    Example:

    ```python
    @kplug.component(tasks=["image-classification"], loss="sparse_categorical_crossentropy")
    class WaveletNet(keras.Model): ...
    ```
    """
    facts = Facts(
        tasks=_texts("tasks", tasks),
        provides=_texts("provides", provides),
        loss=_text("loss", loss),
        own_loss=own_loss,
        optimizer=_text("optimizer", optimizer),
        metrics=_texts("metrics", metrics),
        references=_texts("references", references),
        example=_parameters(example or {}),
    )

    def decorate(decorated: T) -> T:
        decorated.__kplug_facts__ = facts  # type: ignore[attr-defined]
        return decorated

    return decorate


def facts_of(described: object) -> Facts:
    """Return the facts stated about a class or function, or empty ones."""
    facts = getattr(described, "__kplug_facts__", None)
    return facts if isinstance(facts, Facts) else Facts()


def _parameters(example: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(example, Mapping) or not all(isinstance(name, str) for name in example):
        raise TypeError(f"@component(example={example!r}): example must be parameters by name, such as {{'units': 8}}.")
    return dict(example)


def _text(name: str, value: str | None) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"@component({name}={value!r}): {name} must be a name, such as {_EXAMPLES[name]!r}.")
    return value


def _texts(name: str, values: Sequence[str]) -> tuple[str, ...]:
    if isinstance(values, str) or not all(isinstance(one, str) for one in values):
        raise TypeError(
            f"@component({name}={values!r}): {name} must be a list of texts, such as [{_EXAMPLES[name]!r}]."
        )
    return tuple(values)
