"""The optimiser of transformers 4.30 against its formula, written out."""

import math

import pytest
import torch
from transformers4rec.torch._adamw import AdamW


def plain_step(weight, gradient, state, *, lr, betas, eps, weight_decay):
    state["step"] += 1
    state["m"] = betas[0] * state["m"] + (1 - betas[0]) * gradient
    state["v"] = betas[1] * state["v"] + (1 - betas[1]) * gradient**2
    corrected = lr * math.sqrt(1 - betas[1] ** state["step"]) / (1 - betas[0] ** state["step"])
    weight = weight - corrected * state["m"] / (state["v"].sqrt() + eps)
    return weight - lr * weight_decay * weight


# The last decay leaves nothing of a weight, or less.
@pytest.mark.parametrize("weight_decay", [0.0, 0.2, 9.0, 12.0])
def test_steps_equal_the_formula(weight_decay):
    # A large epsilon and small gradients, so that where epsilon goes shows.
    options = {"lr": 0.1, "betas": (0.8, 0.95), "eps": 0.01, "weight_decay": weight_decay}
    torch.manual_seed(0)
    parameters = [torch.nn.Parameter(torch.randn(3, 4)), torch.nn.Parameter(torch.randn(5))]
    optimizer = AdamW(parameters, **options)
    expected = [p.detach().clone() for p in parameters]
    states = [{"step": 0, "m": torch.zeros_like(p), "v": torch.zeros_like(p)} for p in expected]
    for count in range(12):
        for number, parameter in enumerate(parameters):
            # The second one has no gradient now and then, and so counts fewer steps.
            skipped = number == 1 and count % 3 == 0
            parameter.grad = None if skipped else torch.randn_like(parameter) * 0.05
            if not skipped:
                expected[number] = plain_step(expected[number], parameter.grad, states[number], **options)
        optimizer.step()
    for parameter, weight in zip(parameters, expected, strict=True):
        torch.testing.assert_close(parameter.detach(), weight)


def test_a_state_of_transformers_4_30_goes_on():
    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    old = {
        "state": {
            0: {"step": 3, "exp_avg": torch.tensor([0.1, 0.2]), "exp_avg_sq": torch.tensor([0.3, 0.1])}
        },
        "param_groups": [
            {
                "lr": 0.1,
                "betas": (0.9, 0.999),
                "eps": 1e-8,
                "weight_decay": 0.0,
                "correct_bias": True,
                "params": [0],
            }
        ],
    }
    optimizer = AdamW([weight])
    optimizer.load_state_dict(old)
    state = {"step": 3, "m": torch.tensor([0.1, 0.2]), "v": torch.tensor([0.3, 0.1])}
    weight.grad = torch.tensor([0.5, -0.5])
    expected = plain_step(
        weight.detach().clone(), weight.grad, state, lr=0.1, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0
    )
    optimizer.step()
    torch.testing.assert_close(weight.detach(), expected)
    assert optimizer.state_dict()["state"][0]["step"] == 4
