"""Every block of this folder is built again from its config, and computes the same with the same weights."""

import json

import pytest
import torch
from torch import nn

from merlin_models_torch.blocks.base import Block, ParallelBlock
from merlin_models_torch.blocks.cross import CrossBlock
from merlin_models_torch.blocks.cross_attention import CrossAttentionBlock
from merlin_models_torch.blocks.dlrm import DLRMBlock
from merlin_models_torch.blocks.dropout import Dropout
from merlin_models_torch.blocks.experts import MMOEBlock
from merlin_models_torch.blocks.fm import FMBlock
from merlin_models_torch.blocks.interactions import DotInteraction, DotProduct, FMInteraction
from merlin_models_torch.blocks.mlp import MLPBlock, PositionBatchNorm
from merlin_models_torch.blocks.ple import CGCBlock, PLEBlock
from merlin_models_torch.blocks.recurrent import GRUBlock, LSTMBlock
from merlin_models_torch.blocks.residual import ResidualBlock, ShortcutBlock
from merlin_models_torch.blocks.transformer import FeedForward, TransformerBlock
from merlin_models_torch.blocks.transformer_xl import TransformerXLBlock
from merlin_models_torch.blocks.xlnet import XLNetBlock
from merlin_models_torch.serialize import from_config, to_config

TASKS = ["click", "buy"]
BLOCKS = {
    "transformer xl": lambda: TransformerXLBlock(
        8, heads=2, layers=1, norm="pre", segment_length=2, memory_length=3, activation="gelu"
    ),
    "gru": lambda: GRUBlock(6, layers=2, dropout=0.3),
    "lstm": lambda: LSTMBlock(6, in_features=8, bidirectional=True),
    "cross attention": lambda: Block(
        ParallelBlock({"who": nn.Linear(8, 3), "what": nn.ReLU()}),
        CrossAttentionBlock(
            nn.Linear(8, 8), nn.ReLU(), dim=8, heads=2, dropout=0.5, key="who", residual=True
        ),
    ),
    "rotary": lambda: TransformerBlock(8, heads=2, layers=1, positions="rotary"),
    "relative": lambda: TransformerBlock(8, heads=2, layers=1, positions="relative", max_length=3),
    "block": lambda: Block(nn.Linear(8, 8), nn.ReLU()),
    "residual": lambda: ResidualBlock(nn.Linear(8, 8), nn.Linear(8, 8), shortcut="first"),
    "shortcut": lambda: ShortcutBlock(nn.Linear(8, 3), shortcut_name="raw", output_name="deep"),
    "parallel": lambda: ParallelBlock({"a": nn.Linear(8, 3), "b": nn.ReLU()}),
    "cross": lambda: CrossBlock(2, low_rank=3),
    "dlrm": lambda: Block(
        ParallelBlock({"a": nn.Linear(8, 3), "continuous": nn.ReLU()}),
        DLRMBlock(
            bottom=nn.Linear(8, 3), top=MLPBlock([4]), interaction=DotInteraction(self_interaction=True)
        ),
    ),
    "fm": lambda: FMBlock(factors=nn.LazyLinear(3), wide=nn.Flatten()),
    "fm interaction": lambda: FMInteraction(),
    "dot product": lambda: Block(
        ParallelBlock({"a": nn.Linear(8, 3), "b": nn.Linear(8, 3)}), DotProduct(query="b", candidate="a")
    ),
    "mmoe": lambda: MMOEBlock(MLPBlock([4]), num_experts=2, outputs=TASKS, temperature=3.0),
    "cgc": lambda: CGCBlock(
        nn.LazyLinear(4), num_shared_experts=1, num_task_experts=2, outputs=TASKS, shared_gate=True
    ),
    "ple": lambda: PLEBlock(
        nn.LazyLinear(4), num_shared_experts=1, num_task_experts=1, depth=2, outputs=TASKS
    ),
    "mlp": lambda: MLPBlock(
        [6, 8], in_features=8, last_activation="none", normalization="layer", dropout=0.2
    ),
    "transformer": lambda: TransformerBlock(
        8, heads=2, layers=1, max_length=9, norm="post", activation="relu"
    ),
    "xlnet": lambda: XLNetBlock(8, heads=2, layers=1, inner_dim=12, activation="silu", initializer_range=0.2),
    "feed forward": lambda: FeedForward(8, inner_dim=3, dropout=0.5, activation="tanh"),
    "batch norm": lambda: PositionBatchNorm(8),
    "dropout": lambda: Dropout(0.3),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_config_builds_the_same_block(name):
    torch.manual_seed(0)
    block = BLOCKS[name]()
    inputs = torch.randn(2, 5, 8)
    block(inputs)  # gives lazy layers their sizes
    config, schemas = to_config(block)
    again = from_config(json.loads(json.dumps(config)), schemas)
    again.load_state_dict(block.state_dict())
    torch.manual_seed(1)
    want = block(inputs)
    torch.manual_seed(1)
    torch.testing.assert_close(again(inputs), want, rtol=0, atol=0)
    torch.testing.assert_close(again.eval()(inputs), block.eval()(inputs), rtol=0, atol=0)
