"""How good probabilities are: which are higher, and whether they are as high as they should be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

_BINS = 2**20
# Logits beyond it are as good as certain.
_LARGEST = 24.0
_GROUPS = 10
_POINTS = 100


@dataclass(frozen=True)
class ClickFigures:
    """How good the probabilities of a label are.

    Args:
        count: labels.
        positives: labels of 1.
        values: measures by name.
        roc: false and true positive rate, from (0, 0) to (1, 1).
        calibration: of each tenth of the probabilities from 0 to 1 that has labels, their count, the mean
            probability and the share of labels that are 1.
    """

    count: int
    positives: int
    values: dict[str, float]
    roc: list[tuple[float, float]]
    calibration: list[tuple[int, float, float]]


class ClickMeasure:
    """Adds up :class:`ClickFigures`, in memory that does not grow with the rows.

    The area under the ROC curve is that of logits sorted into a million bins, where those of one bin count as
    equal. The other measures are exact.

    Args:
        output: a :class:`BinaryOutput`.
    """

    def __init__(self, output: Any) -> None:
        self._output = output
        self._bins = torch.zeros(2, _BINS, dtype=torch.int64)
        self._groups = torch.zeros(3, _GROUPS, dtype=torch.float64)
        names = [name for name in output.metrics if name not in ("auc", "average_precision")]
        self._metrics = {name: output.metric(name) for name in dict.fromkeys((*names, "log_loss"))}

    def update(self, hidden: Any, planned: Any) -> None:
        """Adds the labels of a batch, planned for evaluation."""
        logits, labels, _ = self._output.answers(hidden, planned)
        if not len(labels):
            return
        logits, labels = logits.float().cpu(), self._output.judged(labels).cpu()
        probabilities = self._output.link(logits)
        for metric in self._metrics.values():
            metric.update(probabilities, labels)
        places = ((logits.clamp(-_LARGEST, _LARGEST) / (2 * _LARGEST) + 0.5) * (_BINS - 1)).round().long()
        self._bins.view(-1).index_add_(0, labels.long() * _BINS + places, torch.ones_like(places))
        group = (probabilities * _GROUPS).long().clamp(max=_GROUPS - 1)
        for row, of_each in enumerate((torch.ones_like(probabilities), probabilities, labels)):
            self._groups[row] += torch.bincount(group, weights=of_each.double(), minlength=_GROUPS)

    def compute(self) -> ClickFigures | None:
        """What all labels so far come to; None without one."""
        negatives, positives = (int(row.sum()) for row in self._bins)
        if not negatives + positives:
            return None
        curve = _roc(self._bins)
        values = {name: float(metric.compute()) for name, metric in self._metrics.items()}
        if negatives and positives:
            values = {"auc": _area(curve), **values}
        groups = [
            (int(count), mean / count, hits / count) for count, mean, hits in self._groups.T.tolist() if count
        ]
        return ClickFigures(negatives + positives, positives, values, _thinned(curve), groups)


def _roc(bins: Tensor) -> Tensor:
    """(P, 2) false and true positive rates of every threshold, rising, with (0, 0)."""
    totals = bins.sum(1, keepdim=True).clamp(min=1)
    rates = (bins.flip(1).cumsum(1).double() / totals).T
    rates = torch.cat([torch.zeros(1, 2, dtype=torch.float64), rates])
    used = (rates[1:] != rates[:-1]).any(1)
    return torch.cat([rates[:1], rates[1:][used]])


def _area(curve: Tensor) -> float:
    """By trapezoids: equal scores count half."""
    steps, heights = curve[1:, 0] - curve[:-1, 0], (curve[1:, 1] + curve[:-1, 1]) / 2
    return float((steps * heights).sum())


def _thinned(curve: Tensor) -> list[tuple[float, float]]:
    if len(curve) > _POINTS:
        # As far apart along the curve as each other.
        along = curve.sum(1) / 2
        wanted = torch.linspace(0, float(along[-1]), _POINTS, dtype=torch.float64)
        curve = curve[torch.unique(torch.searchsorted(along, wanted).clamp(max=len(curve) - 1))]
    return [(float(x), float(y)) for x, y in curve.tolist()]
