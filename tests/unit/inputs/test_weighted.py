"""Means weighted by another list column, by hand, through loaders, models, selections and exports."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

import merlin_models_torch as mm
from merlin_models_torch.data.errors import RowError
from merlin_models_torch.exporting.reader import ExportedModel, RequestError
from merlin_models_torch.schema import ColumnSchema, Schema, SchemaError, Tags
from tests.unit.schemas import categorical, continuous

GENRES = categorical("genres", 3, Tags.USER)
SHARES = continuous("shares", Tags.USER)
SCHEMA = Schema([GENRES, SHARES])
# A mean, a padding id among the ids, an empty list, and weights of which all are 0.
ROWS = {"genres": [[1, 2], [0, 3, 2], [], [3]], "shares": [[3.0, 1.0], [9.0, 2.0, 2.0], [], [0.0]]}
VECTORS = torch.tensor([[0.0, 0.0], [1.0, 10.0], [5.0, 50.0], [-1.0, 7.0]])
MEANS = torch.tensor([[2.0, 20.0], [2.0, 28.5], [0.0, 0.0], [0.0, 0.0]])


def ragged(lists: list[list[Any]], dtype: torch.dtype) -> mm.Ragged:
    values = torch.tensor([value for one in lists for value in one], dtype=dtype)
    return mm.Ragged(values, torch.tensor([0, *np.cumsum([len(one) for one in lists])]))


def batch(**columns: list[list[Any]]) -> mm.Batch:
    dtypes = {"genres": torch.int64, "shares": torch.float32, "spent": torch.float32}
    return mm.Batch({name: ragged(lists, dtypes[name]) for name, lists in columns.items()})


def block(schema: Schema = SCHEMA, **options: Any) -> mm.TabularInputBlock:
    options = {"combiner": {"genres": mm.WeightedMean("shares")}, "embedding_dim": 2, **options}
    made = mm.TabularInputBlock(schema, **options)
    with torch.no_grad():
        made.tables["genres"].weight.copy_(VECTORS)
    return made


def test_values_by_hand_and_the_weights_are_no_input() -> None:
    inputs = block()
    torch.testing.assert_close(inputs(batch(**ROWS)), MEANS)
    assert inputs.continuous == []
    assert inputs.schema.column_names == ["genres", "shares"]
    for_all = block(combiner=mm.WeightedMean("shares"))
    torch.testing.assert_close(for_all(batch(**ROWS)), MEANS)
    held = block(combiner={"genres": mm.ListCombiner(mm.WeightedMean("shares"), dim=2)})
    torch.testing.assert_close(held(batch(**ROWS)), MEANS)


def test_equal_weights_are_the_mean_and_their_scale_does_not_matter() -> None:
    lists = [[1, 2, 3], [2], [3, 1]]
    plain = block(combiner={"genres": "mean", "shares": "mean"})
    wanted = plain(batch(genres=lists, shares=[[0.0] * 3, [0.0], [0.0] * 2]))[:, :2]
    for scale in (1e-30, 1.0, 1e30):
        shares = [[scale] * len(one) for one in lists]
        torch.testing.assert_close(block()(batch(genres=lists, shares=shares)), wanted)


def test_matrices_answer_as_ragged_columns_do() -> None:
    padded = {name: column.padded() for name, column in batch(**ROWS).features.items()}  # type: ignore[union-attr]
    torch.testing.assert_close(block()(mm.Batch(padded)), MEANS)
    with pytest.raises(
        ValueError, match=r"'genres' is a matrix \(4, 3\) and its weights 'shares' are \(4, 2\)"
    ):
        block()(mm.Batch({**padded, "shares": padded["shares"][:, :2]}))


def test_gradients_are_the_shares() -> None:
    inputs = block()
    inputs(batch(genres=[[1, 2, 1]], shares=[[1.0, 2.0, 1.0]])).sum().backward()
    expected = torch.tensor([[0.0], [0.5], [0.5], [0.0]]).expand(4, 2)
    torch.testing.assert_close(inputs.tables["genres"].weight.grad, expected)


def test_lists_of_numbers_are_weighted_too_and_zeros_are_numbers() -> None:
    schema = Schema([GENRES, continuous("spent"), SHARES])
    inputs = block(schema, combiner=mm.WeightedMean("shares"))
    rows = batch(genres=[[1, 2], []], spent=[[0.0, 8.0], []], shares=[[3.0, 1.0], []])
    torch.testing.assert_close(inputs(rows), torch.tensor([[2.0, 20.0, 2.0], [0.0, 0.0, 0.0]]))


def test_lists_inside_lists_have_a_weight_for_each_inner_value() -> None:
    dims = {"dims": (None, None, None)}
    schema = Schema(
        [
            categorical("item_id", 5, Tags.ITEM_ID),
            ColumnSchema(
                "genres", tags=[Tags.CATEGORICAL], dtype="int64", properties=GENRES.properties, **dims
            ),
            ColumnSchema("shares", tags=[Tags.CONTINUOUS], dtype="float32", **dims),
        ]
    )
    table = pa.table(
        {
            "item_id": [[1, 2], [3]],
            "genres": [[[1, 2], [3]], [[]]],
            "shares": pa.array([[[3.0, 1.0], [4.0]], [[]]], pa.list_(pa.list_(pa.float32()))),
        }
    )
    inputs = block(schema)
    rows = next(iter(mm.ParquetLoader(table, schema, batch_size=2)))
    found = inputs.vectors(inputs.prepare(rows)[0])
    assert found.keys() == {"item_id", "genres"}
    wanted = torch.tensor([[[2.0, 20.0], [-1.0, 7.0]], [[0.0, 0.0], [0.0, 0.0]]])
    torch.testing.assert_close(found["genres"], wanted)


def test_crosses_of_the_list_are_weighted_as_it_is() -> None:
    user = categorical("country", 2, lists=False)
    crosses = {"both": mm.HashedCross(["genres", "country"], bins=50)}
    inputs = block(Schema([user, GENRES, SHARES]), crosses=crosses)
    rows = batch(genres=[[1, 2]], shares=[[3.0, 1.0]]).with_features({"country": torch.tensor([2])})
    ids = inputs.crosses["both"]({"genres": torch.tensor([[1, 2]]), "country": torch.tensor([2])})
    first, second = inputs.tables["both"].weight[ids[0]]
    torch.testing.assert_close(inputs.vectors(rows)["both"][0], 0.75 * first + 0.25 * second)


def test_noise_swaps_ids_and_leaves_their_weights() -> None:
    inputs = block(swap_noise=1.0)
    rows = batch(**ROWS)
    ready = inputs.for_training(rows, generator=torch.Generator().manual_seed(0))
    assert torch.equal(ready["shares"].values, rows["shares"].values)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("columns", "options", "text"),
    [
        (
            [GENRES],
            {},
            r"the combiner of 'genres' takes its weights from 'shares', expected a continuous column",
        ),
        (
            [GENRES, continuous("shares", lists=False)],
            {},
            r"lists like its own, of which there are \[\]",
        ),
        (
            [GENRES, categorical("shares", 3), continuous("spent")],
            {},
            r"of which there are \['spent'\]: check the name, its tags and is_list",
        ),
        (
            [GENRES, SHARES],
            {"combiner": {"genres": mm.WeightedMean("shares"), "shares": "mean"}},
            "'shares' holds the weights of 'genres' and has a combiner too: leave that out",
        ),
        (
            [GENRES, SHARES],
            {"embeddings": {"shares": mm.SoftEmbedding(2)}},
            "'shares' holds the weights of 'genres' and has a module too: leave that out",
        ),
        (
            [GENRES, SHARES],
            {"embeddings": {"genres": mm.EmbeddingTable(GENRES, 2, combiner="sum")}},
            "the combiner of 'genres' is weighted, and the module of the column makes one vector",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    columns: list[ColumnSchema], options: dict[str, Any], text: str
) -> None:
    with pytest.raises(ValueError, match=text):
        block(Schema(columns), **options)


def test_other_errors_say_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"a table does not see that column: give it to TabularInputBlock\("):
        mm.EmbeddingTable(GENRES, 2, combiner=mm.WeightedMean("shares"))
    with pytest.raises(TypeError, match="weights is 3, expected the name of a list column"):
        mm.WeightedMean(3)  # type: ignore[arg-type]
    with pytest.raises(
        ValueError, match="column 'shares' has the weight -2, expected 0 or more: mend the data"
    ):
        block()(batch(genres=[[1, 2]], shares=[[3.0, -2.0]]))
    with pytest.raises(
        RowError, match="row 1 of the batch has 2 values in list column 'genres' and 1 weights in"
    ):
        block()(batch(genres=[[1], [1, 2]], shares=[[1.0], [1.0]]))


def model() -> mm.Model:
    torch.manual_seed(0)
    columns = [categorical("user_id", 9, Tags.USER_ID, lists=False), GENRES, SHARES]
    inputs = mm.TabularInputBlock(
        Schema(columns), embedding_dim=4, combiner={"genres": mm.WeightedMean("shares")}
    )
    return mm.Model(inputs, mm.MLPBlock([8]), mm.BinaryOutput("click")).eval()


TABLE = pa.table({"user_id": [1, 2, 3, 4], **ROWS})


def test_a_saved_model_and_its_export_answer_with_both_lists(tmp_path: Path) -> None:
    whole = model()
    expected = whole.predict(TABLE)["click_score"].to_pylist()
    other = pa.table({"user_id": [1, 2, 3, 4], **ROWS, "shares": [[1.0, 1.0], [9.0, 2.0, 7.0], [], [0.0]]})
    assert whole.predict(other)["click_score"].to_pylist()[:2] != pytest.approx(expected[:2], abs=1e-4)
    assert mm.load(whole.save(tmp_path / "saved")).predict(TABLE)["click_score"].to_pylist() == expected
    with pytest.raises(
        ValueError, match=r"row 1 of the table has 3 values in list column 'genres' and 2 weights"
    ):
        whole.predict(TABLE.set_column(2, "shares", [[[1.0, 1.0], [1.0, 1.0], [], [1.0]]]))

    exported = ExportedModel(mm.export(whole, tmp_path / "exported"))
    dims = {one["name"]: one["dims"] for one in exported.signature["inputs"]}
    assert dims == {
        "user_id": ["batch"],
        "genres": ["batch", "genres_length"],
        "shares": ["batch", "genres_length"],
    }
    answers = exported.answer(TABLE.to_pylist())
    assert [one["click_score"] for one in answers] == pytest.approx(expected, abs=1e-6)
    for number, score in enumerate(expected):
        alone = exported.answer(TABLE.slice(number, 1).to_pylist())
        assert alone[0]["click_score"] == pytest.approx(score, abs=1e-6)
    with pytest.raises(RequestError, match="column 'shares' has 1 values and another of the same"):
        exported.answer([{"user_id": 1, "genres": [1, 2], "shares": [1.0]}])


def test_a_list_is_selected_with_its_weights() -> None:
    whole = model()
    part = whole.select(["genres", "shares"])
    rows = next(iter(mm.ParquetLoader(TABLE, whole.schema, batch_size=4)))
    torch.testing.assert_close(part(rows), whole.inputs.vectors(rows)["genres"])
    for one in ("genres", "shares"):
        with pytest.raises(SchemaError, match="'genres' is weighted by 'shares', and only one"):
            whole.select(["user_id", one])
    assert whole.select("user_id").schema.column_names == ["user_id"]


@pytest.mark.parametrize("build", [mm.DLRMModel, mm.DCNModel, mm.DeepFMModel, mm.WideAndDeepModel])
def test_builders_take_combiners_by_name(build: Any) -> None:
    """The other list keeps the mean, and a weight changes what its list gives."""
    schema = Schema(
        [
            categorical("user_id", 9, Tags.USER_ID, lists=False),
            GENRES,
            SHARES,
            categorical("words", 4),
            ColumnSchema("click", tags=[Tags.TARGET, Tags.BINARY], dtype="int64"),
        ]
    )
    torch.manual_seed(0)
    widths = {"bottom": [4]} if build is mm.DLRMModel else {}
    widths |= {"wide": ["user_id", "genres", "shares"]} if build is mm.WideAndDeepModel else {}
    made = build(schema, embedding_dim=4, combiner={"genres": mm.WeightedMean("shares")}, **widths).eval()
    table = TABLE.append_column("words", [[[1], [2, 3], [], [4]]])
    first = made.predict(table)["click_score"].to_pylist()
    double = table.set_column(2, "shares", [[[2 * w for w in row] for row in ROWS["shares"]]])
    assert made.predict(double)["click_score"].to_pylist() == pytest.approx(first, abs=1e-6)
    changed = table.set_column(2, "shares", [[[1.0, 9.0], *ROWS["shares"][1:]]])
    assert made.predict(changed)["click_score"].to_pylist()[0] != first[0]
    with pytest.raises(ValueError, match=r"combiner names 'tags', but the list columns are \['genres'"):
        build(schema, combiner={"tags": "mean"})


def test_each_tower_takes_the_combiners_of_its_lists() -> None:
    schema = Schema(
        [
            GENRES,
            SHARES,
            categorical("words", 4, Tags.ITEM),
            categorical("item_id", 5, Tags.ITEM_ID, lists=False),
        ]
    )
    towers = mm.TwoTowerModel(
        schema, embedding_dim=4, units=[4], combiner={"genres": mm.WeightedMean("shares"), "words": "max"}
    )
    query, candidate = towers.input_blocks
    assert query.list_weights == {"genres": "shares"}
    assert candidate.list_weights == {}
    assert candidate.combiners["words"].how == "max"
