"""Learning-rate schedules: by formula, or any scheduler of torch."""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch.optim import Optimizer, lr_scheduler
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

FORMULAS = ("constant", "linear", "cosine", "cosine_restarts", "polynomial")
SchedulerChoice = str | type[LRScheduler] | LRScheduler | Callable[[Optimizer], LRScheduler]


@dataclass(frozen=True)
class ScheduleConfig:
    """A scheduler of torch, and when it is stepped.

    Args:
        scheduler: name of a class in ``torch.optim.lr_scheduler`` ("StepLR"), a class, a callable that takes
            the optimiser and returns a scheduler, or a ready scheduler of a ready optimiser. A function from
            the step to a share of the rate is ``ScheduleConfig("LambdaLR", {"lr_lambda": function})``.
        arguments: of the class, besides the optimiser.
        interval: whether it is stepped after each optimiser step or each epoch.
        frequency: how many intervals pass from one step to the next.
        monitor: name of the logged metric that ``ReduceLROnPlateau`` looks at, such as "val_loss".

    Raises:
        ValueError: for an unknown name or interval, arguments of what is no class, or a plateau without a
            metric.

    Example:
        >>> schedule = ScheduleConfig("StepLR", {"step_size": 2, "gamma": 0.1})
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.5)
        >>> type(schedule.build(optimizer)).__name__
        'StepLR'
    """

    scheduler: SchedulerChoice
    arguments: Mapping[str, Any] = field(default_factory=dict)
    interval: Literal["step", "epoch"] = "epoch"
    frequency: int = 1
    monitor: str | None = None

    def __post_init__(self) -> None:
        cls = self.cls
        if self.interval not in ("step", "epoch"):
            raise ValueError(f"interval must be 'step' or 'epoch', got {self.interval!r}")
        if self.arguments and cls is None:
            raise ValueError(
                f"arguments {sorted(self.arguments)} are for a class or name, but the scheduler is "
                f"{self.scheduler!r}: give them to it"
            )
        if issubclass(cls or type(self.scheduler), ReduceLROnPlateau) and self.monitor is None:
            raise ValueError("ReduceLROnPlateau needs a metric: give monitor, such as 'val_loss'")

    @property
    def cls(self) -> type[LRScheduler] | None:
        """The scheduler's class, where it is given by name or as one."""
        if isinstance(self.scheduler, str):
            return _named(self.scheduler)
        return self.scheduler if isinstance(self.scheduler, type) else None

    def build(self, optimizer: Optimizer) -> LRScheduler:
        """The scheduler of an optimiser.

        Raises:
            ValueError: if a ready scheduler is that of another optimiser.
            TypeError: if the callable returns no scheduler.
        """
        made = self.scheduler
        make: Any = self.cls or made
        if not isinstance(made, LRScheduler):
            made = make(optimizer, **self.arguments)
        if not isinstance(made, LRScheduler):
            raise TypeError(
                f"the scheduler's callable returned a {type(made).__name__}, expected a scheduler of torch: "
                "for a function of the step use ScheduleConfig('LambdaLR', {'lr_lambda': function})"
            )
        if made.optimizer is not optimizer:
            raise ValueError(
                "the scheduler belongs to another optimizer than the one that trains all parameters: make it "
                "for the optimizer that you give (with sparse tables one that holds these too), or give its "
                "class"
            )
        return made

    def init_arguments(self) -> dict[str, Any]:
        """What builds this again; a class of torch by its name."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        name = self.cls.__name__ if self.cls else ""
        if self.cls and vars(lr_scheduler).get(name) == self.cls:
            values["scheduler"] = name
        return {**values, "arguments": dict(self.arguments)}


def factor(
    schedule: str,
    step: int,
    steps: int,
    *,
    warmup: int = 0,
    cycles: float = 0.5,
    power: float = 1.0,
    end: float = 0.0,
) -> float:
    """Share of the peak rate at a step.

    Args:
        schedule: "constant", "linear", "cosine", "cosine_restarts" or "polynomial".
        step: counted from 0.
        steps: of the whole training.
        warmup: steps in which the rate rises linearly from 0.
        cycles: waves of the cosine, or how often it falls from 1 to 0.
        power: of the polynomial in what is left of the training.
        end: share that the polynomial ends at.
    """
    if step < warmup:
        return step / warmup
    if schedule == "constant":
        return 1.0
    done = (step - warmup) / max(1, steps - warmup)
    if schedule == "linear":
        return max(0.0, 1.0 - done)
    if schedule == "polynomial":
        return float((1.0 - end) * max(0.0, 1.0 - done) ** power + end)
    if schedule == "cosine_restarts":
        return 0.5 * (1.0 + math.cos(math.pi * (cycles * done % 1.0))) if done < 1.0 else 0.0
    return max(0.0, 0.5 * (1.0 + math.cos(2.0 * math.pi * cycles * done)))


def _named(name: str) -> type[LRScheduler]:
    cls = getattr(lr_scheduler, name, None)
    if not (inspect.isclass(cls) and issubclass(cls, LRScheduler)):
        raise ValueError(
            f"schedule must be {', '.join(map(repr, FORMULAS))} or the name of a class in "
            f"torch.optim.lr_scheduler such as 'StepLR', got {name!r}"
        )
    return cls
