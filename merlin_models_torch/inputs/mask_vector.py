"""The learned vector that stands for a hidden item."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import UninitializedParameter

from merlin_models_torch.masking import MaskPlan
from merlin_models_torch.serialize import serializable


@serializable
class MaskVector(LazyModuleMixin, nn.Module):
    """Puts a masking plan into effect on the vectors of a sequence.

    The vector's width is that of the first input. It starts near zero, normal with a standard deviation of
    0.001.

    Example:
        >>> plan = RandomMasking().predict(torch.tensor([[5, 6]]), torch.tensor([2]))
        >>> vectors = MaskVector()(torch.ones(1, 2, 4), plan)  # with a hidden position after the last item
        >>> (vectors == 1).all(-1)
        tensor([[ True,  True, False]])
    """

    cls_to_become = None
    weight: UninitializedParameter | nn.Parameter

    def __init__(self) -> None:
        super().__init__()
        self.weight = UninitializedParameter()

    def initialize_parameters(self, vectors: Tensor, plan: MaskPlan) -> None:
        """Called once by torch with the first input."""
        if isinstance(self.weight, UninitializedParameter):
            self.weight.materialize((vectors.shape[-1],))
            nn.init.normal_(self.weight, std=0.001)

    def forward(self, vectors: Tensor, plan: MaskPlan) -> Tensor:
        """Appends, leaves out, blanks and replaces positions as the plan says.

        Args:
            vectors: (B, T, D).
            plan: for T + ``plan.extend`` positions.

        Returns:
            (B, T + extend, D).
        """
        if plan.extend < 0:
            vectors = vectors[:, : plan.extend]
        elif plan.extend:
            # What stands there before it is replaced matters only where padding is attended to.
            last = (
                vectors[:, -1:] if vectors.shape[1] else vectors.new_zeros(len(vectors), 1, vectors.shape[2])
            )
            vectors = torch.cat([vectors, last.expand(-1, plan.extend, -1)], 1)
        if plan.blank is not None:
            vectors = vectors.masked_fill(plan.blank[..., None], 0.0)
        return torch.where(plan.replaced[..., None], self.weight.to(vectors.dtype), vectors)
