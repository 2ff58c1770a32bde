"""What the worker chooses for speed: threads, steps per execution, pipeline, compilation."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Execution:
    steps_per_execution: int = 1
    jit_compile: bool | str = "auto"

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def in_words(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.as_json().items())


def choose_threads(backend: str) -> None:
    return None


def choose_execution(model: Any, dataset: Any, batch_size: int, threads: Any) -> Execution:
    return Execution()
