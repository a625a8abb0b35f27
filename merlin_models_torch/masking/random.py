"""Random masking: some items are hidden and predicted from both sides."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from merlin_models_torch.masking.plan import MaskPlan, Mode, positions


@dataclass(frozen=True)
class RandomMasking:
    """Masked item prediction, the cloze task (Devlin et al. 2019; Sun et al. 2019, BERT4Rec).

    In training each item is hidden with a probability, at least one and never all of a session that has two.
    In evaluation the last item is hidden; in prediction a hidden position follows the last item. So
    evaluation of a session equals prediction on the session without its last item.

    Args:
        probability: chance of each item to be hidden, in (0, 1).
        attend_to_padding: (legacy) padded positions are visible to all others.
        evaluate_single: (legacy) evaluation also predicts the item of a session that has no other.

    Raises:
        ValueError: if the probability is not between 0 and 1.

    Example:
        >>> masking = RandomMasking(probability=0.3)
        >>> ids, lengths = torch.tensor([[5, 6, 7], [8, 9, 0]]), torch.tensor([3, 2])
        >>> masking.evaluate(ids, lengths).targets
        tensor([[0, 0, 7],
                [0, 9, 0]])
        >>> masking.predict(ids, lengths).replaced.int()  # what comes after the last item
        tensor([[0, 0, 0, 1],
                [0, 0, 1, 0]], dtype=torch.int32)
        >>> plan = masking.train(ids, lengths)  # one or two of the first session, one of the second
        >>> torch.equal(plan.targets, ids * plan.replaced), plan.replaced[1].sum()
        (True, tensor(1))
    """

    probability: float = 0.15
    attend_to_padding: bool = False
    evaluate_single: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.probability < 1:
            raise ValueError(f"probability must be between 0 and 1, got {self.probability}")

    def window(self, mode: Mode, length: int) -> int:
        """One item more than is visible in evaluation, whose last one is hidden."""
        return length + 1 if mode == "evaluate" else length

    def train(self, ids: Tensor, lengths: Tensor, *, generator: torch.Generator | None = None) -> MaskPlan:
        """Random positions are hidden and predict their own item.

        Args:
            ids: (B, T) int64, padded on the right.
            lengths: (B,) int64; a session without items has no target.
            generator: source of the draws; torch's global one if not given.
        """
        inside = positions(ids) < lengths[:, None]
        if not ids.shape[1]:
            return self._plan(inside, ids, lengths)
        chance = torch.full(ids.shape, self.probability, device=ids.device)
        hidden = torch.bernoulli(chance, generator=generator).bool() & inside
        rows = torch.arange(ids.shape[0], device=ids.device)
        # One draw for every session, used or not: the draws of a session do not depend on the others' masks.
        empty = lengths[:, None] == 0
        forced = torch.multinomial((inside | empty).float(), 1, generator=generator)[:, 0]
        hidden[rows, forced] = True
        only_hidden = hidden.sum(1) == lengths
        shown = torch.multinomial(hidden.float(), 1, generator=generator)[:, 0]
        hidden[rows, shown] &= ~only_hidden
        hidden &= inside
        return self._plan(hidden, torch.where(hidden, ids, 0), lengths)

    def evaluate(self, ids: Tensor, lengths: Tensor) -> MaskPlan:
        """The last item is hidden and predicted; a session of one item has no target."""
        hidden = positions(ids) == lengths[:, None] - 1
        if not self.evaluate_single:
            hidden &= lengths[:, None] > 1
        return self._plan(hidden, torch.where(hidden, ids, 0), lengths)

    def predict(self, ids: Tensor, lengths: Tensor) -> MaskPlan:
        """One hidden position after the last item answers what comes next."""
        longer = torch.nn.functional.pad(ids, (0, 1))
        hidden = positions(longer) == lengths[:, None]
        return self._plan(hidden, torch.zeros_like(longer), lengths + 1, extend=1)

    def _plan(self, hidden: Tensor, targets: Tensor, lengths: Tensor, *, extend: int = 0) -> MaskPlan:
        return MaskPlan(
            replaced=hidden,
            targeted=hidden,
            targets=targets,
            lengths=torch.full_like(lengths, hidden.shape[1]) if self.attend_to_padding else lengths,
            attention="full",
            extend=extend,
        )
