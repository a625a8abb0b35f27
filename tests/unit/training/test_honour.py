"""Whatever is given as optimiser and schedule does what a loop of torch written by hand does with it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

import merlin_models_torch as mm
from merlin_models_torch.training import ScheduleConfig
from tests.unit.training.loops import assert_same, click_model, fitted, others, plain_loop, tables

# Of torch's own Adagrad, once a process.
pytestmark = pytest.mark.filterwarnings("ignore:Sparse invariant checks are implicitly disabled:UserWarning")
Config = mm.OptimizerConfig


class Signed(torch.optim.Optimizer):
    """An optimiser of a user: steps by the sign of the gradient."""

    def __init__(self, params: Any, rate: float) -> None:
        super().__init__(params, {"lr": rate})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for p in group["params"]:
                p -= group["lr"] * p.grad.sign()
        return loss


# What is given to the model, and what a loop by hand makes of the same parameters.
CASES: dict[str, tuple[Any, Callable[[Iterator[torch.nn.Parameter]], torch.optim.Optimizer]]] = {
    "default": (None, lambda p: torch.optim.AdamW(p, lr=1e-3, weight_decay=0.0, fused=True)),
    "name": ("adam", lambda p: torch.optim.Adam(p, lr=1e-3, fused=True)),
    "any name": (Config("radam", lr=0.01), lambda p: torch.optim.RAdam(p, lr=0.01)),
    "name with arguments": (
        Config("SGD", lr=0.1, arguments={"momentum": 0.9, "nesterov": True}),
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    ),
    "all settings": (
        Config("adam", lr=0.01, betas=(0.8, 0.9), eps=1e-3),
        lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.8, 0.9), eps=1e-3, fused=True),
    ),
    "class": (torch.optim.Adagrad, lambda p: torch.optim.Adagrad(p, lr=1e-3)),
    "class with settings": (
        Config(torch.optim.Adamax, lr=0.02, eps=1e-4),
        lambda p: torch.optim.Adamax(p, lr=0.02, eps=1e-4),
    ),
    "class of one's own": (Config(Signed, arguments={"rate": 0.01}), lambda p: Signed(p, 0.01)),
    "callable": (
        lambda p: torch.optim.NAdam(p, lr=0.01, momentum_decay=0.1),
        lambda p: torch.optim.NAdam(p, lr=0.01, momentum_decay=0.1),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_an_optimizer_given_in_any_form_is_the_one_that_trains(case: str) -> None:
    given, by_hand = CASES[case]
    plain = click_model()
    assert_same(fitted(click_model(optimizer=given)), plain_loop(plain, [by_hand(plain.parameters())]))


def test_a_ready_optimizer_trains_and_keeps_its_state() -> None:
    model, plain = click_model(), click_model()
    ready = torch.optim.Adam(model.parameters(), lr=0.01)
    model.optimizer = ready
    by_hand = torch.optim.Adam(plain.parameters(), lr=0.01)
    for _ in range(2):
        fitted(model)
        plain_loop(plain, [by_hand])
    assert_same(model, plain)
    assert ready.state[next(model.parameters())]["step"] == 24


def test_weight_decay_spares_biases() -> None:
    plain = click_model()
    by_hand = torch.optim.AdamW(by_rank(list(plain.parameters())), lr=0.01, weight_decay=0.2, fused=True)
    assert_same(
        fitted(click_model(optimizer=Config(lr=0.01, weight_decay=0.2))), plain_loop(plain, [by_hand])
    )


SCHEDULES: dict[str, tuple[Any, Callable[[Any], Any], str]] = {
    "name": (
        ScheduleConfig("StepLR", {"step_size": 4, "gamma": 0.3}, interval="step"),
        lambda o: lr_scheduler.StepLR(o, 4, gamma=0.3),
        "step",
    ),
    "class": (
        ScheduleConfig(lr_scheduler.OneCycleLR, {"max_lr": 0.1, "total_steps": 12}, interval="step"),
        lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=12),
        "step",
    ),
    "class, each epoch": (
        ScheduleConfig(lr_scheduler.ExponentialLR, {"gamma": 0.1}),
        lambda o: lr_scheduler.ExponentialLR(o, 0.1),
        "epoch",
    ),
    "callable": (
        lambda o: lr_scheduler.ConstantLR(o, factor=0.1, total_iters=1),
        lambda o: lr_scheduler.ConstantLR(o, factor=0.1, total_iters=1),
        "epoch",
    ),
    "function of the step": (
        ScheduleConfig("LambdaLR", {"lr_lambda": lambda step: 0.8**step}, interval="step"),
        lambda o: lr_scheduler.LambdaLR(o, lambda step: 0.8**step),
        "step",
    ),
}


@pytest.mark.parametrize("case", SCHEDULES)
def test_a_schedule_given_in_any_form_is_followed(case: str) -> None:
    given, by_hand, interval = SCHEDULES[case]
    plain = click_model()
    optimizer = torch.optim.Adam(plain.parameters(), lr=0.02)
    schedule = by_hand(optimizer)
    plain_loop(plain, [optimizer], **{f"after_{interval}": schedule.step})
    model = click_model(optimizer=Config(torch.optim.Adam, lr=0.02, schedule=given))
    assert_same(fitted(model), plain)


def test_a_ready_schedule_of_a_ready_optimizer_is_followed() -> None:
    model, plain = click_model(), click_model()
    ready = torch.optim.SGD(model.parameters(), lr=0.5)
    model.optimizer = Config(ready, schedule=ScheduleConfig(lr_scheduler.StepLR(ready, 3), interval="step"))
    by_hand = torch.optim.SGD(plain.parameters(), lr=0.5)
    plain_loop(plain, [by_hand], after_step=lr_scheduler.StepLR(by_hand, 3).step)
    assert_same(fitted(model), plain)
    model.optimizer = Config("sgd", schedule=lr_scheduler.StepLR(ready, 3))
    with pytest.raises(ValueError, match="the scheduler belongs to another optimizer"):
        fitted(model)


def test_a_plateau_looks_at_its_metric() -> None:
    # A threshold that no improvement reaches: the rate falls after each epoch but the first.
    schedule = ScheduleConfig(
        "ReduceLROnPlateau",
        {"patience": 0, "threshold": 10.0, "threshold_mode": "abs", "factor": 0.1},
        monitor="val_loss",
    )
    plain = click_model()
    by_hand = torch.optim.SGD(plain.parameters(), lr=0.5)
    rates = lr_scheduler.LambdaLR(by_hand, lambda epoch: 0.1 ** max(0, epoch - 1))
    plain_loop(plain, [by_hand], epochs=3, after_epoch=rates.step)
    model = fitted(click_model(optimizer=Config("sgd", lr=0.5, schedule=schedule)), epochs=3, validate=True)
    assert_same(model, plain, rtol=0, atol=1e-7)


def by_rank(parameters: list[torch.nn.Parameter]) -> list[dict[str, Any]]:
    """Matrices, and biases without decay."""
    return [
        {"params": [p for p in parameters if p.dim() > 1]},
        {"params": [p for p in parameters if p.dim() == 1], "weight_decay": 0.0},
    ]


# The optimiser given for all, and those of dense weights and of sparse tables by hand.
SPARSE: dict[str, tuple[Any, Callable[[Any], Any], Callable[[Any], Any]]] = {
    "adam": (
        Config("adam", lr=0.01, betas=(0.8, 0.99)),
        lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.8, 0.99), fused=True),
        lambda p: torch.optim.SparseAdam(p, lr=0.01, betas=(0.8, 0.99)),
    ),
    "weight decay, of the dense weights": (
        Config("adamw", lr=0.01, weight_decay=0.2),
        lambda p: torch.optim.AdamW(by_rank(p), lr=0.01, weight_decay=0.2, fused=True),
        lambda p: torch.optim.SparseAdam(p, lr=0.01),
    ),
    "sgd": (
        Config("sgd", lr=0.1, arguments={"momentum": 0.9}),
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
        lambda p: torch.optim.SGD(p, lr=0.1),
    ),
    "adagrad": (
        Config("adagrad", lr=0.1),
        lambda p: torch.optim.Adagrad(p, lr=0.1),
        lambda p: torch.optim.Adagrad(p, lr=0.1),
    ),
    "callable": (
        lambda p: torch.optim.RAdam(p, lr=0.03),
        lambda p: torch.optim.RAdam(p, lr=0.03),
        lambda p: torch.optim.SparseAdam(p, lr=0.03),
    ),
    "tables by name": (
        Config("adam", lr=0.01, tables=Config("adagrad", lr=0.2)),
        lambda p: torch.optim.Adam(p, lr=0.01, fused=True),
        lambda p: torch.optim.Adagrad(p, lr=0.2),
    ),
    "tables by class": (
        Config("adam", lr=0.01, tables=Config(torch.optim.SparseAdam, lr=0.2)),
        lambda p: torch.optim.Adam(p, lr=0.01, fused=True),
        lambda p: torch.optim.SparseAdam(p, lr=0.2),
    ),
    "tables by callable": (
        Config("adam", lr=0.01, tables=lambda p: torch.optim.Adagrad(p, lr=0.2, lr_decay=0.1)),
        lambda p: torch.optim.Adam(p, lr=0.01, fused=True),
        lambda p: torch.optim.Adagrad(p, lr=0.2, lr_decay=0.1),
    ),
}


@pytest.mark.parametrize("case", SPARSE)
def test_sparse_tables_are_trained_by_an_optimizer_that_takes_them(case: str) -> None:
    given, dense, sparse = SPARSE[case]
    plain = click_model(sparse=True)
    plain_loop(plain, [dense(others(plain)), sparse(tables(plain))])
    assert_same(fitted(click_model(sparse=True, optimizer=given)), plain)


def test_dense_tables_get_settings_of_their_own() -> None:
    given = Config("adam", lr=0.01, tables=Config("adamw", lr=0.1, weight_decay=0.2))
    plain = click_model()
    by_hand = [
        torch.optim.Adam(others(plain), lr=0.01, fused=True),
        torch.optim.AdamW(tables(plain), lr=0.1, weight_decay=0.2, fused=True),
    ]
    assert_same(fitted(click_model(optimizer=given)), plain_loop(plain, by_hand))


def test_a_ready_optimizer_may_hold_the_sparse_tables_or_leave_them() -> None:
    for leaves in (True, False):
        model, plain = click_model(sparse=True), click_model(sparse=True)
        held = [(others(m) if leaves else list(m.parameters())) for m in (model, plain)]
        model.optimizer = torch.optim.Adagrad(held[0], lr=0.1)
        by_hand = [torch.optim.Adagrad(held[1], lr=0.1)]
        by_hand += [torch.optim.Adagrad(tables(plain), lr=0.1)] if leaves else []
        assert_same(fitted(model), plain_loop(plain, by_hand))


def test_one_schedule_steps_dense_and_sparse() -> None:
    given = Config("adam", lr=0.02, schedule="linear", tables=Config("adagrad", lr=0.2))
    plain = click_model(sparse=True)
    by_hand = [
        torch.optim.Adam(others(plain), lr=0.02, fused=True),
        torch.optim.Adagrad(tables(plain), lr=0.2),
    ]
    schedules = [lr_scheduler.LambdaLR(o, lambda step: 1 - step / 12) for o in by_hand]
    plain_loop(plain, by_hand, after_step=lambda: [s.step() for s in schedules])
    assert_same(fitted(click_model(sparse=True, optimizer=given)), plain)


def test_sparse_and_dense_learn_the_same_where_the_mathematics_is_the_same() -> None:
    models = [fitted(click_model(sparse=s, optimizer=Config("sgd", lr=0.3))) for s in (True, False)]
    assert_same(*models, rtol=0, atol=1e-6)


def test_a_table_tied_to_the_output_trains_as_a_dense_one() -> None:
    from tests.unit.schemas import session_schema
    from tests.unit.sessions import session_table
    from tests.unit.training.test_model import trainer

    weights = []
    for sparse in (True, False):
        torch.manual_seed(0)
        inputs = mm.TabularInputBlock(session_schema(), masking=mm.CausalMasking(), sparse=sparse)
        model = mm.Model(inputs, mm.MLPBlock([8]), mm.CategoricalOutput(weight_tying=True), optimizer="sgd")
        data = mm.ParquetLoader(session_table(), session_schema(), batch_size=8)
        trainer(max_epochs=1).fit(model, data)
        weights.append(model)
    for a, b in zip(weights[0].parameters(), weights[1].parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-6)


def test_what_does_not_fit_is_refused_before_training() -> None:
    model, other = click_model(), click_model()
    model.optimizer = torch.optim.Adam(tables(model))
    with pytest.raises(ValueError, match=r"the optimizer misses 'body.*' and \d other parameters"):
        fitted(model)
    model.optimizer = torch.optim.Adam([*model.parameters(), *other.parameters()])
    with pytest.raises(ValueError, match="holds 6 parameters that this model does not train"):
        fitted(model)
    model.optimizer = lambda parameters: "adam"  # type: ignore[assignment, return-value]
    with pytest.raises(TypeError, match="callable returned a str, expected an optimizer of torch"):
        fitted(model)
    model.optimizer = torch.optim.SparseAdam
    with pytest.raises(ValueError, match=r"SparseAdam takes sparse gradients alone, but those of 'body"):
        fitted(model)
    model.optimizer = Config(schedule=lambda optimizer: 0.5)  # type: ignore[arg-type, return-value]
    with pytest.raises(TypeError, match="returned a float, expected a scheduler of torch"):
        fitted(model)
    model = click_model(sparse=True, optimizer=Config(tables=Config("adamw", weight_decay=0.1)))
    with pytest.raises(ValueError, match="weight_decay is set for the tables, but sparse ones"):
        fitted(model)


def test_frozen_parameters_may_be_left_out_or_held() -> None:
    for frozen_held in (True, False):
        model = click_model()
        tables(model)[0].requires_grad_(False)
        wanted = [p for p in model.parameters() if frozen_held or p.requires_grad]
        model.optimizer = torch.optim.SGD(wanted, lr=0.1)
        before = [p.clone() for p in model.parameters()]
        fitted(model)
        moved = [not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True)]
        assert moved == [p.requires_grad for p in model.parameters()]
