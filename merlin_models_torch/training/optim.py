"""Optimiser and learning-rate schedule as data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch.nn.parameter import is_lazy

_NORMS = (nn.LayerNorm, nn.RMSNorm, nn.modules.batchnorm._NormBase, nn.GroupNorm)


@dataclass(frozen=True)
class OptimizerConfig:
    """An optimiser and its schedule.

    Args:
        name: "adam", "adamw" (Loshchilov and Hutter 2019) or "sgd".
        lr: peak learning rate.
        weight_decay: not applied to biases and to the weights of normalisation layers.
        betas: of Adam.
        eps: of Adam.
        schedule: "constant", "linear" (to 0 at the end of training) or "cosine" (likewise), after the
            warm-up.
        warmup_steps: steps in which the rate rises linearly from 0.
        cycles: waves of the cosine; the default half falls once.
        carry_over: a further ``fit`` of the same model goes on with Adam's moments of the last one.

    Raises:
        ValueError: for a name or schedule that there is not, or a rate that is not positive.
    """

    name: Literal["adam", "adamw", "sgd"] = "adamw"
    lr: float = 1e-3
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    warmup_steps: int = 0
    cycles: float = 0.5
    carry_over: bool = False

    def __post_init__(self) -> None:
        if self.name not in ("adam", "adamw", "sgd"):
            raise ValueError(f"optimiser must be 'adam', 'adamw' or 'sgd', got {self.name!r}")
        if self.schedule not in ("constant", "linear", "cosine"):
            raise ValueError(f"schedule must be 'constant', 'linear' or 'cosine', got {self.schedule!r}")
        if self.lr <= 0:
            raise ValueError(f"learning rate must be positive, got {self.lr}")

    def build(self, model: nn.Module) -> torch.optim.Optimizer:
        """The optimiser over the model's parameters.

        Raises:
            ValueError: for a parameter that has no size yet, with its name.
        """
        norms = {id(p) for m in model.modules() if isinstance(m, _NORMS) for p in m.parameters(recurse=False)}
        decayed: list[nn.Parameter] = []
        plain: list[nn.Parameter] = []
        for name, parameter in model.named_parameters():
            if is_lazy(parameter):
                raise ValueError(f"parameter {name!r} has no size yet: pass a batch through the model first")
            if parameter.requires_grad:
                spared = id(parameter) in norms or "bias" in name.rpartition(".")[2]
                (plain if spared else decayed).append(parameter)
        groups = [
            {"params": decayed, "weight_decay": self.weight_decay},
            {"params": plain, "weight_decay": 0.0},
        ]
        groups = [group for group in groups if group["params"]]
        if self.name == "sgd":
            return torch.optim.SGD(groups, lr=self.lr)
        cls = torch.optim.AdamW if self.name == "adamw" else torch.optim.Adam
        return cls(groups, lr=self.lr, betas=self.betas, eps=self.eps, fused=True)

    def restart(self, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
        """The same optimiser with its moments, at the peak rate again, ready for a new schedule."""
        for group in optimizer.param_groups:
            group.pop("initial_lr", None)
            group["lr"] = self.lr
        return optimizer

    def scheduler(self, optimizer: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.LambdaLR:
        """The schedule over a training of ``steps`` optimiser steps, to be advanced after each."""
        return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: self.factor(step, steps))

    def factor(self, step: int, steps: int) -> float:
        """Share of the peak rate at a step, counted from 0."""
        if step < self.warmup_steps:
            return step / self.warmup_steps
        if self.schedule == "constant":
            return 1.0
        done = (step - self.warmup_steps) / max(1, steps - self.warmup_steps)
        if self.schedule == "linear":
            return max(0.0, 1.0 - done)
        return max(0.0, 0.5 * (1.0 + math.cos(2.0 * math.pi * self.cycles * done)))
