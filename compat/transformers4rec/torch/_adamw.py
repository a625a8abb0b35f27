"""The AdamW of transformers 4.30, which Transformers4Rec trained with by default."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam

from merlin_models_torch._pages import LargePages


class AdamW(torch.optim.Optimizer):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019), as transformers 4.30 wrote it.

    It differs from ``torch.optim.AdamW`` in two places: epsilon is added before the second moment's bias is
    corrected, and weights decay after the step. The state has the old names and kinds, so that an old
    ``optimizer.pt`` goes on.

    Args:
        params: parameters or groups of them.
        lr: learning rate.
        betas: decay of the first and second moment.
        eps: added to the root of the second moment.
        weight_decay: share of a weight that goes at each step, times the learning rate.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "correct_bias": True}
        super().__init__(params, defaults)
        self.register_step_post_hook(LargePages())

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        """One step for every parameter that has a gradient.

        Args:
            closure: computes the loss anew.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            by_step: dict[int, list[Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_step[self._count(parameter)].append(parameter)
            for count, parameters in by_step.items():
                self._update(group, count, parameters)
        return loss

    def _count(self, parameter: Tensor) -> int:
        """The number of this step for a parameter, its state made at the first."""
        state = self.state[parameter]
        if not state:
            state["step"] = 0
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        state["step"] = int(state["step"]) + 1
        return state["step"]

    def _update(self, group: dict[str, Any], count: int, parameters: list[Tensor]) -> None:
        beta1, beta2 = group["betas"]
        before = torch.full((len(parameters),), float(count - 1), device=parameters[0].device)
        # torch corrects the second moment's bias before it adds epsilon: an epsilon larger by the same factor
        # makes the two formulas one, and torch's fused kernel does the work. It decays before the step: a
        # step shorter by the same factor makes it decay after.
        kept = 1 - group["lr"] * group["weight_decay"]
        inside = kept > 0  # else nothing would be left to be made shorter
        adam(
            parameters,
            [parameter.grad for parameter in parameters],
            [self.state[parameter]["exp_avg"] for parameter in parameters],
            [self.state[parameter]["exp_avg_sq"] for parameter in parameters],
            [],
            list(before.unbind()),
            fused=True,
            amsgrad=False,
            has_complex=False,
            beta1=beta1,
            beta2=beta2,
            lr=group["lr"] * kept if inside else group["lr"],
            weight_decay=group["weight_decay"] / kept if inside else 0.0,
            eps=group["eps"] / math.sqrt(1 - beta2**count),
            maximize=False,
            decoupled_weight_decay=True,
        )
        if not inside:
            torch._foreach_mul_(parameters, kept)
