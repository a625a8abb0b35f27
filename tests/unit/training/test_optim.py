"""OptimizerConfig: groups, schedules by hand, what is refused."""

import copy
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import merlin_models_torch as mm
from merlin_models_torch import OptimizerConfig
from merlin_models_torch.training import ScheduleConfig, SplitOptimizer
from tests.unit.clicks import click_table
from tests.unit.training.loops import assert_same, click_model, fitted, others, plain_loop, tables

# Of torch's own Adagrad, once a process.
pytestmark = pytest.mark.filterwarnings("ignore:Sparse invariant checks are implicitly disabled:UserWarning")


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
        (
            {"schedule": "cosine_restarts", "cycles": 2.0},
            [1, 0.75, 0.25, 1, 0.75, 0.25, 0],
        ),
        ({"schedule": "polynomial", "end": 0.4}, [1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4]),
        (
            {"schedule": "polynomial", "power": 2.0, "warmup_steps": 2},
            [0, 0.5, 1, 0.5625, 0.25, 0.0625, 0],
        ),
    ],
)
def test_schedules(options: dict[str, object], expected: list[float]) -> None:
    config = OptimizerConfig(**options)  # type: ignore[arg-type]
    assert [config.factor(step, 6) for step in range(7)] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("polynomial", OptimizerConfig(schedule="polynomial", lr=0.01, end=1e-7 / 0.01, warmup_steps=2)),
        ("cosine_with_restarts", OptimizerConfig(schedule="cosine_restarts", cycles=3, warmup_steps=2)),
    ],
)
def test_schedules_equal_those_of_transformers(name: str, ours: OptimizerConfig) -> None:
    transformers = pytest.importorskip("transformers", reason="its schedules are the reference")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.01)
    special = {"num_cycles": 3} if "cosine" in name else None
    schedule = transformers.get_scheduler(
        name, optimizer, num_warmup_steps=2, num_training_steps=11, scheduler_specific_kwargs=special
    )
    for step in range(13):
        assert ours.factor(step, 11) == pytest.approx(schedule.get_last_lr()[0] / 0.01, abs=1e-9)
        optimizer.step()
        schedule.step()


@pytest.mark.parametrize("sparse", [False, True])
def test_a_further_fit_goes_on_with_the_moments_and_begins_the_schedule_anew(sparse: bool) -> None:
    model, plain = click_model(sparse=sparse), click_model(sparse=sparse)
    by_hand = [torch.optim.Adam(others(plain), fused=True)]
    by_hand.append((torch.optim.SparseAdam if sparse else torch.optim.Adam)(tables(plain)))
    for lr in (0.02, 0.01):
        model.optimizer = OptimizerConfig("adam", lr=lr, schedule="linear", carry_over=True)
        fitted(model, epochs=1)
        rates = [lr * (1 - step / 6) for step in range(6)]

        def rate(rates: list[float] = rates) -> None:
            value = rates.pop(0)
            for optimizer in by_hand:
                optimizer.param_groups[0]["lr"] = value

        plain_loop(plain, by_hand, epochs=1, before=rate)
    assert_same(model, plain, rtol=0, atol=1e-7)


def test_without_carry_over_the_moments_begin_anew() -> None:
    model, plain = click_model(optimizer=OptimizerConfig("adam", lr=0.02)), click_model()
    for _ in range(2):
        fitted(model, epochs=1)
        plain_loop(plain, [torch.optim.Adam(plain.parameters(), lr=0.02, fused=True)], epochs=1)
    assert_same(model, plain)


def test_a_parameter_without_a_size_is_named() -> None:
    with pytest.raises(ValueError, match=r"parameter '0\.weight' has no size yet"):
        OptimizerConfig().build(nn.Sequential(nn.LazyLinear(2)))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"optimizer": "lamb"}, "optimizer 'lamb' is not in torch.optim: choose from .*adam, "),
        ({"schedule": "step"}, "schedule must be 'constant', .*'polynomial' or the name of a class"),
        ({"lr": 0}, "learning rate must be positive, got 0"),
        ({"optimizer": print, "lr": 0.1}, "lr cannot be given beside a ready optimizer or a callable"),
        ({"optimizer": print, "arguments": {"a": 1}}, "arguments cannot be given beside"),
        ({"schedule": "StepLR", "warmup_steps": 2}, "warmup_steps is 2, but only the schedules"),
        ({"schedule": "ReduceLROnPlateau"}, "ReduceLROnPlateau needs a metric: give monitor"),
        ({"tables": OptimizerConfig(schedule="linear")}, "tables has a schedule, warm-up"),
    ],
)
def test_wrong_choices_are_refused(options: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        OptimizerConfig(**options)  # type: ignore[arg-type]


def test_a_setting_that_the_class_does_not_have_is_named() -> None:
    with pytest.raises(ValueError, match="SGD has no argument 'betas': leave it out"):
        OptimizerConfig("sgd", betas=(0.9, 0.99)).build(nn.Linear(1, 1))
    with pytest.raises(TypeError, match="optimizer is int, expected OptimizerConfig, a name, class"):
        click_model(optimizer=3)


@pytest.mark.parametrize(
    "config",
    [
        OptimizerConfig(lr=0.1, betas=(0.8, 0.9), schedule="cosine", warmup_steps=3),
        OptimizerConfig(
            "sgd", arguments={"momentum": 0.9}, schedule=ScheduleConfig("StepLR", {"step_size": 2})
        ),
        OptimizerConfig("adam", tables=OptimizerConfig("adagrad", lr=0.3)),
    ],
)
def test_names_and_numbers_are_saved(config: OptimizerConfig, tmp_path: Path) -> None:
    assert mm.load(click_model(optimizer=config).save(tmp_path / "model")).optimizer == config


def test_classes_of_torch_are_saved_by_name(tmp_path: Path) -> None:
    schedule = ScheduleConfig(torch.optim.lr_scheduler.StepLR, {"step_size": 2}, interval="step")
    config = OptimizerConfig(torch.optim.RAdam, lr=0.1, schedule=schedule, tables=torch.optim.SparseAdam)
    loaded = mm.load(click_model(sparse=True, optimizer=config).save(tmp_path / "model"))
    assert loaded.optimizer == OptimizerConfig(
        "RAdam", lr=0.1, schedule=replace(schedule, scheduler="StepLR"), tables="SparseAdam"
    )
    assert_same(fitted(loaded.train()), fitted(click_model(sparse=True, optimizer=config)))


@pytest.mark.parametrize("kind", ["callable", "ready", "schedule", "class"])
def test_a_model_whose_optimizer_no_file_holds_is_loaded_and_asks_for_one(kind: str, tmp_path: Path) -> None:
    class Own(torch.optim.SGD):
        pass

    model = click_model()
    given = {
        "callable": lambda p: torch.optim.SGD(p, lr=0.1),
        "ready": torch.optim.SGD(model.parameters(), lr=0.1),
        "schedule": OptimizerConfig(
            "sgd", lr=0.1, schedule=ScheduleConfig("LambdaLR", {"lr_lambda": lambda step: 1.0})
        ),
        "class": OptimizerConfig(Own, lr=0.1),
    }
    model.optimizer = given[kind]  # type: ignore[assignment]
    folder = model.save(tmp_path / "model")
    loaded = mm.load(mm.load(folder).save(tmp_path / "again"))
    answers = loaded.predict(click_table(9))["click_score"]
    assert answers.equals(model.predict(click_table(9))["click_score"])
    with pytest.raises(ValueError, match=r"saved with an optimizer of its own .*set model.optimizer before"):
        fitted(loaded.train())
    loaded.optimizer = OptimizerConfig("sgd", lr=0.1)
    assert_same(fitted(loaded), fitted(click_model(optimizer=loaded.optimizer)))


@pytest.mark.parametrize("sparse", [False, True])
def test_a_copied_model_has_an_optimizer_of_its_own(sparse: bool) -> None:
    model = click_model(sparse=sparse)
    optimizers = [torch.optim.Adagrad(others(model), lr=0.1), torch.optim.Adagrad(tables(model), lr=0.2)]
    model.optimizer = SplitOptimizer(optimizers)
    fitted(model)
    copied = copy.deepcopy(model)
    for one in (model, copied):
        fitted(one)
    assert_same(model, copied)
    assert model.optimizer.optimizer is not copied.optimizer.optimizer


def test_several_optimizers_save_and_load_their_state_as_one() -> None:
    weights = [[nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(3))] for _ in range(2)]
    both = [SplitOptimizer([torch.optim.Adagrad([a], lr=0.1), torch.optim.Adam([b])]) for a, b in weights]

    def step(number: int) -> None:
        for parameter in weights[number]:
            parameter.grad = torch.arange(1.0, 1 + len(parameter))
        both[number].step()

    step(0)
    both[1].load_state_dict(copy.deepcopy(both[0].state_dict()))
    for (a, b), c in zip([weights[0]], [weights[1]], strict=True):
        c[0].data.copy_(a.data), c[1].data.copy_(b.data)
    step(0), step(1)
    for a, b in zip(*weights, strict=True):
        assert torch.equal(a, b)
    with pytest.raises(TypeError, match="add it to one of them before they are joined"):
        both[0].add_param_group({"params": [nn.Parameter(torch.ones(1))]})
    calls = []
    both[0].step(lambda: calls.append(torch.is_grad_enabled()))
    assert calls == [True]


def test_a_warm_up_of_fewer_than_no_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="warmup_steps is -1, expected 0 or more"):
        mm.OptimizerConfig(warmup_steps=-1)
