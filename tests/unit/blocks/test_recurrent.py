import copy

import pytest
import torch
from torch import nn

from merlin_models_torch.batch import Batch
from merlin_models_torch.blocks.recurrent import GRUBlock, LSTMBlock, both_ways
from merlin_models_torch.masking.plan import MaskPlan

KINDS = [(GRUBlock, nn.GRU), (LSTMBlock, nn.LSTM)]
LENGTHS = torch.tensor([3, 6, 1])


def batch_of(kind):
    empty = torch.zeros(3, 6, dtype=torch.bool)
    return Batch({"item": torch.ones(3, 6)}, plan=MaskPlan(empty, empty, empty.long(), LENGTHS, kind))


@pytest.mark.parametrize(("block_class", "torch_class"), KINDS)
@pytest.mark.parametrize("both", [False, True])
def test_equals_torchs_row_by_row_without_padding(block_class, torch_class, both):
    torch.manual_seed(0)
    block = block_class(8, in_features=4, layers=2, bidirectional=both)
    theirs = torch_class(4, 4 if both else 8, 2, batch_first=True, bidirectional=both)
    theirs.load_state_dict(block.recurrent.state_dict())
    inputs = torch.randn(3, 6, 4)
    inputs[0, 3:] = 1e6
    outputs = block(inputs, batch_of("full" if both else "causal"))
    for row, length in enumerate(LENGTHS.tolist()):
        want = theirs(inputs[row : row + 1, :length])[0][0]
        torch.testing.assert_close(outputs[row, :length], want)
        assert not outputs[row, length:].any()
    torch.testing.assert_close(block(inputs), theirs(inputs)[0])


@pytest.mark.parametrize("block_class", [GRUBlock, LSTMBlock])
def test_a_batch_without_any_item_has_no_positions(block_class):
    none = torch.zeros(2, 0, dtype=torch.bool)
    plan = MaskPlan(none, none, none.long(), torch.zeros(2, dtype=torch.int64), "causal")
    block = block_class(8, in_features=4)
    assert block(torch.zeros(2, 0, 4), Batch({"item": torch.ones(2, 0)}, plan=plan)).shape == (2, 0, 8)


@pytest.mark.parametrize(("block_class", "torch_class"), KINDS)
def test_both_ways_without_packing_are_those_of_packed_rows(block_class, torch_class):
    torch.manual_seed(0)
    block = block_class(8, in_features=4, layers=3, bidirectional=True)
    inputs = torch.randn(3, 6, 4)
    found = both_ways(block.recurrent, inputs, LENGTHS)
    wanted = block(inputs, batch_of("full"))
    for row, length in enumerate(LENGTHS.tolist()):
        torch.testing.assert_close(found[row, :length], wanted[row, :length])


@pytest.mark.parametrize(("block_class", "torch_class"), KINDS)
@pytest.mark.parametrize("both", [False, True])
def test_padding_gets_no_gradient(block_class, torch_class, both):
    torch.manual_seed(0)
    inputs = torch.randn(3, 6, 4, requires_grad=True)
    block = block_class(8, in_features=4, bidirectional=both)
    block(inputs, batch_of("full" if both else "causal")).sum().backward()
    used = inputs.grad.abs().sum(-1) > 0
    assert torch.equal(used, torch.arange(6) < LENGTHS[:, None])


@pytest.mark.parametrize(("block_class", "torch_class"), KINDS)
def test_a_position_sees_only_what_is_before(block_class, torch_class):
    torch.manual_seed(0)
    block = block_class(8, in_features=4)
    inputs = torch.randn(2, 5, 4)
    other = inputs.clone()
    other[:, 3:] = torch.randn(2, 2, 4)
    torch.testing.assert_close(block(other)[:, :3], block(inputs)[:, :3], rtol=0, atol=0)
    assert not torch.allclose(block(other)[:, 3:], block(inputs)[:, 3:])


@pytest.mark.parametrize(("block_class", "torch_class"), KINDS)
@pytest.mark.parametrize("both", [False, True])
def test_width_comes_from_the_first_inputs(block_class, torch_class, both):
    torch.manual_seed(0)
    lazy = block_class(8, layers=2, bidirectional=both)
    twin = copy.deepcopy(lazy)
    batch = batch_of("full" if both else "causal")
    inputs = torch.randn(3, 6, 5)
    want = lazy(inputs, batch)
    assert type(lazy.recurrent) is torch_class
    assert lazy.recurrent.weight_ih_l0.shape[1] == lazy.recurrent.input_size == 5
    given = block_class(8, in_features=5, layers=2, bidirectional=both)
    assert list(given.state_dict()) == list(lazy.state_dict())
    for other in (given, twin):
        other.load_state_dict(lazy.state_dict())
        torch.testing.assert_close(other(inputs, batch), want, rtol=0, atol=0)
    bound = 1 / (4 if both else 8) ** 0.5
    assert 0.8 * bound < lazy.recurrent.weight_ih_l0.detach().abs().max() <= bound
    want.sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in lazy.parameters())


def test_dropout_only_in_training():
    torch.manual_seed(0)
    block = GRUBlock(50, in_features=4, dropout=0.5)
    inputs = torch.randn(4, 6, 4)
    assert 0.4 < (block(inputs) == 0).float().mean() < 0.6
    block.eval()
    torch.testing.assert_close(block(inputs), block.recurrent(inputs)[0])


def test_a_masking_that_does_not_fit_is_told():
    inputs = torch.zeros(3, 6, 4)
    with pytest.raises(ValueError, match=r"GRUBlock sees only what is before .*: use CausalMasking"):
        GRUBlock(8)(inputs, batch_of("full"))
    with pytest.raises(
        ValueError, match=r"LSTMBlock with bidirectional=True sees both sides .* use RandomMasking, or bidir"
    ):
        LSTMBlock(8, bidirectional=True)(inputs, batch_of("causal"))
    assert GRUBlock(8, any_masking=True)(inputs, batch_of("full")).shape == (3, 6, 8)


def test_errors():
    with pytest.raises(ValueError, match="dim is 7, expected an even width"):
        GRUBlock(7, bidirectional=True)
    with pytest.raises(ValueError, match="dim is 8 and layers is 0, expected at least 1"):
        LSTMBlock(8, layers=0)
    with pytest.raises(ValueError, match="plan has 6 positions and the inputs of the block have 5"):
        GRUBlock(8)(torch.zeros(3, 5, 4), batch_of("causal"))


@pytest.mark.parametrize(("block_class", "torch_class"), KINDS)
def test_over_rows_equals_torchs_without_batch_first(block_class, torch_class):
    torch.manual_seed(0)
    block = block_class(8, in_features=4, any_masking=True, over_rows=True)
    theirs = torch_class(4, 8)
    theirs.load_state_dict(block.recurrent.state_dict())
    inputs = torch.randn(3, 6, 4)
    outputs, want = block(inputs, batch_of("full")), theirs(inputs)[0]
    for row, length in enumerate(LENGTHS.tolist()):
        torch.testing.assert_close(outputs[row, :length], want[row, :length])
    changed = inputs.clone()
    changed[0] += 1
    assert not torch.allclose(block(changed)[1], block(inputs)[1])
