import pytest
import torch

from merlin_models_torch.blocks.cross import CrossBlock, CrossLayer


def test_full_rank_by_hand():
    block = CrossBlock(2, in_features=2)
    with torch.no_grad():
        for layer in block.layers:
            layer.weight.copy_(torch.tensor([[1.0, 2.0], [0.0, 1.0]]))
            layer.bias.copy_(torch.tensor([0.0, 1.0]))
    # x0 = (1, 2): W x0 + b = (5, 3), x1 = (5, 6) + (1, 2) = (6, 8)
    # W x1 + b = (22, 9), x2 = (22, 18) + (6, 8) = (28, 26)
    assert block(torch.tensor([[1.0, 2.0]])).tolist() == [[28, 26]]


@pytest.mark.parametrize("rank", [None, 2])
@pytest.mark.parametrize("shape", [(4, 5), (4, 3, 5)])
def test_equals_the_formula(rank, shape):
    torch.manual_seed(0)
    block = CrossBlock(3, in_features=5, low_rank=rank)
    for layer in block.layers:
        torch.nn.init.normal_(layer.bias)
    first = torch.randn(shape)
    hidden = first
    for layer in block.layers:
        matrix = layer.weight if rank is None else layer.weight @ layer.down
        assert matrix.shape == (5, 5)
        hidden = first * (torch.einsum("ij,...j->...i", matrix, hidden) + layer.bias) + hidden
    torch.testing.assert_close(block(first), hidden)


def test_degree_grows_by_one_with_each_layer():
    # Without biases the outputs are polynomials of degree depth + 1: their fourth differences vanish.
    torch.manual_seed(0)
    block = CrossBlock(2, in_features=3).double()
    point = torch.randn(3, dtype=torch.float64)
    samples = block(torch.arange(6, dtype=torch.float64)[:, None] * point)
    assert samples.diff(4, dim=0).abs().max() < 1e-9
    assert samples.diff(3, dim=0).abs().max() > 1e-3


@pytest.mark.parametrize("rank", [None, 2])
def test_width_comes_from_the_first_inputs(rank):
    torch.manual_seed(0)
    lazy = CrossBlock(2, low_rank=rank)
    inputs = {"b": torch.randn(4, 2), "a": torch.randn(4)}
    lazy(inputs)
    assert all(type(layer) is CrossLayer for layer in lazy.layers)
    given = CrossBlock(2, in_features=3, low_rank=rank)
    given.load_state_dict(lazy.state_dict())
    joined = torch.cat([inputs["a"][:, None], inputs["b"]], 1)
    torch.testing.assert_close(given(joined), lazy(inputs), rtol=0, atol=0)
    assert lazy.layers[0].weight.detach().std() > 0


def test_an_untouched_lazy_block_takes_saved_weights():
    given, lazy = CrossBlock(1, in_features=3), CrossBlock(1)
    lazy.load_state_dict(given.state_dict())
    inputs = torch.randn(2, 3)
    torch.testing.assert_close(lazy(inputs), given(inputs), rtol=0, atol=0)


def test_gradients_flow_to_every_weight():
    torch.manual_seed(0)
    block = CrossBlock(2, in_features=3, low_rank=2)
    block(torch.randn(4, 3)).sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in block.parameters())


def test_errors():
    with pytest.raises(ValueError, match="depth is 0, expected at least 1"):
        CrossBlock(0)
    with pytest.raises(ValueError, match="low_rank is 0, expected at least 1, or None"):
        CrossBlock(1, low_rank=0)
