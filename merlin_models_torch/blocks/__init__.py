"""Modules to build models from."""

from merlin_models_torch.blocks.attention_weights import attention_weights
from merlin_models_torch.blocks.base import Block, ParallelBlock
from merlin_models_torch.blocks.batch_block import BatchBlock
from merlin_models_torch.blocks.consistent import ConsistentBlock
from merlin_models_torch.blocks.cross import CrossBlock
from merlin_models_torch.blocks.cross_attention import CrossAttentionBlock
from merlin_models_torch.blocks.dlrm import DLRMBlock
from merlin_models_torch.blocks.experts import ExpertGate, MMOEBlock
from merlin_models_torch.blocks.fm import FMBlock
from merlin_models_torch.blocks.huggingface import HuggingFaceBlock
from merlin_models_torch.blocks.interactions import DotInteraction, DotProduct, FMInteraction
from merlin_models_torch.blocks.mlp import MLPBlock
from merlin_models_torch.blocks.ple import CGCBlock, PLEBlock
from merlin_models_torch.blocks.pooling import MeanPooling
from merlin_models_torch.blocks.recurrent import GRUBlock, LSTMBlock
from merlin_models_torch.blocks.repeat import repeat, repeat_parallel, repeat_parallel_like
from merlin_models_torch.blocks.residual import ResidualBlock, ShortcutBlock
from merlin_models_torch.blocks.router import RouterBlock
from merlin_models_torch.blocks.select import SelectKeys
from merlin_models_torch.blocks.transformer import TransformerBlock
from merlin_models_torch.blocks.transformer_xl import TransformerXLBlock
from merlin_models_torch.blocks.tree import find, leaf, map, walk
from merlin_models_torch.blocks.xlnet import XLNetBlock

__all__ = [
    "BatchBlock",
    "Block",
    "CGCBlock",
    "ConsistentBlock",
    "CrossAttentionBlock",
    "CrossBlock",
    "DLRMBlock",
    "DotInteraction",
    "DotProduct",
    "ExpertGate",
    "FMBlock",
    "FMInteraction",
    "GRUBlock",
    "HuggingFaceBlock",
    "LSTMBlock",
    "MLPBlock",
    "MMOEBlock",
    "MeanPooling",
    "PLEBlock",
    "ParallelBlock",
    "ResidualBlock",
    "RouterBlock",
    "SelectKeys",
    "ShortcutBlock",
    "TransformerBlock",
    "TransformerXLBlock",
    "XLNetBlock",
    "attention_weights",
    "find",
    "leaf",
    "map",
    "repeat",
    "repeat_parallel",
    "repeat_parallel_like",
    "walk",
]
