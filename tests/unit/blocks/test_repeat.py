import pytest
import torch
from torch import nn

from merlin_models_torch.blocks.base import Block, ParallelBlock
from merlin_models_torch.blocks.mlp import MLPBlock
from merlin_models_torch.blocks.repeat import copies, repeat, repeat_parallel, repeat_parallel_like
from merlin_models_torch.schema import Schema


class Total(nn.Module):
    def forward(self, inputs):
        return sum(inputs.values())


def test_repeat_starts_with_the_module_and_copies_its_weights():
    linear = nn.Linear(2, 2)
    block = repeat(linear, 3)
    assert block[0] is linear
    inputs = torch.randn(4, 2)
    torch.testing.assert_close(block(inputs), linear(linear(linear(inputs))))
    assert len({id(p) for p in block.parameters()}) == 6


def test_parallel_branches_have_weights_of_their_own():
    linear = nn.Linear(2, 2)
    block = repeat_parallel(linear, 3)
    assert list(block.keys()) == ["0", "1", "2"]
    assert block["0"] is linear
    outputs = block(torch.randn(4, 2))
    assert not torch.allclose(outputs["0"], outputs["1"])
    assert not torch.allclose(outputs["1"], outputs["2"])
    same = repeat_parallel(linear, 2, reset=False)(torch.ones(1, 2))
    torch.testing.assert_close(same["0"], same["1"])


def test_lazy_branches_materialise_apart():
    outputs = repeat_parallel(MLPBlock([4], activation="none"), 2)(torch.ones(1, 3))
    assert not torch.allclose(outputs["0"], outputs["1"])


def test_reset_is_from_the_inside_out():
    class Ones(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(2, 2)

        def reset_parameters(self):
            nn.init.ones_(self.inner.weight)

    second = copies(Ones(), 2)[1]
    assert second.inner.weight.tolist() == [[1, 1], [1, 1]]


def test_agg_gets_the_outputs():
    block = Block(nn.Identity())
    assert repeat_parallel(block, 3, agg=Total())(torch.tensor(2.0)).item() == 6
    assert repeat_parallel_like(block, ["a", "b"], agg=Total())(torch.tensor(2.0)).item() == 4
    assert list(block.repeat_parallel(2).keys()) == ["0", "1"]


@pytest.mark.parametrize(
    "like",
    [Schema(["x", "y"]), {"x": 1, "y": 2}, ParallelBlock({"x": nn.ReLU(), "y": nn.ReLU()}), ["x", "y"]],
)
def test_names_are_taken_from_anything_that_has_them(like):
    assert list(Block(nn.ReLU()).repeat_parallel_like(like).keys()) == ["x", "y"]


def test_errors():
    with pytest.raises(ValueError, match="once or more, got times=0"):
        repeat_parallel(nn.ReLU(), 0)
    with pytest.raises(ValueError, match=r"names are \['a', 'a'\], expected at least one and each once"):
        repeat_parallel_like(nn.ReLU(), ["a", "a"])
    with pytest.raises(TypeError, match=r"names are taken from a schema.* not from 3"):
        repeat_parallel_like(nn.ReLU(), 3)
