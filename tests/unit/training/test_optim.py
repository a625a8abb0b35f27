"""OptimizerConfig: groups, schedules by hand, what is refused."""

import math

import pytest
import torch
from torch import nn

from merlin_models_torch import OptimizerConfig


def test_biases_and_normalisation_are_not_decayed() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2), nn.Embedding(3, 2))
    decayed, plain = OptimizerConfig(weight_decay=0.3).build(model).param_groups
    assert decayed["weight_decay"] == 0.3
    assert plain["weight_decay"] == 0.0
    assert {id(p) for p in decayed["params"]} == {id(model[0].weight), id(model[2].weight)}
    assert {id(p) for p in plain["params"]} == {id(model[0].bias), id(model[1].weight), id(model[1].bias)}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"schedule": "constant", "warmup_steps": 2}, [0, 0.5, 1, 1, 1, 1, 1]),
        ({"schedule": "linear"}, [1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6, 0]),
        ({"schedule": "linear", "warmup_steps": 2}, [0, 0.5, 1, 0.75, 0.5, 0.25, 0]),
        ({"schedule": "cosine"}, [0.5 * (1 + math.cos(math.pi * t / 6)) for t in range(7)]),
        (
            {"schedule": "cosine", "cycles": 1.0},
            [0.5 * (1 + math.cos(2 * math.pi * t / 6)) for t in range(7)],
        ),
    ],
)
def test_schedules(options: dict[str, object], expected: list[float]) -> None:
    config = OptimizerConfig(**options)  # type: ignore[arg-type]
    assert [config.factor(step, 6) for step in range(7)] == pytest.approx(expected)


def test_a_restart_keeps_the_moments_and_begins_the_schedule_anew() -> None:
    layer = nn.Linear(1, 1)
    config = OptimizerConfig(lr=0.5, schedule="linear", carry_over=True)
    optimizer = config.build(layer)
    scheduler = config.scheduler(optimizer, 4)
    layer(torch.ones(1, 1)).sum().backward()
    for _ in range(3):
        optimizer.step()
        scheduler.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.5 * 0.25)
    again = config.restart(optimizer)
    config.scheduler(again, 4)
    assert again.param_groups[0]["lr"] == 0.5
    assert again.state[layer.weight]["step"] == 3


def test_a_parameter_without_a_size_is_named() -> None:
    with pytest.raises(ValueError, match=r"parameter '0\.weight' has no size yet"):
        OptimizerConfig().build(nn.Sequential(nn.LazyLinear(2)))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"name": "lamb"}, "optimiser must be 'adam', 'adamw' or 'sgd', got 'lamb'"),
        ({"schedule": "step"}, "schedule must be 'constant', 'linear' or 'cosine', got 'step'"),
        ({"lr": 0}, "learning rate must be positive, got 0"),
    ],
)
def test_wrong_choices_are_refused(options: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        OptimizerConfig(**options)  # type: ignore[arg-type]
