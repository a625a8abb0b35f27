"""Linear layers against torch's."""

import pytest
import torch
from torch import nn

from merlin_models_torch.blocks import linear as module
from merlin_models_torch.blocks.linear import Linear, linear

SIZES = [(3, 4, 5), (640, 64, 256), (640, 256, 64)]


def layers(incoming: int, outgoing: int, *, bias: bool = True) -> tuple[Linear, nn.Linear]:
    torch.manual_seed(0)
    ours, theirs = (kind(incoming, outgoing, bias=bias) for kind in (Linear, nn.Linear))
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("bias", [True, False])
def test_results_and_gradients_are_those_of_torch(sizes: tuple[int, int, int], bias: bool) -> None:
    count, incoming, outgoing = sizes
    ours, theirs = layers(incoming, outgoing, bias=bias)
    found = []
    for layer in (ours, theirs):
        inputs = torch.randn(count // 3, 3, incoming, generator=torch.Generator().manual_seed(1))
        inputs.requires_grad_()
        result = layer(inputs)
        result.square().mean().backward()
        found.append([result, inputs.grad, *(parameter.grad for parameter in layer.parameters())])
    for ours_, theirs_ in zip(*found, strict=True):
        torch.testing.assert_close(ours_, theirs_, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("frozen", ["weight", "bias"])
def test_only_the_needed_gradients_are_made(frozen: str) -> None:
    layer, _ = layers(64, 256)
    getattr(layer, frozen).requires_grad_(False)
    layer(torch.randn(640, 64)).sum().backward()
    assert {name for name, p in layer.named_parameters() if p.grad is not None} == {"weight", "bias"} - {
        frozen
    }


def test_second_derivatives_are_those_of_torch() -> None:
    ours, theirs = layers(64, 256)
    inputs = torch.randn(640, 64, requires_grad=True)
    found = []
    for layer in (ours, theirs):
        (grad,) = torch.autograd.grad(layer(inputs).pow(3).mean(), inputs, create_graph=True)
        found.append(torch.autograd.grad(grad.square().sum(), layer.weight)[0])
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-9)


def test_transforms_traces_and_autocast_are_those_of_torch() -> None:
    ours, theirs = layers(64, 256)
    inputs = torch.randn(640, 64)

    def total(weight: torch.Tensor) -> torch.Tensor:
        return linear(inputs, weight).square().mean()

    expected = torch.func.grad(lambda weight: (inputs @ weight.t()).square().mean())(theirs.weight)
    torch.testing.assert_close(torch.func.grad(total)(ours.weight), expected)
    exported = torch.export.export(ours, (inputs,)).graph
    assert any("aten.linear" in str(node.target) for node in exported.nodes)
    with torch.autocast("cpu", torch.bfloat16):
        assert ours(inputs).dtype == torch.bfloat16


def test_wrong_widths_fail_as_in_torch() -> None:
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        Linear(4, 5)(torch.zeros(2, 3))


def test_what_is_no_tensor_fails_as_in_torch() -> None:
    layer: nn.Module = Linear(4, 5)
    with pytest.raises(TypeError, match="must be Tensor, not dict"):
        layer({"a": torch.zeros(2, 4)})


def test_small_inputs_stay_with_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "product", None)
    ours, theirs = layers(4, 5)
    inputs = torch.randn(3, 4)
    assert torch.equal(ours(inputs), theirs(inputs))
