"""A masking of one's own by one method."""

from __future__ import annotations

import torch
from torch import Tensor

from merlin_models_torch.masking.plan import MaskPlan, Mode, positions


class OwnMasking:
    """Hides the items that a subclass says; every position may see every other.

    A subclass defines :meth:`hidden` and may set the attributes.

    Attributes:
        appends: in prediction a hidden place after the last item answers, as a hidden item did in training.
            Without it nothing is hidden in prediction, and the position of the last item answers.
        attend_to_padding: (legacy) padded positions are visible to all others.

    Example:
        >>> class SecondItem(OwnMasking):
        ...     def hidden(self, ids, lengths, mode, *, generator=None):
        ...         second = (torch.arange(ids.shape[1]) == 1) & (ids != 0)
        ...         return second, torch.where(second, ids, 0)
        >>> SecondItem().evaluate(torch.tensor([[5, 6, 7]]), torch.tensor([3])).targets.tolist()
        [[0, 6, 0]]
    """

    appends: bool = True
    attend_to_padding: bool = False

    def hidden(
        self, ids: Tensor, lengths: Tensor, mode: Mode, *, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Which items are hidden, and what is to be predicted where.

        Args:
            ids: (B, T) int64, padded on the right.
            lengths: (B,) int64.
            mode: "train" or "evaluate".
            generator: source of random draws in training.

        Returns:
            (B, T) bool, positions that become the mask vector; (B, T) int64, the item to predict at each
            position, 0 where there is none.
        """
        raise NotImplementedError(f"{type(self).__name__} has to define hidden()")

    def window(self, mode: Mode, length: int) -> int:
        """One item more than is visible in evaluation, whose last one is hidden."""
        return length + 1 if mode == "evaluate" else length

    def train(self, ids: Tensor, lengths: Tensor, *, generator: torch.Generator | None = None) -> MaskPlan:
        """What :meth:`hidden` says for training."""
        hidden, targets = self._checked(ids, *self.hidden(ids, lengths, "train", generator=generator))
        return self._plan(hidden, targets, lengths)

    def evaluate(self, ids: Tensor, lengths: Tensor) -> MaskPlan:
        """What :meth:`hidden` says for evaluation."""
        hidden, targets = self._checked(ids, *self.hidden(ids, lengths, "evaluate"))
        return self._plan(hidden, targets, lengths)

    def predict(self, ids: Tensor, lengths: Tensor) -> MaskPlan:
        """A hidden place after the last item answers what comes next, or the last item's position."""
        if not self.appends:
            nothing = torch.zeros_like(ids)
            last = positions(ids) == lengths[:, None] - 1
            return self._plan(nothing.bool(), nothing, lengths, targeted=last)
        longer = torch.nn.functional.pad(ids, (0, 1))
        place = positions(longer) == lengths[:, None]
        return self._plan(place, torch.zeros_like(longer), lengths + 1, targeted=place, extend=1)

    def _checked(self, ids: Tensor, hidden: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        for name, given in (("hidden positions", hidden), ("targets", targets)):
            if given.shape != ids.shape:
                raise ValueError(
                    f"{type(self).__name__}.hidden gave {name} of shape {tuple(given.shape)}, expected that "
                    f"of the ids, {tuple(ids.shape)}"
                )
        return hidden.bool(), targets

    def _plan(
        self,
        hidden: Tensor,
        targets: Tensor,
        lengths: Tensor,
        *,
        targeted: Tensor | None = None,
        extend: int = 0,
    ) -> MaskPlan:
        return MaskPlan(
            replaced=hidden,
            targeted=targets != 0 if targeted is None else targeted,
            targets=targets,
            lengths=torch.full_like(lengths, hidden.shape[1]) if self.attend_to_padding else lengths,
            attention="full",
            extend=extend,
        )
