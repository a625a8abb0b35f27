"""Schedules of rewritten programs: the rate of every step is the one that the drop-in's Trainer gives."""

from __future__ import annotations

import ast
from types import SimpleNamespace

import pytest
import torch
from merlin_migrate.codemod import rewrite_source
from merlin_migrate.codemod.arguments import SCHEDULES
from transformers4rec.torch import Trainer

import merlin_models_torch as mm

STEPS, EPOCHS, RATE = 20, 2, 0.05
WRITTEN = """\
from transformers4rec.config.trainer import T4RecTrainingArguments
from transformers4rec.torch import Trainer

args = T4RecTrainingArguments(
    "out", learning_rate=0.05, num_train_epochs=2, lr_scheduler_type={name!r}, warmup_steps={warmup}
)
trainer = Trainer(model=model, args=args, schema=schema, train_dataset_or_path="train.parquet")
trainer.train()
"""
PARSED = """\
from transformers import HfArgumentParser
from transformers4rec.config.trainer import T4RecTrainingArguments
from transformers4rec.torch import Trainer

(args,) = HfArgumentParser(T4RecTrainingArguments).parse_args_into_dataclasses()
print(args.lr_scheduler_type, args.warmup_steps)
trainer = Trainer(model=model, args=args, schema=schema, train_dataset_or_path="train.parquet")
trainer.train()
"""


def _old(name: str, warmup: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=RATE)
    return _rates(optimizer, Trainer.get_scheduler(name, optimizer, warmup, STEPS, num_cycles=1.25 * EPOCHS))


def _new(source: str, args: SimpleNamespace) -> list[float]:
    """Rates of the ``OptimizerConfig`` that stands in the rewritten program."""
    statements = ast.parse(rewrite_source(source.encode()).after.decode()).body
    (made,) = [each for each in statements if ast.unparse(each).startswith("model.optimizer = ")]
    config = eval(ast.unparse(made).partition(" = ")[2], {"mm": mm, "args": args})
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=config.lr)
    return _rates(optimizer, config.scheduler(optimizer, STEPS))


def _rates(optimizer: torch.optim.Optimizer, schedule: torch.optim.lr_scheduler.LRScheduler) -> list[float]:
    rates = []
    for _ in range(STEPS):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    return rates


@pytest.mark.parametrize("warmup", [0, 4])
@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_are_the_same(name: str, warmup: int) -> None:
    args = SimpleNamespace(
        learning_rate=RATE, num_train_epochs=EPOCHS, lr_scheduler_type=name, warmup_steps=warmup
    )
    expected = _old(name, warmup)
    assert len(set(expected)) > 1 or (name == "constant" or not warmup)
    assert _new(WRITTEN.format(name=name, warmup=warmup), args) == pytest.approx(expected, abs=1e-9)
    assert _new(PARSED, args) == pytest.approx(expected, abs=1e-9)
