from functools import partial

import pytest
import torch
from torch import nn

import merlin_models_torch as mm
from merlin_models_torch.batch import Batch
from merlin_models_torch.blocks.activation import activation_function
from merlin_models_torch.blocks.mlp import MLPBlock, PositionBatchNorm
from merlin_models_torch.masking.plan import MaskPlan


def plan(lengths, steps):
    lengths = torch.tensor(lengths)
    empty = torch.zeros(len(lengths), steps, dtype=torch.bool)
    return MaskPlan(empty, empty, empty.long(), lengths, "full")


def batch_of(lengths, steps):
    return Batch({"item": torch.ones(len(lengths), steps)}, plan=plan(lengths, steps))


def test_default_equals_linear_and_relu():
    torch.manual_seed(0)
    inputs = torch.randn(2, 3, 5)
    block = MLPBlock([4, 6])
    block(inputs)  # materialises the first layer
    plain = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 6), nn.ReLU())
    plain[0].load_state_dict(block.linears[0].state_dict())
    plain[2].load_state_dict(block.linears[1].state_dict())
    torch.testing.assert_close(block(inputs), plain(inputs), rtol=0, atol=0)
    assert list(block.state_dict()) == [
        "linears.0.weight",
        "linears.0.bias",
        "linears.1.weight",
        "linears.1.bias",
    ]


def test_everything_on_equals_a_plain_stack():
    torch.manual_seed(0)
    inputs = torch.randn(7, 5)
    block = MLPBlock(
        [4, 3], in_features=5, activation="gelu", last_activation="none", normalization="layer", bias=False
    )
    first, second = block.linears
    hidden = nn.functional.gelu(block.norms[0](inputs @ first.weight.T))
    torch.testing.assert_close(block(inputs), block.norms[1](hidden @ second.weight.T))


def test_first_layer_takes_its_width_from_the_first_inputs():
    block = MLPBlock([4])
    assert isinstance(block.linears[0], nn.LazyLinear)
    block(torch.zeros(2, 9))
    assert block.linears[0].weight.shape == (4, 9)
    assert MLPBlock([4], in_features=9).linears[0].weight.shape == (4, 9)


def test_dropout_only_in_training():
    torch.manual_seed(0)
    block = MLPBlock([50], in_features=3, activation="sigmoid", dropout=0.5)
    inputs = torch.randn(40, 3)
    assert 0.4 < (block(inputs) == 0).float().mean() < 0.6
    block.eval()
    torch.testing.assert_close(block(inputs), torch.sigmoid(block.linears[0](inputs)))


def test_batch_norm_equals_torchs_without_padding():
    torch.manual_seed(0)
    inputs = torch.randn(4, 6, 5)
    ours, theirs = PositionBatchNorm(5), nn.BatchNorm1d(5)
    torch.testing.assert_close(ours(inputs), theirs(inputs.transpose(1, 2)).transpose(1, 2))
    torch.testing.assert_close(ours.running_var, theirs.running_var)


def test_batch_norm_does_not_see_padding():
    torch.manual_seed(0)
    short = torch.randn(2, 3, 5)
    block = MLPBlock([4], in_features=5, activation="none", normalization="batch")
    padded = torch.cat([short, torch.full((2, 2, 5), 100.0)], 1)
    want = block(short)
    torch.testing.assert_close(block(padded, batch=batch_of([3, 3], 5))[:, :3], want)
    block.eval()
    torch.testing.assert_close(block(padded, batch=batch_of([3, 3], 5))[:, :3], block(short))


@pytest.mark.parametrize(
    ("name", "at_one"),
    [
        ("none", 1.0),
        ("relu", 1.0),
        ("gelu", 0.8413447),
        ("silu", 0.7310586),
        ("tanh", 0.7615942),
        ("sigmoid", 0.7310586),
    ],
)
def test_activation_values(name, at_one):
    assert float(activation_function(name)(torch.tensor(1.0))) == pytest.approx(at_one, abs=1e-6)


def test_widths_and_heads_are_whole_numbers():
    for units, text in (([8, 8.5], "one of units is 8.5"), (["8"], "one of units is '8'")):
        with pytest.raises(TypeError, match=f"^{text}, expected a whole number"):
            mm.MLPBlock(units)
    for body in (mm.XLNetBlock, mm.TransformerXLBlock, partial(mm.TransformerBlock, positions="none")):
        with pytest.raises(TypeError, match=r"^heads is 2\.5, expected a whole number"):
            body(8, heads=2.5, layers=1)
        with pytest.raises(TypeError, match=r"^dim is 8\.0, expected a whole number"):
            body(8.0, heads=2, layers=1)


def test_errors_say_what_to_choose():
    with pytest.raises(TypeError, match=r"units are 8, expected the widths of all layers, such as \[8\]"):
        MLPBlock(8)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"units is .*at least one layer"):
        MLPBlock([])
    with pytest.raises(ValueError, match=r"activation is 'swoosh', expected one of .*'relu'"):
        MLPBlock([3], activation="swoosh")
    with pytest.raises(ValueError, match="normalization is 'group', expected one of"):
        MLPBlock([3], normalization="group")


def test_several_inputs_by_name_are_put_side_by_side():
    torch.manual_seed(0)
    block = MLPBlock([4], in_features=4)
    parts = {"b": torch.randn(2, 3, 2), "a": torch.randn(2), "c": torch.randn(2, 3, 1)}
    joined = torch.cat([parts["a"][:, None, None].expand(2, 3, 1), parts["b"], parts["c"]], -1)
    torch.testing.assert_close(block(parts), block(joined), rtol=0, atol=0)
