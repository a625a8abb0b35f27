"""Modules to build models from."""

from merlin_models_torch.blocks.base import Block, ParallelBlock
from merlin_models_torch.blocks.batch_block import BatchBlock
from merlin_models_torch.blocks.mlp import MLPBlock
from merlin_models_torch.blocks.repeat import repeat, repeat_parallel, repeat_parallel_like
from merlin_models_torch.blocks.residual import ResidualBlock, ShortcutBlock
from merlin_models_torch.blocks.router import RouterBlock
from merlin_models_torch.blocks.select import SelectKeys
from merlin_models_torch.blocks.transformer import TransformerBlock
from merlin_models_torch.blocks.tree import find, leaf, map, walk
from merlin_models_torch.blocks.xlnet import XLNetBlock

__all__ = [
    "BatchBlock",
    "Block",
    "MLPBlock",
    "ParallelBlock",
    "ResidualBlock",
    "RouterBlock",
    "SelectKeys",
    "ShortcutBlock",
    "TransformerBlock",
    "XLNetBlock",
    "find",
    "leaf",
    "map",
    "repeat",
    "repeat_parallel",
    "repeat_parallel_like",
    "walk",
]
