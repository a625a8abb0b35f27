"""Models whose output is a number: trained on tables without sequences, answers as a table, saved."""

from pathlib import Path

import pyarrow as pa
import pytest
import torch

import merlin_models_torch as mm
from merlin_models_torch.outputs import BinaryOutput, RegressionOutput
from tests.unit.clicks import click_schema, click_table
from tests.unit.sessions import session_model, session_table
from tests.unit.training.test_model import trainer


def model_of(output: torch.nn.Module) -> mm.Model:
    torch.manual_seed(0)
    inputs = mm.TabularInputBlock(click_schema(), embedding_dim=8)
    return mm.Model(inputs, mm.MLPBlock([16]), output, optimizer=mm.OptimizerConfig(lr=0.02))


def loader(table: pa.Table | None = None) -> mm.ParquetLoader:
    data = click_table() if table is None else table
    return mm.ParquetLoader(data, click_schema(), batch_size=32, shuffle=True)


def test_a_click_is_learned_and_predicted(tmp_path: Path) -> None:
    model = model_of(BinaryOutput("click"))
    run = trainer(max_epochs=15)
    run.fit(model, loader(), loader(click_table(50, seed=1)))
    figures = run.validate(model, loader(click_table(50, seed=1)), verbose=False)[0]
    assert figures["val_click_auc"] > 0.95
    assert figures["val_click_accuracy"] > 0.9
    assert figures["val_click_log_loss"] == pytest.approx(figures["val_loss"], abs=1e-4)
    table = click_table(50, seed=2)
    unlabelled = table.drop_columns(["click", "rating", "weight"])
    answers = model.predict(unlabelled, keys=["user_id", "item_id"], batch_size=7)
    assert answers.column_names == ["user_id", "item_id", "click_score"]
    assert answers["user_id"].equals(table["user_id"])
    said = [score > 0.5 for score in answers["click_score"].to_pylist()]
    assert sum(a == bool(b) for a, b in zip(said, table["click"].to_pylist(), strict=True)) > 45
    again = mm.load(model.save(tmp_path / "model"))
    assert again.predict(unlabelled, batch_size=7)["click_score"].equals(answers["click_score"])


def test_a_rating_is_learned() -> None:
    model = model_of(RegressionOutput("rating"))
    run = trainer(max_epochs=15)
    run.fit(model, loader())
    figures = run.test(model, loader(click_table(50, seed=1)), verbose=False)[0]
    assert figures["test_rating_rmse"] < 0.3
    assert figures["test_rating_rmse"] ** 2 == pytest.approx(figures["test_rating_mse"], abs=1e-5)
    assert figures["test_rating_mse"] == pytest.approx(figures["test_loss"], abs=1e-5)


def test_items_and_scores_are_asked_for_each_in_its_way() -> None:
    model = model_of(BinaryOutput("click"))
    with pytest.raises(ValueError, match="k is 3, but BinaryOutput gives scores and no items"):
        model.predict(click_table(), k=3)
    with pytest.raises(TypeError, match=r"BinaryOutput does not answer with items: use scores\(\)"):
        model.topk(next(iter(loader())), k=3)
    with pytest.raises(ValueError, match="k is not given"):
        session_model().predict(session_table())
    with pytest.raises(TypeError, match=r"CategoricalOutput answers with items: use topk\(\)"):
        session_model().scores(next(iter(loader())))


def test_several_input_blocks_each_get_their_columns() -> None:
    torch.manual_seed(0)
    schema = click_schema()
    wide = mm.TabularInputBlock(schema.select_by_name(["item_id", "age"]), embedding_dim=1)
    deep = mm.Block(mm.TabularInputBlock(schema.select_by_name(["user_id", "age"])), mm.MLPBlock([2]))
    model = mm.Model(mm.ParallelBlock({"wide": wide, "deep": deep}), mm.MLPBlock([4]), BinaryOutput("click"))
    assert sorted(model.schema.column_names) == ["age", "item_id", "user_id"]
    batch = next(iter(loader()))
    parts = torch.cat([deep(batch), wide(batch)], -1)
    torch.testing.assert_close(model(batch), model.output(model.body[1](parts), batch))


def test_keys_that_the_model_reads_by_a_vocabulary_are_answered_in_their_original_form() -> None:
    model = model_of(BinaryOutput("click"))
    table = click_table(9)
    plain = model.predict(table, keys=["user_id", "item_id"])
    model.vocabularies["user_id"] = mm.Vocabulary(
        pa.array([f"user {code}" for code in range(1, 13)]), first=1
    )
    named = model.predict(table, keys=["user_id", "item_id"])
    assert named["user_id"].to_pylist() == [f"user {code}" for code in table["user_id"].to_pylist()]
    assert named.drop_columns("user_id").equals(plain.drop_columns("user_id"))
