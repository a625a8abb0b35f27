"""How good probabilities are: which are higher, and whether they are as high as they should be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

_EXACT = 2**18
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

    All measures are exact up to a quarter of a million labels. With more, logits are sorted into a million
    bins for the ROC curve, where those of one bin count as equal.

    Args:
        output: a :class:`BinaryOutput`.
    """

    def __init__(self, output: Any) -> None:
        self._output = output
        # Logits and labels, until they are too many; then how many labels 0 and 1 are in each bin.
        self._held: list[tuple[Tensor, Tensor]] = []
        self._bins: Tensor | None = None
        self._counts = torch.zeros(2, dtype=torch.int64)
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
        self._counts += torch.bincount(labels, minlength=2)
        self._held.append((logits, labels))
        if self._bins is not None or int(self._counts.sum()) > _EXACT:
            self._sort_into_bins()
        group = (probabilities * _GROUPS).long().clamp(max=_GROUPS - 1)
        for row, of_each in enumerate((torch.ones_like(probabilities), probabilities, labels)):
            self._groups[row] += torch.bincount(group, weights=of_each.double(), minlength=_GROUPS)

    def _sort_into_bins(self) -> None:
        if self._bins is None:
            self._bins = torch.zeros(2, _BINS, dtype=torch.int64)
        for logits, labels in self._held:
            share = logits.clamp(-_LARGEST, _LARGEST) / (2 * _LARGEST) + 0.5
            _add(self._bins, (share * (_BINS - 1)).round().long(), labels)
        self._held = []

    def _curve(self) -> Tensor:
        if self._bins is not None:
            return _roc(self._bins)
        logits, labels = (torch.cat(parts) for parts in zip(*self._held, strict=True))
        values, places = torch.unique(self._output.link(logits), return_inverse=True)
        bins = torch.zeros(2, len(values), dtype=torch.int64)
        _add(bins, places, labels)
        return _roc(bins)

    def compute(self) -> ClickFigures | None:
        """What all labels so far come to; None without one."""
        negatives, positives = self._counts.tolist()
        if not negatives + positives:
            return None
        curve = self._curve()
        values = {name: float(metric.compute()) for name, metric in self._metrics.items()}
        if negatives and positives:
            values = {"auc": _area(curve), **values}
        groups = [
            (int(count), mean / count, hits / count) for count, mean, hits in self._groups.T.tolist() if count
        ]
        return ClickFigures(negatives + positives, positives, values, _thinned(curve), groups)


def _add(bins: Tensor, places: Tensor, labels: Tensor) -> None:
    """Counts labels (N,) of 0 and 1 in their places of (2, P) bins."""
    bins.view(-1).index_add_(0, labels * bins.shape[1] + places, torch.ones_like(places))


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
