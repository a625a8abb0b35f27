"""Which positions the one task of a head reads of the transformer before it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from merlin_models_torch.blocks.linear import Linear
from transformers4rec.torch.block._reading import Reader
from transformers4rec.torch.block.base import SequentialBlock
from transformers4rec.torch.block.mlp import DenseBlock
from transformers4rec.torch.block.transformer import TransformerBlock, _first

_PLACE_BY_PLACE = (
    *(SequentialBlock, DenseBlock, Linear, nn.Linear, nn.Dropout, nn.Identity),
    *(nn.ReLU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid, nn.LeakyReLU, nn.ELU),
)


def only_reader(head: Any, *, targets: bool) -> Reader | None:
    """The reader of a head whose one task gets the vectors of a transformer and reads them place by place.

    Classes, functions and hooks of a program's own may read anything: there is no reader then.

    Args:
        head: with body and tasks.
        targets: whether the task reads the positions with targets; else those that say what comes next.
    """
    from transformers4rec.torch.model._next_item import NextItemPredictionTask

    tasks, block = [*head.prediction_task_dict.values()], head.body
    while type(block) is SequentialBlock and len(block) and not watched(block):
        block = block[-1]
    if len(tasks) != 1 or type(tasks[0]) is not NextItemPredictionTask or type(block) is not TransformerBlock:
        return None
    task: NextItemPredictionTask = tasks[0]
    if not _place_by_place(task.task_block) or block.output_fn is not _first:
        return None
    if not isinstance(block.transformer, nn.Module) or any(map(watched, block.modules())):
        return None

    def wanted(inputs: Tensor) -> Tensor:
        if targets:
            found: Tensor = task.masking.masked_targets != task.padding_idx
            return found
        found = torch.zeros(inputs.shape[:2], dtype=torch.bool, device=inputs.device)
        found[task._last(inputs)] = True
        return found

    return Reader(block.transformer, wanted)


def _place_by_place(block: nn.Module | None) -> bool:
    """Whether a task's block makes each position's vector of that position alone."""
    return block is None or all(type(module) in _PLACE_BY_PLACE for module in block.modules())


def watched(module: nn.Module) -> bool:
    """Whether a hook or a forward of the program's own sees what goes through this module."""
    return bool(module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module))
