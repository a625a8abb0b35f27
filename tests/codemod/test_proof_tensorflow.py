"""Definitions of models of merlin.models.tf, rewritten: they build, and learn from a batch, in the new API.

TensorFlow is not here, so its numbers are not compared: the architectures are, by their parts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
import torch
from merlin_migrate.codemod import rewrite_source
from torch import nn

import merlin_models_torch as mm

HEAD = "import merlin.models.tf as mm\nfrom merlin.schema import Tags\n\n"
ROWS = 64


def ids(name: str, largest: int, *tags: mm.Tags, is_list: bool = False) -> mm.ColumnSchema:
    domain = {"domain": {"min": 0, "max": largest, "name": name}}
    return mm.ColumnSchema(
        name,
        tags=[mm.Tags.CATEGORICAL, *tags],
        dtype="int64",
        properties=domain,
        is_list=is_list,
        is_ragged=is_list,
    )


CLICKS = mm.Schema(
    [
        ids("user", 20, mm.Tags.USER_ID),
        ids("item", 15, mm.Tags.ITEM_ID),
        mm.ColumnSchema("age", tags=[mm.Tags.CONTINUOUS, mm.Tags.USER], dtype="float32"),
        mm.ColumnSchema("click", tags=[mm.Tags.TARGET, mm.Tags.BINARY_CLASSIFICATION], dtype="int64"),
        mm.ColumnSchema("rating", tags=[mm.Tags.TARGET, mm.Tags.REGRESSION], dtype="float32"),
    ]
)
FEATURES = CLICKS.excluding_by_tag(mm.Tags.TARGET)
SESSIONS = mm.Schema([ids("item", 15, mm.Tags.ITEM_ID, is_list=True)])


def clicks() -> mm.Batch:
    generator = torch.Generator().manual_seed(0)
    table = pa.table(
        {
            "user": torch.randint(1, 21, (ROWS,), generator=generator).numpy(),
            "item": torch.randint(1, 16, (ROWS,), generator=generator).numpy(),
            "age": torch.rand(ROWS, generator=generator).numpy(),
            "click": (torch.arange(ROWS) % 2).numpy(),
            "rating": torch.rand(ROWS, generator=generator).numpy(),
        }
    )
    return next(iter(mm.ParquetLoader(table, CLICKS, batch_size=ROWS)))


def sessions() -> mm.Batch:
    rows = [[1 + (start + step) % 15 for step in range(5)] for start in range(ROWS)]
    return next(iter(mm.ParquetLoader(pa.table({"item": rows}), SESSIONS, batch_size=ROWS)))


def _widths(model: mm.Model) -> list[int]:
    """Of all linear layers."""
    return [module.out_features for module in model.modules() if isinstance(module, nn.Linear)]


# A definition in the old names, its columns, a batch, the widths of its linear layers, its targets.
DEFINITIONS: dict[str, tuple[str, mm.Schema, Callable[[], mm.Batch], list[int], list[str]]] = {
    "MLP of V1": (
        'mm.Model(mm.InputBlock(schema), mm.MLPBlock([16, 8]), mm.BinaryClassificationTask("click"))',
        FEATURES,
        clicks,
        [16, 8, 1],
        ["click"],
    ),
    "MLP of V2": (
        'mm.Model(mm.InputBlockV2(schema), mm.MLPBlock([16, 8], dropout=0.1), mm.BinaryOutput("click"))',
        FEATURES,
        clicks,
        [16, 8, 1],
        ["click"],
    ),
    "a regression": (
        "mm.Model(mm.InputBlockV2(schema, categorical=mm.Embeddings(schema, dim=4)), mm.MLPBlock([8]), "
        'mm.RegressionOutput("rating"))',
        FEATURES,
        clicks,
        [8, 1],
        ["rating"],
    ),
    "PredictionTasks": (
        "mm.Model(mm.InputBlock(schema), mm.MLPBlock([8]), mm.PredictionTasks(schema))",
        CLICKS,
        clicks,
        [8, 1, 1],
        ["click", "rating"],
    ),
    "MMOE": (
        "mm.Model(mm.InputBlockV2(schema), mm.MMOEBlock(outputs, expert_block=mm.MLPBlock([8]), "
        "num_experts=3), outputs)",
        CLICKS,
        clicks,
        [8, 8, 8, 3, 3, 1, 1],
        ["click", "rating"],
    ),
    "DLRM": (
        "mm.DLRMModel(schema, embedding_dim=8, bottom_block=mm.MLPBlock([16, 8]), "
        'top_block=mm.MLPBlock([16]), prediction_tasks=mm.BinaryClassificationTask("click"))',
        FEATURES,
        clicks,
        [16, 8, 16, 1],
        ["click"],
    ),
    "DCN": (
        "mm.DCNModel(schema, depth=2, deep_block=mm.MLPBlock([16]), "
        'prediction_tasks=mm.BinaryOutput("click"))',
        FEATURES,
        clicks,
        [],
        ["click"],
    ),
    "DeepFM": (
        "mm.DeepFMModel(schema, embedding_dim=8, deep_block=mm.MLPBlock([16]), "
        'prediction_tasks=mm.BinaryOutput("click"))',
        FEATURES,
        clicks,
        [],
        ["click"],
    ),
    "two towers of V1": (
        "mm.TwoTowerModel(schema, query_tower=mm.MLPBlock([16, 8]), item_tower=mm.MLPBlock([12, 8]), "
        "samplers=[mm.InBatchSampler()], metrics=[mm.RecallAt(10), mm.NDCGAt(5)])",
        FEATURES,
        clicks,
        [16, 8, 12, 8],
        [],
    ),
    "two towers of V2": (
        "mm.TwoTowerModelV2(mm.Encoder(schema.select_by_tag(Tags.USER), mm.MLPBlock([16, 8])), "
        "mm.Encoder(schema.select_by_tag(Tags.ITEM), mm.MLPBlock([8])))",
        FEATURES,
        clicks,
        [16, 8, 8],
        [],
    ),
    "matrix factorisation": ("mm.MatrixFactorizationModel(schema, dim=8)", FEATURES, clicks, [], []),
    "YouTube DNN": (
        "mm.YoutubeDNNRetrievalModelV2(schema, top_block=mm.MLPBlock([64]), num_sampled=5)",
        SESSIONS,
        sessions,
        [64],
        [],
    ),
}


@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_definition_builds_and_learns(name: str) -> None:
    definition, schema, rows, widths, targets = DEFINITIONS[name]
    before = HEAD + ("outputs = mm.OutputBlock(schema)\n" if "outputs)" in definition else "")
    result = rewrite_source(f"{before}model = {definition}\n".encode())
    assert result.marks == ()
    assert b"merlin.models" not in result.after
    assert not rewrite_source(result.after).changed
    torch.manual_seed(0)
    names: dict[str, Any] = {"schema": schema}
    exec(result.after.decode(), names)
    model: mm.Model = names["model"]
    if widths:
        assert sorted(_widths(model)) == sorted(widths)
    output: Any = model.output
    if len(targets) == 1:
        assert output.target == targets[0]
    elif targets:
        assert list(output.outputs) == targets
    batch = rows()
    optimizer: Any = model.optimizer.build(model)
    losses = []
    for step in range(12):
        loss = mm.Step(model, batch, "train", generator=torch.Generator().manual_seed(0)).loss
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in model.parameters())
        optimizer.step()
        losses.append(loss.item())
    # Negatives of the batch are weighed by how often they came, of which the first step knows nothing.
    assert losses[-1] < losses[1]


def test_keras_training_is_marked_with_the_guide() -> None:
    program = HEAD + (
        'task = mm.BinaryOutput("a")\n'
        "model = mm.DCNModel(schema, depth=1, deep_block=mm.MLPBlock([8]), prediction_tasks=task)\n"
        'model.compile(optimizer="adam", run_eagerly=False)\n'
        "model.fit(train, validation_data=valid, batch_size=128, epochs=2)\n"
        "metrics = model.evaluate(valid, batch_size=128, return_dict=True)\n"
        "scores = model.batch_predict(valid, batch_size=128)\n"
        'model.save("folder")\n'
    )
    result = rewrite_source(program.encode())
    assert [mark.rule for mark in result.marks] == ["MM203"] * 5
    assert {mark.link for mark in result.marks} == {
        "migration_guides/from-merlin-models-tensorflow.md#training-and-data"
    }
    after = result.after.decode()
    for line in program.splitlines()[5:]:
        assert f"\n{line}\n" in after
