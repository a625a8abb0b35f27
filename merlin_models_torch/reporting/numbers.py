"""How good numbers and classes are, and some of them beside their labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

_PAIRS = 600


@dataclass(frozen=True)
class NumberFigures:
    """How good the answers to a column of numbers or classes are.

    Args:
        count: labels.
        values: measures by name.
        pairs: some labels and the numbers answered to them, drawn evenly from all; none for classes.
    """

    count: int
    values: dict[str, float]
    pairs: list[tuple[float, float]]


class NumberMeasure:
    """Adds up :class:`NumberFigures`, in memory that does not grow with the rows.

    Args:
        output: for a column of labels.
        pairs: whether to keep some labels with their answers.
    """

    def __init__(self, output: Any, *, pairs: bool) -> None:
        self._output = output
        self._metrics = {name: output.metric(name) for name in output.metrics}
        self._keeps = pairs
        # A row is kept if it drew one of the smallest numbers, which is as likely for each.
        self._drawn = torch.empty(0, dtype=torch.float64)
        self._kept = torch.empty(0, 2)
        self._generator = torch.Generator().manual_seed(0)
        self._count = 0

    def update(self, hidden: Any, planned: Any) -> None:
        """Adds the labels of a batch, planned for evaluation."""
        numbers, labels, _ = self._output.answers(hidden, planned)
        if not len(labels):
            return
        self._count += len(labels)
        answers, labels = self._output.link(numbers.float()).cpu(), self._output.judged(labels).cpu()
        for metric in self._metrics.values():
            metric.update(answers, labels)
        if self._keeps:
            self._keep(torch.stack([labels.float(), answers], 1))

    def _keep(self, pairs: Tensor) -> None:
        drawn = torch.rand(len(pairs), generator=self._generator, dtype=torch.float64)
        drawn, kept = torch.cat([self._drawn, drawn]), torch.cat([self._kept, pairs])
        best = drawn.argsort()[:_PAIRS]
        self._drawn, self._kept = drawn[best], kept[best]

    def compute(self) -> NumberFigures | None:
        """What all labels so far come to; None without one."""
        if not self._count:
            return None
        values = {name: float(metric.compute()) for name, metric in self._metrics.items()}
        return NumberFigures(self._count, values, [(x, y) for x, y in self._kept.tolist()])
