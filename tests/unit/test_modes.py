"""Evaluation mode for a while."""

import pytest
import torch
from torch import nn

from merlin_models_torch._modes import eval_mode
from merlin_models_torch.blocks import TransformerBlock
from merlin_models_torch.blocks.attention_weights import attention_weights


def frozen_in_part():
    module = nn.Sequential(nn.Dropout(), nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2)))
    module[1].eval()
    return module


def modes(module):
    return [part.training for part in module.modules()]


def test_each_part_is_in_its_own_mode_again():
    module = frozen_in_part()
    before = modes(module)
    assert before == [True, True, False, False, False]
    with eval_mode(module):
        assert not any(modes(module))
    assert modes(module) == before


def test_also_after_an_error():
    module = frozen_in_part()
    before = modes(module)
    with pytest.raises(KeyError), eval_mode(module):
        raise KeyError
    assert modes(module) == before


def test_attention_weights_leave_frozen_parts_so():
    body = TransformerBlock(8, heads=2, layers=2, max_length=4, dropout=0.5)
    frozen = next(part for part in body.modules() if isinstance(part, nn.Dropout))
    frozen.eval()
    before = modes(body)
    attention_weights(body, torch.zeros(1, 4, 8))
    assert modes(body) == before
