"""Metrics of several outputs as one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn


class JointMetrics(nn.Module):
    """Metrics of several outputs, which keep their names.

    Args:
        parts: metrics with ``reset()`` and ``compute() -> dict`` by output.

    Example:
        >>> from torchmetrics import MeanMetric, MetricCollection
        >>> metrics = JointMetrics({"click": MetricCollection({"click_loss": MeanMetric()})})
        >>> list(metrics.parts)
        ['click']
    """

    def __init__(self, parts: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.parts = nn.ModuleDict(parts)

    def reset(self) -> None:
        """Forgets everything."""
        for part in self.parts.values():
            part.reset()  # type: ignore[operator]

    def compute(self) -> dict[str, Any]:
        """All values by name."""
        values: dict[str, Any] = {}
        for part in self.parts.values():
            values.update(part.compute())  # type: ignore[operator]
        return values
