"""What a masking decides about one batch of item sequences."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

Mode = Literal["train", "evaluate", "predict"]
Attention = Literal["causal", "full", "permuted"]


@dataclass(frozen=True)
class MaskPlan:
    """Which positions are hidden, which are predicted, and what attention may see.

    Positions ``T`` are those of the item sequence plus ``extend``. Everything a block or an output has to
    know about the masking is in here; the masking itself keeps nothing of a batch.

    Args:
        replaced: (B, T) bool, positions whose input vector becomes the learned mask vector.
        targeted: (B, T) bool, positions whose output predicts an item.
        targets: (B, T) int64, the item each targeted position predicts; 0 elsewhere.
        lengths: (B,) int64, positions in use; those after them are padding.
        attention: "causal" if a position may see only itself and earlier ones, "full" if all in use,
            "permuted" if each sees what ``pairs`` says. The last asks for two streams: what a position is
            predicted from (its query) sees ``pairs`` and not its own item, which others may see.
        extend: positions appended to the item sequence (the place of the item to predict), or -1 if its last
            one is left out (an item that is only a target).
        blank: (B, T) bool, positions whose input vector becomes zero. Only for legacy equality.
        pairs: (B, T, T) bool for "permuted": which position (last) each position's query (middle) may see.
        further: (B, T, K - 1) int64, more items that a targeted position predicts, 0 where there is none; for
            maskings by which each position predicts K.

    Raises:
        ValueError: if there are pairs and the attention is not "permuted", or it is and there are none.

    Example:
        >>> plan = CausalMasking().train(torch.tensor([[5, 6, 7, 8]]), torch.tensor([4]))
        >>> plan.visible()[0].int()  # what each position (row) sees
        tensor([[1, 0, 0],
                [1, 1, 0],
                [1, 1, 1]], dtype=torch.int32)
        >>> hidden = torch.zeros(1, 3, 16)  # of a body
        >>> plan.queries(hidden).shape, plan.items()
        (torch.Size([3, 16]), tensor([6, 7, 8]))
    """

    replaced: Tensor
    targeted: Tensor
    targets: Tensor
    lengths: Tensor
    attention: Attention
    extend: int = 0
    blank: Tensor | None = None
    pairs: Tensor | None = None
    further: Tensor | None = None

    def __post_init__(self) -> None:
        if (self.attention == "permuted") != (self.pairs is not None):
            given = "no pairs" if self.pairs is None else "pairs"
            raise ValueError(
                f"attention is {self.attention!r} and the plan has {given}: pairs belong to 'permuted' only"
            )

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> MaskPlan:
        """The same plan on another device."""
        moved: dict[str, Any] = {
            f.name: value.to(device, non_blocking=non_blocking)
            for f in fields(self)
            if isinstance(value := getattr(self, f.name), Tensor)
        }
        return replace(self, **moved)

    def visible(self) -> Tensor:
        """(B, 1, T) or (B, T, T) bool: which position (last) each position (middle) may see.

        In a "permuted" plan that is what a query sees; others see the item at a position from there too.
        """
        if self.pairs is not None:
            return self.pairs
        steps = torch.arange(self.replaced.shape[1], device=self.replaced.device)
        inside = steps < self.lengths[:, None]
        if self.attention == "full":
            return inside[:, None, :]
        return inside[:, None, :] & (steps <= steps[:, None])

    def queries(self, hidden: Tensor) -> Tensor:
        """What predicts: hidden states of the targeted positions, each once for every item it predicts.

        Args:
            hidden: (B, T, D) from a body.

        Returns:
            (N, D), row by row, in the order of :meth:`items`.
        """
        if self.further is None:
            return hidden[self.places()]
        rows, steps, _ = self._every_target().nonzero(as_tuple=True)
        return hidden[rows, steps]

    def places(self) -> tuple[Tensor, Tensor]:
        """The row (N,) and the position (N,) of each targeted position, row by row: int64."""
        rows, steps = self.targeted.nonzero(as_tuple=True)
        return rows, steps

    def items(self) -> Tensor:
        """(N,) int64, what each of :meth:`queries` predicts."""
        if self.further is None:
            return self.targets[self.targeted]
        return torch.cat([self.targets[..., None], self.further], -1)[self._every_target()]

    def _every_target(self) -> Tensor:
        further = torch.zeros_like(self.targeted)[..., None] if self.further is None else self.further != 0
        return torch.cat([self.targeted[..., None], further & self.targeted[..., None]], -1)


def positions(ids: Tensor) -> Tensor:
    """(T,) int64, the number of each position of (B, T) ids."""
    return torch.arange(ids.shape[1], device=ids.device)


class Masking(Protocol):
    """Turns item sequences into a :class:`MaskPlan`: three named ways, no flags, no state.

    ``ids`` is (B, T) int64 padded on the right, ``lengths`` (B,) int64.

    Example:
        >>> masking: Masking = CausalMasking()
        >>> masking.window("evaluate", 20), masking.window("predict", 20)
        (21, 20)
        >>> ids, lengths = torch.tensor([[5, 6, 7]]), torch.tensor([3])
        >>> masking.evaluate(ids, lengths).targeted, masking.predict(ids, lengths).targeted
        (tensor([[False,  True]]), tensor([[False, False,  True]]))
    """

    def window(self, mode: Mode, length: int) -> int:
        """How many latest items a plan is made from, so that ``length`` of them can be visible."""

    def train(self, ids: Tensor, lengths: Tensor, *, generator: torch.Generator | None = None) -> MaskPlan:
        """Some or all positions are targets."""

    def evaluate(self, ids: Tensor, lengths: Tensor) -> MaskPlan:
        """The last item is the target and is not visible."""

    def predict(self, ids: Tensor, lengths: Tensor) -> MaskPlan:
        """Everything is visible; the one targeted position answers what comes next."""
