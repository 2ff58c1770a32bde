"""What a run is taken up from."""

from __future__ import annotations

from dataclasses import dataclass

from kplug.training.checkpoints import Checkpoint
from kplug.training.performance import Execution
from kplug.training.position import Position


@dataclass(frozen=True)
class Resumed:
    """What a run is taken up from.

    Attributes:
        checkpoint: The newest one that is whole, or `None`: the run begins anew.
        execution: How the run was executed, or `None` if that is not known.
    """

    checkpoint: Checkpoint | None = None
    execution: Execution | None = None

    @property
    def position(self) -> Position:
        """Where the training begins."""
        return Position() if self.checkpoint is None else Position(**self.checkpoint.state["position"])

    @property
    def records_size(self) -> int:
        """Bytes of the metric records that were written before the checkpoint."""
        return 0 if self.checkpoint is None else int(self.checkpoint.state["metrics_bytes"])
