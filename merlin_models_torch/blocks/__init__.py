"""Modules to build models from."""

from merlin_models_torch.blocks.base import Block, ParallelBlock
from merlin_models_torch.blocks.mlp import MLPBlock
from merlin_models_torch.blocks.transformer import TransformerBlock
from merlin_models_torch.blocks.xlnet import XLNetBlock

__all__ = ["Block", "MLPBlock", "ParallelBlock", "TransformerBlock", "XLNetBlock"]
