"""An optimiser over all parameters of a model, dense weights and sparse tables each in its way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from merlin_models_torch._pages import LargePages
from merlin_models_torch.training.optim import OptimizerConfig
from merlin_models_torch.training.parameters import Parameters
from merlin_models_torch.training.row_adam import RowSparseAdam
from merlin_models_torch.training.shares import SharesOptimizer
from merlin_models_torch.training.split import SplitOptimizer

# The optimisers that take sparse gradients, and the settings that each can share with one of dense weights.
_SPARSE: dict[type[Optimizer], tuple[str, ...]] = {
    torch.optim.SGD: ("lr", "maximize"),
    torch.optim.Adagrad: ("lr", "lr_decay", "eps", "maximize"),
    torch.optim.SparseAdam: ("lr", "betas", "eps", "maximize"),
}

# They look at each number alone, so that torch steps shared-out tables by them as they are.
_BY_NUMBER = (torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD, torch.optim.Adagrad)


def build_optimizer(config: OptimizerConfig, model: nn.Module, *, fused: bool = True) -> Optimizer:
    """What :meth:`OptimizerConfig.build` does."""
    parameters = Parameters.of(model)
    if not len(parameters):
        raise ValueError("the model has no parameter to train: all of them are frozen")
    if isinstance(config.tables, OptimizerConfig):
        tables, rest = parameters.split(parameters.tables)
        parts = [*_parts(config, rest, fused), *_parts(config.tables, tables, fused, tables=True)]
    else:
        parts = _parts(config, parameters, fused)
    for part in parts:
        part.register_step_post_hook(LargePages())
    if len(parameters.split(parameters.sharded)[0]) and not all(type(part) in _BY_NUMBER for part in parts):
        return SharesOptimizer(parts)
    return parts[0] if len(parts) == 1 else SplitOptimizer(parts)


def _parts(
    config: OptimizerConfig, parameters: Parameters, fused: bool, *, tables: bool = False
) -> list[Optimizer]:
    """One optimiser for all, or one for the dense and one for the sparse."""
    if not len(parameters):
        return []
    sparse, dense = parameters.split(parameters.sparse)
    if not len(sparse):
        return [_one(config, dense, fused)]
    if config.cls is None:
        # A callable or ready optimiser that knows of the sparse ones gets them.
        if tables or not len(dense) or _holds(config.optimizer, sparse):
            return [_one(config, parameters, fused)]
    elif tables:
        _refuse_without_effect(config, config.cls)
    if not len(dense):
        cls = config.cls or torch.optim.SparseAdam
        return [_beside(cls, config.settings(cls), sparse)]
    main = _one(config, dense, fused)
    return [main, _beside(type(main), main.param_groups[0], sparse)]


def _one(config: OptimizerConfig, parameters: Parameters, fused: bool) -> Optimizer:
    """The optimiser that a config describes, over some parameters."""
    cls: Any = config.cls
    if isinstance(config.optimizer, Optimizer):
        return _checked(config.optimizer, parameters)
    if cls is None:
        make: Any = config.optimizer
        return _checked(make(parameters.all()), parameters)
    if cls is torch.optim.SparseAdam:
        raise ValueError(
            f"SparseAdam takes sparse gradients alone, but those of {next(iter(parameters.named))!r} are "
            "dense: give it for tables, and build them with sparse=True"
        )
    settings = config.settings(cls, fused=fused)
    spared, decayed = parameters.split(parameters.undecayed if settings.get("weight_decay") else ())
    # No kernel takes whole and shared out tensors at once.
    groups: list[dict[str, Any]] = [{"params": part.all()} for part in decayed.split(parameters.sharded)]
    groups += [{"params": part.all(), "weight_decay": 0.0} for part in spared.split(parameters.sharded)]
    optimizer: Optimizer = cls([group for group in groups if group["params"]], **settings)
    return optimizer


def _beside(main: type[Optimizer], settings: Mapping[str, Any], sparse: Parameters) -> Optimizer:
    """The optimiser of sparse tables that goes with one of dense weights."""
    cls = _for_sparse(main)
    kept = {name: settings[name] for name in _SPARSE[cls] if name in settings}
    # The same steps, faster.
    faster = RowSparseAdam if cls is torch.optim.SparseAdam else cls
    return faster(sparse.all(), **kept)


def _for_sparse(main: type[Optimizer]) -> type[Optimizer]:
    return next((cls for cls in _SPARSE if issubclass(main, cls)), torch.optim.SparseAdam)


def _refuse_without_effect(config: OptimizerConfig, main: type[Optimizer]) -> None:
    """Settings meant for tables that sparse ones cannot have."""
    cls = _for_sparse(main)
    given = config.settings(main)
    lost = [name for name, value in given.items() if value and name not in _SPARSE[cls]]
    if lost:
        raise ValueError(
            f"{lost[0]} is set for the tables, but sparse ones are trained by {cls.__name__} without it: "
            "leave it out, or build the tables with sparse=False"
        )


def _holds(optimizer: Any, parameters: Parameters) -> bool:
    held = {id(p) for group in getattr(optimizer, "param_groups", ()) for p in group["params"]}
    return any(id(p) in held for p in parameters.all())


def _checked(optimizer: Any, parameters: Parameters) -> Optimizer:
    """Refuses an optimiser that trains other parameters than these."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"the optimizer's callable returned a {type(optimizer).__name__}, expected an optimizer of torch"
        )
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    missed = [name for name, p in parameters.named.items() if id(p) not in held]
    if missed:
        raise ValueError(
            f"the optimizer misses {missed[0]!r} and {len(missed) - 1} other parameters of this model: make "
            "it over model.parameters() after the model is built, or freeze what is not to be trained"
        )
    foreign = held - {id(p) for p in parameters.all()} - parameters.frozen
    if foreign:
        raise ValueError(
            f"the optimizer holds {len(foreign)} parameters that this model does not train with it: make it "
            "over this model's parameters"
        )
    return optimizer
