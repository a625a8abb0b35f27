"""How much of the catalogue is ever answered."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric


class Coverage(Metric):
    """Share of the catalogue that is among the first k answers to at least one query.

    Source: catalogue coverage of Ge, Delgado-Battenfeld and Jannach 2010, section 3.1. Batches and processes
    add up: an item counts once, wherever it was answered.

    Args:
        size: rows of the catalogue.
        k: answers looked at; all if not given.
        exclude: rows that stand for no item, such as padding.

    Raises:
        ValueError: if no item is left.

    Example:
        >>> coverage = Coverage(5, k=2)
        >>> coverage.update(torch.tensor([[1, 2, 4], [2, 3, 4]]))
        >>> coverage.compute().item()
        0.75
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    answered: Tensor
    never: Tensor

    def __init__(self, size: int, *, k: int | None = None, exclude: tuple[int, ...] = (0,)) -> None:
        super().__init__()
        never = torch.zeros(size, dtype=torch.int64)
        never[[row for row in exclude if 0 <= row < size]] = 1
        if size - int(never.sum()) < 1:
            raise ValueError(f"the catalogue has {size} rows of which none is an item: give its size")
        if k is not None and k < 1:
            raise ValueError(f"k is {k}, expected at least 1")
        self.size, self.k = size, k
        self.add_state("answered", torch.zeros(size, dtype=torch.int64), dist_reduce_fx="max")
        self.add_state("never", never, dist_reduce_fx="max")

    def update(self, answers: Tensor, *, never: Sequence[int] = ()) -> None:
        """Adds the answers to some queries.

        Args:
            answers: (N, K) int64 item rows, best first, K at least ``k``; -1 where there is no answer.
            never: further rows that stand for no item.

        Raises:
            ValueError: if there are fewer than k answers, or a row is outside the catalogue.
        """
        if self.k is not None and answers.shape[1] < self.k:
            raise ValueError(
                f"coverage at {self.k} needs {self.k} answers for each query, got {answers.shape[1]}: "
                "ask for more answers, or lower k"
            )
        found = answers[:, : self.k].flatten()
        found = found[found >= 0]
        if bool((found >= self.size).any()):
            raise ValueError(
                f"answers hold row {int(found.max())}, but the catalogue has rows 0 to {self.size - 1}: "
                "give its size"
            )
        self.answered[found] = 1
        self.never[list(never)] = 1

    def compute(self) -> Tensor:
        """Items answered so far over all items: a float32 scalar."""
        item = self.never == 0
        return (self.answered[item].sum() / item.sum()).float()
