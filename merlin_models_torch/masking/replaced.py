"""Replaced masking: hidden items are named, then replaced by others that are to be found out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from merlin_models_torch.masking.plan import MaskPlan, Mode, positions
from merlin_models_torch.masking.random import RandomMasking


@dataclass(frozen=True)
class ReplacedMasking:
    """Replaced token detection (Clark et al. 2020, ELECTRA) over sessions.

    A training step has two parts. First some items are hidden and named, as with :class:`RandomMasking`.
    Then an item drawn from the answers stands in each of their places, nothing is hidden, and each position
    says whether its item is the session's own: that part's plan is :meth:`detect`'s.
    :class:`ReplacedItemModel` does both, with one body and one set of item embeddings.

    Evaluation and prediction are those of :class:`RandomMasking`.

    Args:
        probability: chance of each item to be hidden and then replaced, in (0, 1).

    Raises:
        ValueError: if the probability is not between 0 and 1.

    Example:
        >>> masking, ids = ReplacedMasking(probability=0.5), torch.tensor([[5, 6]])
        >>> plan = masking.train(ids, torch.tensor([2]))  # of two items one is hidden
        >>> shown, second = masking.detect(ids, plan, torch.tensor([9]))  # and 9 put in its place
        >>> torch.equal(second.targets, (shown == 9).long()), second.targets.sum()
        (True, tensor(1))
    """

    probability: float = 0.15

    def __post_init__(self) -> None:
        self._random()

    def _random(self) -> RandomMasking:
        return RandomMasking(probability=self.probability)

    def window(self, mode: Mode, length: int) -> int:
        """As :meth:`RandomMasking.window`."""
        return self._random().window(mode, length)

    def train(self, ids: Tensor, lengths: Tensor, *, generator: torch.Generator | None = None) -> MaskPlan:
        """The plan of the first part, in which random items are hidden: see :meth:`RandomMasking.train`."""
        return self._random().train(ids, lengths, generator=generator)

    def detect(self, ids: Tensor, plan: MaskPlan, drawn: Tensor) -> tuple[Tensor, MaskPlan]:
        """The second part: every position in use says whether its item was replaced.

        Args:
            ids: (B, T) int64, the session's own items.
            plan: of :meth:`train`.
            drawn: (N,) int64, an item for each targeted position of that plan, row by row.

        Returns:
            (B, T) int64, the items with those drawn in their places; and the plan, whose targets are 1 where
            the item is not the session's own and 0 where it is, by chance after a draw too.
        """
        shown = ids.masked_scatter(plan.targeted, drawn)
        inside = positions(ids) < plan.lengths[:, None]
        return shown, MaskPlan(
            replaced=torch.zeros_like(inside),
            targeted=inside,
            targets=((shown != ids) & inside).long(),
            lengths=plan.lengths,
            attention="full",
        )

    def evaluate(self, ids: Tensor, lengths: Tensor) -> MaskPlan:
        """The last item is hidden and predicted: see :meth:`RandomMasking.evaluate`."""
        return self._random().evaluate(ids, lengths)

    def predict(self, ids: Tensor, lengths: Tensor) -> MaskPlan:
        """One hidden position after the last item answers: see :meth:`RandomMasking.predict`."""
        return self._random().predict(ids, lengths)


def draw_items(
    queries: Tensor,
    items: Tensor,
    *,
    bias: Tensor | None = None,
    temperature: float = 1.0,
    never: tuple[int, ...] = (0,),
    generator: torch.Generator | None = None,
    scores: int = 2**24,
) -> Tensor:
    """One item for each query, drawn from the softmax over the catalogue (Gumbel's method).

    Args:
        queries: (N, D) float.
        items: (V, D) float.
        bias: (V,) float, added to the scores.
        temperature: scores are divided by it.
        never: rows that are not drawn.
        generator: source of the draws; torch's global one if not given.
        scores: bounds memory: about so many scores at a time.

    Returns:
        (N,) int64 rows.

    Example:
        >>> items = torch.tensor([[9.0, 9.0], [1.0, 0.0], [0.0, 1.0]])  # the first is padding
        >>> draw_items(torch.tensor([[500.0, 0.0], [0.0, 500.0]]), items)
        tensor([1, 2])
        >>> draws = draw_items(torch.zeros(1000, 2), items)  # equal scores
        >>> draws.unique()
        tensor([1, 2])
    """
    drawn = [torch.empty(0, dtype=torch.int64, device=items.device)]
    with torch.no_grad():
        for part in torch.split(queries, max(1, scores // items.shape[0])):
            logits = (part @ items.to(part.dtype).T).float()
            logits = (logits if bias is None else logits + bias) / temperature
            logits[:, list(never)] = -torch.inf
            # Exponential draws are -log of uniform ones, and never 0.
            noise = torch.empty_like(logits).exponential_(generator=generator).log()
            drawn.append((logits - noise).argmax(1))
    return torch.cat(drawn)
