import pytest
import torch

from merlin_models_torch.blocks.dropout import Dropout, dropout


@pytest.mark.parametrize("probability", [0.1, 0.3, 0.5, 0.9])
def test_share_of_zeros_and_scale(probability):
    torch.manual_seed(0)
    outputs = dropout(torch.ones(400, 501), probability)
    spread = (probability * (1 - probability) / outputs.numel()) ** 0.5
    assert float((outputs == 0).float().mean()) == pytest.approx(probability, abs=5 * spread)
    kept = outputs[outputs != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - probability)), rtol=1e-4, atol=0)
    assert float(outputs.mean()) == pytest.approx(1, abs=5 * spread / (1 - probability))


def test_neighbours_are_independent():
    torch.manual_seed(0)
    zero = (dropout(torch.ones(400_001), 0.3) == 0).float() - 0.3
    for lag in (1, 2, 3, 4, 8):
        assert abs(float((zero[lag:] * zero[:-lag]).mean())) < 0.002


def test_gradient_is_zero_where_dropped_and_scaled_elsewhere():
    torch.manual_seed(0)
    inputs = torch.ones(7, 9, requires_grad=True)
    outputs = dropout(inputs, 0.5)
    outputs.sum().backward()
    torch.testing.assert_close(inputs.grad, outputs.detach())


def test_limits_and_seed():
    inputs = torch.randn(5, 3)
    assert dropout(inputs, 0.0) is inputs
    assert dropout(inputs, 0.5, training=False) is inputs
    assert not dropout(inputs, 1.0).any()
    assert dropout(torch.ones(0, 3), 0.5).shape == (0, 3)
    torch.manual_seed(1)
    first = Dropout(0.5)(inputs)
    torch.manual_seed(1)
    torch.testing.assert_close(Dropout(0.5)(inputs), first)
    assert Dropout(0.5).eval()(inputs) is inputs


def test_keeps_the_dtype():
    assert dropout(torch.ones(3, 5, dtype=torch.bfloat16), 0.5).dtype is torch.bfloat16
