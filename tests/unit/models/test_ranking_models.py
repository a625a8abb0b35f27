"""All ranking models: each weight learns, they beat the mean, and come back from a folder as they were."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
import torch

import merlin_models_torch as mm
from tests.unit.clicks import click_schema, click_table
from tests.unit.models.ranking import CLICK, click_batch

CROSS = {"both": mm.HashedCross(["user_id", "item_id"], bins=50)}
BUILDERS: dict[str, Callable[[], mm.Model]] = {
    "dcn stacked": lambda: mm.DCNModel(CLICK, embedding_dim=8, deep=[16]),
    "dcn parallel": lambda: mm.DCNModel(CLICK, embedding_dim=8, deep=[16], low_rank=4, structure="parallel"),
    "dlrm": lambda: mm.DLRMModel(CLICK, embedding_dim=8, bottom=[8], top=[16]),
    "deepfm": lambda: mm.DeepFMModel(CLICK, embedding_dim=8, deep=[16]),
    "wide and deep": lambda: mm.WideAndDeepModel(CLICK, crosses=CROSS, embedding_dim=8, deep=[16]),
    "mmoe": lambda: mm.MultiTaskModel(click_schema(), embedding_dim=8, num_experts=2),
    "ple": lambda: mm.MultiTaskModel(click_schema(), experts="ple", embedding_dim=8, num_experts=2, depth=2),
    "shared": lambda: mm.MultiTaskModel(click_schema(), experts="none", embedding_dim=8),
}


@pytest.fixture(params=BUILDERS.values(), ids=BUILDERS.keys())
def model(request: pytest.FixtureRequest) -> mm.Model:
    torch.manual_seed(0)
    built: mm.Model = request.param()
    return built


def test_every_weight_gets_a_gradient(model: mm.Model) -> None:
    batch = click_batch()
    model.output.loss(model.body(batch), batch).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


def test_saved_answers_are_equal(model: mm.Model, tmp_path: Path) -> None:
    loaded = mm.load(model.save(tmp_path / "model"))
    assert loaded.predict(click_table()).equals(model.predict(click_table()))


def test_new_rows_are_answered_better_than_by_the_mean(model: mm.Model) -> None:
    batch, new = click_batch(200), click_batch(200, seed=1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        model.output.loss(model.body(batch), batch).backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        for name, column in model.scores(new).items():
            target = name.removesuffix("_score")
            label = new.targets[target].double()
            error = (column - label).square().mean()
            mean = batch.targets[target].double().mean()
            assert error < 0.25 * (mean - label).square().mean(), name


def test_a_row_may_have_several_genres_and_none() -> None:
    table = click_table(12).append_column("genres", pa.array([[1, 2], [], [3]] * 4))
    table = table.append_column("words", pa.array([[1], [4, 2, 2], []] * 4)).drop(["rating", "weight"])
    schema = mm.Schema.infer(table, user_id="user_id", item_id="item_id", targets="click")
    model = mm.DCNModel(schema, embedding_dim=4).eval()
    batch = next(iter(mm.ParquetLoader(table, schema, batch_size=12)))
    vectors = model.body.layers[0].vectors(batch)
    rows = model.extract("genres").weight
    torch.testing.assert_close(vectors["genres"][:3], torch.stack([rows[1:3].mean(0), rows[0] * 0, rows[3]]))
