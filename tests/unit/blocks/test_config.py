"""Every block of this folder is built again from its config, and computes the same with the same weights."""

import json

import pytest
import torch

from merlin_models_torch.blocks.dropout import Dropout
from merlin_models_torch.blocks.mlp import MLPBlock, PositionBatchNorm
from merlin_models_torch.blocks.transformer import FeedForward, TransformerBlock
from merlin_models_torch.blocks.xlnet import XLNetBlock
from merlin_models_torch.serialize import from_config, to_config

BLOCKS = {
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
    config, schemas = to_config(block)
    again = from_config(json.loads(json.dumps(config)), schemas)
    again.load_state_dict(block.state_dict())
    inputs = torch.randn(2, 5, 8)
    torch.manual_seed(1)
    want = block(inputs)
    torch.manual_seed(1)
    torch.testing.assert_close(again(inputs), want, rtol=0, atol=0)
    torch.testing.assert_close(again.eval()(inputs), block.eval()(inputs), rtol=0, atol=0)
