"""Several targets in one model: the loss is the sum of theirs, each keeps its names."""

from pathlib import Path

import pyarrow as pa
import pytest
import torch

import merlin_models_torch as mm
from merlin_models_torch.schema import ColumnSchema, Schema, Tags
from tests.unit.clicks import click_schema, click_table
from tests.unit.schemas import categorical
from tests.unit.sessions import session_table
from tests.unit.training.test_model import trainer


def loader(rows: int = 90, seed: int = 0) -> mm.ParquetLoader:
    return mm.ParquetLoader(click_table(rows, seed=seed), click_schema(), batch_size=32, shuffle=True)


def model_of(*between: torch.nn.Module, **options: object) -> mm.Model:
    torch.manual_seed(0)
    inputs = mm.TabularInputBlock(click_schema(), embedding_dim=8)
    output = mm.TabularOutputBlock(click_schema(), **options)  # type: ignore[arg-type]
    blocks = between or (mm.MLPBlock([16]),)
    return mm.Model(inputs, *blocks, output, optimizer=mm.OptimizerConfig(lr=0.02))


def test_each_target_gets_the_output_of_its_tag() -> None:
    columns = [
        ColumnSchema("a", tags=[Tags.BINARY], dtype="int64"),
        ColumnSchema("b", tags=[Tags.TARGET, Tags.REGRESSION], dtype="float32"),
        categorical("c", 4, Tags.MULTI_CLASS_CLASSIFICATION, lists=False),
        ColumnSchema("d", tags=[Tags.CONTINUOUS], dtype="float32"),
    ]
    outputs = mm.TabularOutputBlock(Schema(columns), weight="w").outputs
    kinds = {name: type(output) for name, output in outputs.items()}
    assert kinds == {"a": mm.BinaryOutput, "b": mm.RegressionOutput, "c": mm.ClassificationOutput}
    assert {output.weight for output in outputs.values()} == {"w"}


def test_the_loss_is_the_weighted_sum_of_losses_with_sample_weights() -> None:
    model = model_of(loss_weights={"rating": 3.0}, weight="weight")
    batch = next(iter(loader()))
    hidden = model.body(batch)
    click = torch.nn.functional.binary_cross_entropy_with_logits(
        model(batch)["click"], batch.targets["click"].float(), reduction="none"
    )
    rating = (model(batch)["rating"] - batch.targets["rating"]) ** 2
    weight = batch["weight"]
    expected = (weight * click).sum() / weight.sum() + 3 * (weight * rating).sum() / weight.sum()
    torch.testing.assert_close(model.output.loss(hidden, batch), expected)


def test_the_mean_of_the_losses_is_their_sum_over_the_number_of_targets(tmp_path: Path) -> None:
    added, averaged = (
        model_of(loss_weights={"rating": 3.0}),
        model_of(loss_weights={"rating": 3.0}, reduction="mean"),
    )
    batch = next(iter(loader()))
    total = added.output.loss(added.body(batch), batch)
    torch.testing.assert_close(averaged.output.loss(averaged.body(batch), batch), total / 2)
    assert mm.load(averaged.save(tmp_path / "model")).output.reduction == "mean"
    with pytest.raises(ValueError, match="reduction is 'max', expected 'sum' or 'mean'"):
        model_of(reduction="max")


def test_both_targets_are_learned_logged_predicted_and_saved(tmp_path: Path) -> None:
    model = model_of()
    run = trainer(max_epochs=15)
    run.fit(model, loader())
    figures = run.validate(model, loader(50, 1), verbose=False)[0]
    assert figures["val_click_auc"] > 0.95
    assert figures["val_rating_rmse"] < 0.4
    assert figures["val_loss"] == pytest.approx(
        figures["val_click_loss"] + figures["val_rating_loss"], abs=1e-4
    )
    assert figures["val_rating_loss"] == pytest.approx(figures["val_rating_mse"], abs=1e-4)
    table = click_table(20, seed=2).drop_columns(["click", "rating"])
    answers = model.predict(table)
    assert answers.column_names == ["user_id", "click_score", "rating_score"]
    again = mm.load(model.save(tmp_path / "model"))
    assert again.predict(table).equals(answers)


def test_experts_give_each_target_its_own_vector() -> None:
    towers = mm.ParallelBlock({"click": mm.MLPBlock([4]), "rating": mm.MLPBlock([3])})
    inner = mm.MLPBlock([6])
    model = model_of(inner, towers)
    batch = next(iter(loader()))
    hidden = inner(model.inputs(batch))
    for name, tower in (("click", towers["click"]), ("rating", towers["rating"])):
        expected = model.output.outputs[name].linear(tower(hidden)).squeeze(-1)
        torch.testing.assert_close(model(batch)[name], expected)


def sequence_schema() -> Schema:
    clicked = ColumnSchema(
        "clicked", tags=[Tags.TARGET, Tags.BINARY], dtype="int64", is_list=True, is_ragged=True
    )
    bought = ColumnSchema("bought", tags=[Tags.TARGET, Tags.BINARY], dtype="int64")
    return Schema([categorical("item_id", 30, Tags.ITEM_ID), clicked, bought])


@pytest.mark.parametrize("masking", [None, mm.CausalMasking(), mm.RandomMasking()])
def test_labels_of_positions_and_of_sessions_are_learned_together(masking: mm.Masking | None) -> None:
    table = session_table(40)
    items = table["item_id"].to_pylist()
    columns = {
        "item_id": table["item_id"],
        "clicked": [[item % 2 for item in row] for row in items],
        "bought": [int(row[-1] > 15) for row in items],
    }
    data = mm.ParquetLoader(_table(columns), sequence_schema(), batch_size=8)
    torch.manual_seed(0)
    inputs = mm.TabularInputBlock(sequence_schema(), embedding_dim=8, masking=masking, max_sequence_length=5)
    model = mm.Model(
        inputs,
        mm.MLPBlock([16]),
        mm.TabularOutputBlock(sequence_schema()),
        optimizer=mm.OptimizerConfig(lr=0.03),
    )
    run = trainer(max_epochs=20)
    run.fit(model, data)
    figures = run.validate(model, data, verbose=False)[0]
    assert figures["val_clicked_auc"] > 0.95
    if not isinstance(
        masking, mm.RandomMasking
    ):  # its last position is the appended one, which sees nothing here
        assert figures["val_bought_auc"] > 0.95
    answers = model.predict(_table({"item_id": table["item_id"]}))
    assert [len(row) for row in answers["clicked_score"].to_pylist()] == [min(len(row), 5) for row in items]
    said = [[score > 0.5 for score in row] for row in answers["clicked_score"].to_pylist()]
    right = [
        a == bool(b % 2)
        for row, own in zip(said, items, strict=True)
        for a, b in zip(row, own[-5:], strict=True)
    ]
    assert sum(right) / len(right) > 0.9


def _table(columns: dict[str, object]) -> pa.Table:
    return pa.table(columns)


def test_padding_changes_no_answer_of_a_session() -> None:
    torch.manual_seed(0)
    inputs = mm.TabularInputBlock(sequence_schema(), embedding_dim=8)
    body = mm.TransformerBlock(8, heads=2, layers=1, max_length=20)
    model = mm.Model(inputs, body, mm.BinaryOutput("bought", summary="mean")).eval()
    batch = next(iter(mm.ParquetLoader(session_table(10), model.schema, batch_size=10)))
    scores = []
    for width in (None, 15):
        model.inputs.pad_to = width
        scores.append(model.scores(batch)["bought_score"])
    torch.testing.assert_close(scores[0], scores[1])


def walk_schema() -> Schema:
    return sequence_schema().select_by_name(["item_id", "bought"])


def next_and_bought(masking: mm.Masking) -> mm.Model:
    torch.manual_seed(0)
    inputs = mm.TabularInputBlock(walk_schema(), embedding_dim=8, masking=masking, max_sequence_length=6)
    return mm.Model(
        inputs,
        mm.TransformerBlock(8, heads=2, layers=1, max_length=8, dropout=0.0),
        mm.TabularOutputBlock(
            [
                mm.CategoricalOutput(weight_tying=True, metrics=("recall", "coverage"), top_ks=(2, 5)),
                mm.BinaryOutput("bought"),
            ],
            loss_weights={"bought": 0.5},
        ),
        optimizer=mm.OptimizerConfig(lr=0.02),
    )


def walk_table(rows: int = 40) -> pa.Table:
    """Each item is followed by the next one, and long sessions end in a purchase."""
    lengths = [2 + row % 8 for row in range(rows)]
    items = [[1 + (row + step) % 30 for step in range(length)] for row, length in enumerate(lengths)]
    return pa.table({"item_id": items, "bought": [int(length > 5) for length in lengths]})


@pytest.mark.parametrize("masking", [mm.CausalMasking(), mm.RandomMasking()])
def test_the_next_item_is_learned_beside_a_label(masking: mm.Masking, tmp_path: Path) -> None:
    model = next_and_bought(masking)
    assert model.output.needs_plan
    data = mm.ParquetLoader(walk_table(), walk_schema(), targets=["bought"], batch_size=8)
    planned = model.inputs.for_training(next(iter(data)), generator=torch.Generator().manual_seed(0))
    hidden = model.body(planned)
    losses = model.output.losses(hidden, planned)
    items, bought = model.output.outputs["next_item"], model.output.outputs["bought"]
    torch.testing.assert_close(losses["next_item"], items.loss(hidden, planned))
    torch.testing.assert_close(
        model.output.loss(hidden, planned), losses["next_item"] + 0.5 * bought.loss(hidden, planned)
    )
    run = trainer(max_epochs=25)
    run.fit(model, data)
    figures = run.validate(model, data, verbose=False)[0]
    assert figures["val_recall_at_5"] > 0.6
    assert figures["val_bought_auc"] > 0.6
    assert 0 < figures["val_coverage_at_5"] <= 1
    assert {"val_next_item_loss", "val_bought_loss", "val_loss"} <= set(figures)
    answers = model.predict(walk_table())
    assert answers.column_names == ["row", "item_id", "item_id_score", "bought_score"]
    assert all(len(row) == 5 for row in answers["item_id"].to_pylist())
    model.save(tmp_path / "model")
    assert mm.load(tmp_path / "model").predict(walk_table()).equals(answers)


@pytest.mark.parametrize("masking", [mm.CausalMasking(), mm.RandomMasking()])
@pytest.mark.parametrize("together", [1, 40])
def test_evaluation_of_both_is_prediction_without_the_last_item(masking: mm.Masking, together: int) -> None:
    model = next_and_bought(masking).eval()
    table = walk_table()
    shorter = table.set_column(0, "item_id", [[row[:-1] for row in table["item_id"].to_pylist()]])
    expected = model.predict(shorter)
    found = []
    for batch in mm.ParquetLoader(table, walk_schema(), targets=["bought"], batch_size=together):
        planned = model.inputs.for_evaluation(batch)
        columns = model.output.predictions(
            model.body(planned.with_features({"bought": batch.targets["bought"]})), planned
        )
        found += columns["bought_score"].tolist()
    assert found == pytest.approx(expected["bought_score"].to_pylist(), abs=1e-6)


def test_items_are_answered_by_their_original_ids() -> None:
    model = next_and_bought(mm.CausalMasking()).eval()
    codes = model.predict(walk_table())["item_id"].to_pylist()
    model.vocabularies["item_id"] = mm.Vocabulary(
        pa.array([f"item {code}" for code in range(1, 31)]), first=1
    )
    named = model.predict(walk_table())["item_id"].to_pylist()
    assert named == [[f"item {code}" for code in row] for row in codes]


def test_padding_and_unknown_are_no_answers() -> None:
    model = next_and_bought(mm.CausalMasking()).eval()
    items = model.output.outputs["next_item"]
    with torch.no_grad():  # row 1, "unknown" of the vocabulary below, would be the best answer to all
        model.inputs.item_table.weight[1] = 100 * model.inputs.item_table.weight[1].sign()
    batch = next(iter(mm.ParquetLoader(walk_table(), walk_schema(), batch_size=40)))
    plain = model.scores(batch)["item_id"].values
    assert (plain == 1).any()
    model.vocabularies["item_id"] = mm.Vocabulary(pa.array([f"item {code}" for code in range(2, 31)]))
    named = model.predict(walk_table())["item_id"].to_pylist()
    assert all(None not in row and len(row) == max(items.top_ks) for row in named)


def test_items_of_another_domain_have_never_answered_rows_of_their_own() -> None:
    """Two rows of the input's vocabulary are no items, four of the other's; what was seen is of the input."""
    torch.manual_seed(0)
    shop = categorical("shop", 12, lists=False)
    inputs = mm.TabularInputBlock(
        walk_schema(), embedding_dim=8, masking=mm.CausalMasking(), max_sequence_length=6
    )
    model = mm.Model(
        inputs,
        mm.TransformerBlock(8, heads=2, layers=1, max_length=8, dropout=0.0),
        mm.TabularOutputBlock(
            [mm.CategoricalOutput(weight_tying=True, top_ks=(28,)), mm.CategoricalOutput(target=shop)]
        ),
        vocabularies={
            "item_id": mm.Vocabulary(pa.array([f"item {row}" for row in range(2, 31)])),
            "shop": mm.Vocabulary(pa.array([f"shop {row}" for row in range(4, 13)]), first=4),
        },
    )
    answers = model.predict(walk_table(), exclude_seen=True)
    shown = [{f"item {item}" for item in row} for row in walk_table()["item_id"].to_pylist()]
    for row, seen in zip(answers["item_id"].to_pylist(), shown, strict=True):
        assert not seen & set(row)
    for row in answers["shop"].to_pylist():
        assert set(row) == {f"shop {code}" for code in range(4, 13)}


def test_errors_say_what_to_do() -> None:
    shop = categorical("shop", 12, lists=False)
    inputs = mm.TabularInputBlock(
        walk_schema(), embedding_dim=8, masking=mm.CausalMasking(), max_sequence_length=6
    )
    with pytest.raises(ValueError, match="exclude_seen leaves out items of 'item_id', but the target 'shop'"):
        mm.Model(inputs, mm.MLPBlock([8]), mm.CategoricalOutput(target=shop, exclude_seen=True))
    with pytest.raises(ValueError, match=r"no column of \['weight'\] is a target: tag them with"):
        mm.TabularOutputBlock(click_schema().select("weight"))
    with pytest.raises(ValueError, match="there is no output: give at least one"):
        mm.TabularOutputBlock([])
    with pytest.raises(ValueError, match="two outputs have the target 'click'"):
        mm.TabularOutputBlock([mm.BinaryOutput("click"), mm.RegressionOutput("click")])
    with pytest.raises(TypeError, match="TabularOutputBlock has no column of labels"):
        mm.TabularOutputBlock([mm.TabularOutputBlock([mm.BinaryOutput("a")])])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="exclude_seen is for a CategoricalOutput that is a model's only"):
        mm.TabularOutputBlock([mm.CategoricalOutput(exclude_seen=True)])
    with pytest.raises(ValueError, match="two outputs have the target 'next_item'"):
        mm.TabularOutputBlock([mm.CategoricalOutput(), mm.CategoricalOutput()])
    with pytest.raises(
        ValueError, match=r"loss_weights has 'clik', but the targets are \['click', 'rating'\]"
    ):
        model_of(loss_weights={"clik": 2.0})
    with pytest.raises(ValueError, match="the loss weight of 'click' is -1, expected 0 or more"):
        model_of(loss_weights={"click": -1})
    with pytest.raises(ValueError, match="weight 'w' is for outputs made from a schema"):
        mm.TabularOutputBlock([mm.BinaryOutput("click")], weight="w")
    with pytest.raises(ValueError, match="the body gives click, other, but none for target 'rating'"):
        model_of(mm.ParallelBlock({"click": mm.MLPBlock([2]), "other": mm.MLPBlock([2])}))
