"""Parts of programs for V1 of merlin.models.torch, rewritten: the same numbers from the same weights."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from merlin_migrate.codemod import rewrite_source
from torch import nn

import merlin_models_torch as mm

pytestmark = pytest.mark.filterwarnings("ignore::deprecation.DeprecatedWarning")

HEAD = """\
import merlin.models.torch as mm
import numpy as np
import torchmetrics as tm
from merlin.models.torch.model.base import Model
from merlin.schema import ColumnSchema, Schema, Tags


def ids(name, largest, *tags):
    domain = {"domain": {"min": 0, "max": largest, "name": name}}
    return ColumnSchema(name, tags=[Tags.CATEGORICAL, *tags], dtype=np.int64, properties=domain)


schema = Schema(
    [
        ids("item", 20, Tags.ITEM_ID),
        ids("city", 9),
        ColumnSchema("price", tags=[Tags.CONTINUOUS], dtype=np.float32),
    ]
)
both = schema.select_by_name(["item", "city"])
features = mm.TabularFeatures.from_schema(schema, aggregation="concat", embedding_dim_default=4)
body = mm.SequentialBlock(features, mm.MLPBlock([6]))
other = mm.SequentialBlock(
    mm.TabularFeatures.from_schema(both, aggregation="element-wise-sum", embedding_dim_default=3),
    mm.MLPBlock([5]),
)
"""
TWO = """\
click = mm.Head(body, mm.BinaryClassificationTask("click"){blocks})
rest = mm.Head({body}, [mm.RegressionTask("spent"){more}]{options})
model = Model(click, rest{weights})
"""
MORE = ', mm.RegressionTask("time", task_name="late", metrics=[tm.MeanAbsoluteError()])'
ONE = 'model = body.to_model(mm.RegressionTask("spent"))\n'
PARTS = {
    "heads over one body": TWO.format(body="body", more=MORE, options="", weights="", blocks=""),
    "heads over one body, weighted": TWO.format(
        body="body",
        more=MORE,
        options=', task_weights=[0.3, 2.0], loss_reduction="sum"',
        weights=", head_weights=[1.0, 0.5]",
        blocks="",
    ),
    "heads over one body, summed, with towers": TWO.format(
        body="body",
        more=MORE,
        options=", task_blocks=mm.MLPBlock([3])",
        weights=', head_reduction="sum"',
        blocks=", task_blocks=mm.MLPBlock([4, 2])",
    ),
    "heads with bodies of their own": TWO.format(body="other", more="", options="", weights="", blocks=""),
    "heads with bodies of their own, weighted, one with a tower": TWO.format(
        body="other",
        more="",
        options="",
        weights=', head_weights=[0.25, 3.0], head_reduction="sum"',
        blocks=", task_blocks=mm.MLPBlock([4, 2])",
    ),
    "inputs by an arrow": "body = features >> mm.MLPBlock([6])\n" + ONE,
    "vectors summed, times the item's": "aggregation = mm.ElementwiseSumItemMulti(both)\n"
    "features = mm.TabularFeatures.from_schema(both, aggregation=aggregation, embedding_dim_default=4)\n"
    "body = mm.SequentialBlock(features, mm.MLPBlock([6]))\n" + ONE,
    "normalised vectors": "features = mm.TabularFeatures.from_schema(\n"
    "    schema, aggregation=mm.ConcatFeatures(), post=mm.TabularLayerNorm(), embedding_dim_default=4\n"
    ")\n"
    "body = mm.SequentialBlock(features, mm.MLPBlock([6]))\n" + ONE,
}
ROWS = 32
COLUMNS = {
    "item": torch.arange(ROWS).remainder(20).add(1).view(-1, 1),
    "city": torch.arange(ROWS).remainder(7).add(1).view(-1, 1),
    "price": torch.linspace(-1, 1, ROWS).view(-1, 1),
}
TARGETS = {
    "click": torch.arange(ROWS).remainder(2).float(),
    "spent": torch.linspace(0, 3, ROWS),
    "time": torch.linspace(2, 1, ROWS),
}
OWN_NAMES = {"late": "time"}


def _run(source: bytes) -> Any:
    names: dict[str, Any] = {"__name__": "program"}
    exec(compile(source, "program.py", "exec"), names)
    return names["model"]


def _key(name: str) -> tuple[str, str, str]:
    """To which table, task or layer a weight belongs, in both ways of writing."""
    last = name.rpartition(".")[2]
    if table := re.search(r"(?:embedding_tables|tables)\.(\w+)\.weight", name):
        return "table", table[1], last
    if norm := re.search(r"norm\w*\.(?:norms\.)?(\w+)\.(?:weight|bias)$", name):
        return "norm", norm[1], last
    if task := re.search(r"prediction_task_dict\.([^.]+)\.pre\.0", name):
        target = task[1].partition("/")[0]
        return "output", OWN_NAMES.get(target, target), last
    if task := re.search(r"output\.outputs\.(\w+)\.", name):
        return "output", task[1], last
    return ("output", "spent", last) if name.startswith("output.") else ("layer", "", last)


def _share(old: nn.Module, new: nn.Module) -> int:
    """Gives both the same weights, found by what they belong to, and counts them."""
    torch.manual_seed(3)
    for parameter in old.parameters():
        nn.init.normal_(parameter, std=0.4)
    for module in old.modules():
        # Row 0 is padding here, and no id of these programs.
        if isinstance(module, nn.EmbeddingBag):
            module.weight.data[0] = 0
    waiting: dict[tuple[str, str, str], list[torch.Tensor]] = {}
    for name, parameter in old.named_parameters():
        waiting.setdefault(_key(name), []).append(parameter.data)
    given = 0
    for name, parameter in new.named_parameters():
        same = waiting[_key(name)]
        # Two bodies have tables of one column, and layers come in another order: shapes tell them apart.
        value = next(value for value in same if value.shape == parameter.shape)
        waiting[_key(name)] = [rest for rest in same if rest is not value]
        parameter.data.copy_(value)
        given += 1
    assert not any(waiting.values())
    return given


@pytest.mark.parametrize("name", PARTS)
def test_loss_answers_and_training_are_the_same(name: str) -> None:
    source = (HEAD + PARTS[name]).encode()
    result = rewrite_source(source)
    assert not result.marks
    assert b"merlin.models" not in result.after
    assert not rewrite_source(result.after).changed
    old, new = _run(source), _run(result.after)
    assert isinstance(new, mm.Model)
    assert _share(old, new) >= 5
    expected = old.compute_loss(COLUMNS, TARGETS, compute_metrics=False).detach()
    step = mm.Step(new, (COLUMNS, TARGETS), "evaluate")
    torch.testing.assert_close(step.loss, expected, atol=1e-6, rtol=1e-5)
    answers = new.output.predictions(step.hidden, step.planned)
    given = old(COLUMNS)
    for task, tensor in (given if isinstance(given, dict) else {"spent/": given}).items():
        target = OWN_NAMES.get(task, task.partition("/")[0])
        torch.testing.assert_close(answers[f"{target}_score"], tensor.reshape(-1), atol=1e-6, rtol=1e-5)
    optimizers = [torch.optim.SGD(model.parameters(), lr=0.05) for model in (old, new)]
    for _ in range(5):
        losses = (
            old.compute_loss(COLUMNS, TARGETS, compute_metrics=False),
            mm.Step(new, (COLUMNS, TARGETS), "train").loss,
        )
        torch.testing.assert_close(losses[1], losses[0], atol=1e-5, rtol=1e-5)
        for optimizer, loss in zip(optimizers, losses, strict=True):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert float(losses[0].detach()) != pytest.approx(float(expected), abs=1e-3)
