"""How a model is optimised: an optimiser and its schedule, as data or ready made."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import lightning
import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from merlin_models_torch.serialize import ConfigError, to_config
from merlin_models_torch.training.schedule import FORMULAS, ScheduleConfig, SchedulerChoice, factor

OptimizerChoice = str | type[Optimizer] | Optimizer | Callable[[list[nn.Parameter]], Optimizer]
_OWN = ("lr", "weight_decay", "betas", "eps")


@dataclass(frozen=True)
class OptimizerConfig:
    """An optimiser and its schedule.

    Tables with ``sparse=True`` get an optimiser of their own that takes sparse gradients: ``SGD`` and
    ``Adagrad`` beside an optimiser of that class, else ``SparseAdam``, which moves the rows that a batch
    looks up. It has the same rate and, where they fit, betas and eps; weight decay and momentum do not act on
    such tables. ``tables`` says otherwise. One schedule steps the rates of all.

    A ready optimiser holds all parameters (it may leave the sparse tables out, which then get theirs) and
    keeps its state over several trainings. A saved model keeps names, numbers and classes of ``torch.optim``;
    one with anything else is saved without its optimiser, and asks for one when it is trained on.

    Args:
        optimizer: name of a class in ``torch.optim`` ("adamw", "sgd", "adagrad", ...), a class, a callable
            that takes a list of parameters and returns an optimiser, or a ready one.
        lr: peak learning rate; 1e-3 if not given.
        weight_decay: not applied to biases and to the weights of normalisation layers; 0 if not given.
        betas: of Adam and its kin; the class's own if not given.
        eps: likewise.
        arguments: further ones of the class.
        schedule: "constant", "linear" (to 0 at the end of training), "cosine" (likewise), "cosine_restarts"
            (as often as ``cycles`` says) or "polynomial" (to ``end``), after the warm-up; or what
            :class:`ScheduleConfig` takes, stepped after each epoch; or one of these.
        warmup_steps: steps in which the rate rises linearly from 0; for schedules by name.
        cycles: waves of the cosine; the default half falls once.
        power: of the polynomial; 1 falls in a line.
        end: share of the peak rate that the polynomial ends at.
        carry_over: a further ``fit`` of the same model goes on with Adam's moments of the last one.
        tables: another optimiser for the embedding tables: any of the above, or a config with a rate of its
            own. A callable or a ready one gets all of them, sparse or not.

    Raises:
        ValueError: for a name or schedule that there is not, a rate that is not positive, fewer than 0 steps
            of warm-up, or settings beside an optimiser that brings its own.

    Example:
        >>> config = OptimizerConfig("adamw", lr=1e-3, tables=OptimizerConfig("adagrad", lr=0.05))
        >>> config.tables.lr
        0.05
    """

    optimizer: OptimizerChoice = "adamw"
    lr: float | None = None
    weight_decay: float | None = None
    betas: tuple[float, float] | None = None
    eps: float | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    schedule: SchedulerChoice | ScheduleConfig = "constant"
    warmup_steps: int = 0
    cycles: float = 0.5
    power: float = 1.0
    end: float = 0.0
    carry_over: bool = False
    tables: OptimizerConfig | OptimizerChoice | None = None

    def __post_init__(self) -> None:
        given = [name for name in _OWN if getattr(self, name) is not None]
        if self.cls is None and (given or self.arguments):
            raise ValueError(
                f"{', '.join(given) or 'arguments'} cannot be given beside a ready optimizer or a callable, "
                "which brings its own settings: set them there, or give a class or name"
            )
        if self.lr is not None and self.lr <= 0:
            raise ValueError(f"learning rate must be positive, got {self.lr}")
        if self.warmup_steps < 0:
            raise ValueError(f"warmup_steps is {self.warmup_steps}, expected 0 or more")
        if self.schedule not in FORMULAS:
            if not isinstance(self.schedule, ScheduleConfig):
                object.__setattr__(self, "schedule", ScheduleConfig(self.schedule))
            if self.warmup_steps:
                raise ValueError(
                    f"warmup_steps is {self.warmup_steps}, but only the schedules "
                    f"{', '.join(map(repr, FORMULAS))} have a warm-up: put it into the scheduler, such as by "
                    "SequentialLR"
                )
        if self.tables is not None:
            tables = as_config(self.tables)
            if isinstance(tables, MissingOptimizer):
                raise ValueError("tables is the place of an optimizer that was not saved: give another")
            if tables.schedule != "constant" or tables.warmup_steps or tables.carry_over or tables.tables:
                raise ValueError(
                    "tables has a schedule, warm-up, carry_over or tables of its own, but those of the whole "
                    "act on the tables, too: give them there"
                )
            object.__setattr__(self, "tables", tables)

    @property
    def cls(self) -> type[Optimizer] | None:
        """The optimiser's class, where it is given by name or as one."""
        if isinstance(self.optimizer, str):
            return _named(self.optimizer)
        return self.optimizer if isinstance(self.optimizer, type) else None

    def build(self, model: nn.Module, *, fused: bool = True) -> Optimizer:
        """The optimiser over the model's parameters; several are joined as a :class:`SplitOptimizer`.

        Args:
            model: whose parameters all have their size.
            fused: the names "adam" and "adamw" mean torch's fused kernels, equal but for rounding.

        Raises:
            ValueError: for a parameter that has no size yet, with its name; for an optimiser that misses
                parameters, holds others, or cannot have these settings.
        """
        from merlin_models_torch.training.building import build_optimizer

        return build_optimizer(self, model, fused=fused)

    def settings(self, cls: type[Optimizer], *, fused: bool = False) -> dict[str, Any]:
        """Keyword arguments for a class of optimisers.

        Args:
            cls: the class.
            fused: as for :meth:`build`.

        Raises:
            ValueError: for a setting that the class does not have.
        """
        known = inspect.signature(cls).parameters
        given = {**{name: getattr(self, name) for name in _OWN}, **self.arguments}
        given = {name: value for name, value in given.items() if value is not None}
        takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in known.values())
        odd = [name for name in given if name not in known and not takes_any]
        if odd:
            raise ValueError(f"{cls.__name__} has no argument {odd[0]!r}: leave it out")
        defaults: dict[str, Any] = {"lr": 1e-3, "weight_decay": 0.0}
        if fused and isinstance(self.optimizer, str) and cls in (torch.optim.Adam, torch.optim.AdamW):
            defaults["fused"] = True
        return {**{name: value for name, value in defaults.items() if name in known}, **given}

    def scheduler(self, optimizer: Optimizer, steps: int | Callable[[], int]) -> LRScheduler:
        """The schedule over a training.

        Args:
            optimizer: whose rates it sets.
            steps: optimiser steps of the whole training; a callable is asked after the first of them.
        """
        if isinstance(self.schedule, ScheduleConfig):
            return self.schedule.build(optimizer)

        def share(step: int) -> float:
            total = 1 if step == 0 or self.schedule == "constant" else steps
            return self.factor(step, total if isinstance(total, int) else total())

        return LambdaLR(optimizer, share)

    def lightning_scheduler(self, optimizer: Optimizer, trainer: lightning.Trainer) -> dict[str, Any] | None:
        """The schedule and when it is stepped, as Lightning takes it; None if the rate stays as it is.

        Raises:
            ValueError: if the rate falls to the end of a training that has none.
        """
        if isinstance(self.schedule, ScheduleConfig):
            timing = {name: getattr(self.schedule, name) for name in ("interval", "frequency", "monitor")}
            return {"scheduler": self.scheduler(optimizer, 0), **timing}
        if self.schedule == "constant" and not self.warmup_steps:
            return None
        if self.schedule != "constant" and trainer.max_epochs == trainer.max_steps == -1:
            raise ValueError(
                f"schedule {self.schedule!r} needs the end of training: give the Trainer max_epochs or "
                "max_steps"
            )

        # Asked later: the loaders would be made now, before a checkpoint tells them where to go on.
        @functools.cache
        def steps() -> int:
            return int(trainer.estimated_stepping_batches)

        return {"scheduler": self.scheduler(optimizer, steps), "interval": "step"}

    def factor(self, step: int, steps: int) -> float:
        """Share of the peak rate at a step, counted from 0, of the schedules that have a formula."""
        return factor(
            str(self.schedule),
            step,
            steps,
            warmup=self.warmup_steps,
            cycles=self.cycles,
            power=self.power,
            end=self.end,
        )

    def init_arguments(self) -> dict[str, Any]:
        """What builds this again; a class of ``torch.optim`` by its name."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        name = self.cls.__name__ if self.cls else ""
        if not isinstance(self.optimizer, str) and self.cls and vars(torch.optim).get(name) == self.cls:
            values["optimizer"] = name
        return {**values, "arguments": dict(self.arguments)}


@dataclass(frozen=True)
class MissingOptimizer:
    """Stands in a saved model for an optimiser that no file can hold.

    Args:
        was: what it was.
    """

    was: str

    def build(self, model: nn.Module, *, fused: bool = True) -> NoReturn:
        """Refuses.

        Raises:
            ValueError: always.
        """
        raise ValueError(
            f"this model was saved with {self.was}, which a saved model cannot hold: set model.optimizer "
            "before training on; predictions need none"
        )


def as_config(
    optimizer: OptimizerConfig | MissingOptimizer | OptimizerChoice | None,
) -> OptimizerConfig | MissingOptimizer:
    """Whatever names, makes or is an optimiser, as a config.

    Raises:
        TypeError: for anything else.
    """
    if optimizer is None:
        return OptimizerConfig()
    if isinstance(optimizer, (OptimizerConfig, MissingOptimizer)):
        return optimizer
    if isinstance(optimizer, (str, Optimizer)) or callable(optimizer):
        return OptimizerConfig(optimizer)
    raise TypeError(
        f"optimizer is {type(optimizer).__name__}, expected OptimizerConfig, a name, class or callable, or a "
        "ready optimizer of torch"
    )


def savable(config: OptimizerConfig | MissingOptimizer) -> OptimizerConfig | MissingOptimizer:
    """The config, if a file can hold it, or else what stands for it in a saved model."""
    try:
        to_config(config)
    except ConfigError:
        chosen = [config.optimizer, config.schedule] if isinstance(config, OptimizerConfig) else []
        names = [
            getattr(one, "__qualname__", type(one).__qualname__) for one in chosen if not isinstance(one, str)
        ]
        return MissingOptimizer(f"an optimizer of its own ({', '.join(names) or 'arguments'})")
    return config


def _named(name: str) -> type[Optimizer]:
    classes = {
        key.lower(): cls
        for key, cls in vars(torch.optim).items()
        if inspect.isclass(cls) and issubclass(cls, Optimizer) and cls is not Optimizer
    }
    found = classes.get(name.lower().replace("_", ""))
    if found is None:
        raise ValueError(
            f"optimizer {name!r} is not in torch.optim: choose from {', '.join(sorted(classes))}"
        )
    return found
