"""What a model asks of its output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from merlin_models_torch.batch import Batch, Column

Widths = int | Mapping[str, int]
"""Width of the body's vectors, or widths by name where the body gives several."""

Never = Sequence[int] | Mapping[str, Sequence[int]]
"""Item rows that are no answers, or these by target where a model has several."""


class Metrics(Protocol):
    """Measures of one kind of evaluation; a module, such as a ``torchmetrics.MetricCollection``."""

    def reset(self) -> Any:
        """Forgets everything."""

    def compute(self) -> dict[str, Any]:
        """Values over everything since the last reset, by name."""


@runtime_checkable
class Output(Protocol):
    """The end of a model: scores, the loss they are trained with, and how good they are.

    ``hidden`` is what the body gives: (B, D), or (B, T, D) for sequences, or several of these by name.

    An output that reads what a body of sequences gives at the plan's targeted positions and nowhere else may
    say so in its class by ``reads_targets = True``: bodies save themselves the other positions then.

    Attributes:
        needs_plan: whether it is trained on what a masking hides. If not, everything is visible in training
            and evaluation as it is in prediction.

    Example:
        >>> isinstance(mm.BinaryOutput("click"), Output), isinstance(torch.nn.Linear(2, 1), Output)
        (True, False)
    """

    needs_plan: bool

    def build(self, inputs: Any, width: Any) -> None:
        """Makes the weights once the model's input block and the width of the body are known."""

    def loss(self, hidden: Any, batch: Batch, *, generator: torch.Generator | None = None) -> Tensor:
        """What is made small: a scalar; ``generator`` makes random choices of training."""

    def count(self, batch: Batch) -> int:
        """Targets in the batch."""

    def make_metrics(self) -> Any:
        """Fresh metrics for one kind of evaluation: a module, see :class:`Metrics`."""

    def update_metrics(
        self,
        metrics: Any,
        hidden: Any,
        batch: Batch,
        *,
        seen: Tensor | None = None,
        never: Sequence[int] = (),
    ) -> None:
        """Adds a batch to the metrics; ``seen`` and ``never`` as for :meth:`ItemOutput.topk`."""


@runtime_checkable
class ScoreOutput(Output, Protocol):
    """An output whose predictions are numbers for each row.

    Example:
        >>> isinstance(mm.BinaryOutput("click"), ScoreOutput), isinstance(model.output, ScoreOutput)
        (True, False)
    """

    def predictions(self, hidden: Any, batch: Batch) -> dict[str, Column]:
        """(B,) scores, or a list for each row's positions, by the name of their column in the answer."""


@runtime_checkable
class ItemOutput(Output, Protocol):
    """An output whose predictions are items of a catalogue.

    Example:
        >>> isinstance(model.output, ItemOutput), isinstance(mm.BinaryOutput("click"), ItemOutput)
        (True, False)
    """

    top_ks: tuple[int, ...]
    exclude: tuple[int, ...]
    exclude_seen: bool

    @property
    def cardinality(self) -> int:
        """Rows of the catalogue, padding included."""

    def topk(
        self, hidden: Any, batch: Batch, *, k: int, seen: Tensor | None = None, never: Sequence[int] = ()
    ) -> tuple[Tensor, Tensor]:
        """Scores (N, k) and item rows (N, k) int64 of the k best items."""
