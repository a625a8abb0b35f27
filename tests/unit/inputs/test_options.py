"""Options of TabularInputBlock: each by what it should compute, and in models that are saved and loaded."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn

import merlin_models_torch as mm
from merlin_models_torch.training.sample import sample_batch
from tests.unit.schemas import ITEMS, categorical, continuous, session_schema
from tests.unit.sessions import session_batch, session_table

WORDS = categorical("words", 9)


def built(**options: object) -> tuple[mm.TabularInputBlock, mm.Batch, dict[str, torch.Tensor]]:
    torch.manual_seed(0)
    inputs = mm.TabularInputBlock(session_schema(), embedding_dim=4, **options)  # type: ignore[arg-type]
    batch, _ = inputs.prepare(session_batch(6))
    inputs(batch)
    return inputs, batch, inputs.vectors(batch)


def test_a_module_stands_in_for_a_table_or_a_number() -> None:
    soft, hot = mm.SoftEmbedding(3), mm.OneHot(5)
    inputs, batch, vectors = built(embeddings={"price": soft, "country": hot})
    assert sorted(inputs.tables) == ["category", "item_id"]
    assert torch.equal(vectors["price"], soft(batch["price"]))
    assert torch.equal(vectors["country"], hot(batch["country"]))


def test_one_module_for_several_columns_is_held_once() -> None:
    schema = mm.Schema([categorical("first", 5), categorical("second", 3)])
    table = mm.EmbeddingTable(schema, 4)
    inputs = mm.TabularInputBlock(schema, embeddings={"first": table, "second": table}, aggregation="sum")
    assert list(inputs.state_dict()) == ["embeddings.first.weight"]
    ids = torch.tensor([[1, 2]])
    expected = table.weight[ids] + table.weight[ids + 5]
    torch.testing.assert_close(inputs(mm.Batch({"first": ids, "second": ids})), expected)


def test_extra_vectors_stand_beside_the_table() -> None:
    extra = mm.OneHot(ITEMS + 1)
    inputs, batch, vectors = built(extra_embeddings={"item_id": extra})
    assert torch.equal(vectors["item_id_extra"], extra(batch["item_id"]))
    assert torch.equal(vectors["item_id"], inputs.item_table(batch["item_id"]))


def test_a_cross_is_a_column_with_a_table() -> None:
    cross = mm.HashedCross(["country", "category"], bins=50)
    inputs, batch, vectors = built(crosses={"both": cross})
    assert torch.equal(vectors["both"], inputs.tables["both"].weight[cross(batch)])
    with pytest.raises(ValueError, match=r"the cross 'x' of \['country', 'age'\] needs categorical columns"):
        built(crosses={"x": mm.HashedCross(["country", "age"], bins=5)})


def test_a_cross_with_a_combined_list_is_combined_as_the_list_is() -> None:
    cross = mm.HashedCross(["country", "category"], bins=50)
    combiner = {"category": "mean", "item_id": "mean", "age": "mean", "price": "mean"}
    inputs, batch, vectors = built(crosses={"both": cross}, combiner=combiner)
    categories = batch["category"]
    assert isinstance(categories, mm.Ragged)
    for row, vector in enumerate(vectors["both"]):
        values = categories.values[categories.offsets[row] : categories.offsets[row + 1]]
        ids = cross({"country": batch["country"][row].expand(len(values)), "category": values})
        torch.testing.assert_close(vector, inputs.tables["both"].weight[ids].mean(0))
    lists = mm.HashedCross(["item_id", "category"], bins=5)
    for some in (combiner, {"category": "mean"}):
        with pytest.raises(
            ValueError, match=r"has the combined list '(item_id|category)' beside another list"
        ):
            built(crosses={"x": lists}, combiner=some)


@pytest.mark.parametrize("how", ["mean", "sum", "sqrtn", "max", "attention"])
def test_lists_become_one_vector_of_the_row(how: str) -> None:
    inputs, _, vectors = built(combiner=how)
    assert inputs.sequences == []
    batch = session_batch(6)
    items, ages = batch["item_id"], batch["age"]
    assert isinstance(items, mm.Ragged)
    assert isinstance(ages, mm.Ragged)
    for row in range(6):
        part = slice(int(items.offsets[row]), int(items.offsets[row + 1]))
        rows, numbers = inputs.item_table.weight[items.values[part]], ages.values[part, None]
        for name, values in {"item_id": rows, "age": numbers}.items():
            expected = {
                "sum": values.sum(0),
                "sqrtn": values.sum(0) / len(values) ** 0.5,
                "max": values.amax(0),
            }.get(how, values.mean(0))
            torch.testing.assert_close(vectors[name][row], expected)


def test_one_list_is_combined_beside_a_sequence_of_another_length() -> None:
    schema = mm.Schema([*session_schema(), WORDS])
    inputs = mm.TabularInputBlock(schema, embedding_dim=4, combiner={"words": "sum"})
    words = mm.Ragged(torch.tensor([1, 2, 3]), torch.tensor([0, 0, 1, 3]))
    batch = session_batch(3).with_features({"words": words})
    prepared, _ = inputs.prepare(batch)
    vectors = inputs.vectors(prepared)["words"]
    weight = inputs.tables["words"].weight
    torch.testing.assert_close(vectors, torch.stack([0 * weight[0], weight[1], weight[2] + weight[3]]))
    outputs = inputs(prepared)
    torch.testing.assert_close(outputs[..., -4:], vectors[:, None].expand(-1, outputs.shape[1], -1))


def test_lists_inside_lists_are_pooled_at_each_position() -> None:
    column = mm.ColumnSchema(
        "tags", WORDS.tags, {"domain": {"min": 0, "max": 9}}, "int64", dims=(None, (0, 4), 2)
    )
    schema = mm.Schema([categorical("item_id", ITEMS, mm.Tags.ITEM_ID), column])
    nested = mm.Ragged(torch.tensor([[1, 2], [3, 0], [4, 5]]), torch.tensor([0, 2, 3]))
    ids = mm.Ragged(torch.tensor([1, 2, 3]), torch.tensor([0, 2, 3]))
    for how, both in {"mean": 0.5, "sum": 1.0}.items():
        inputs = mm.TabularInputBlock(
            schema,
            embedding_dim=4,
            combiner=None if how == "mean" else {"tags": "sum"},
            masking=mm.CausalMasking(),
        )
        planned = inputs.for_prediction(mm.Batch({"item_id": ids, "tags": nested}))
        weight = inputs.tables["tags"].weight
        found = inputs.vectors(planned)["tags"]
        torch.testing.assert_close(found[0, 0], both * (weight[1] + weight[2]))
        torch.testing.assert_close(found[0, 1], weight[3])
        torch.testing.assert_close(found[1, 0], both * (weight[4] + weight[5]))
        assert not found[1, 1].any()


def test_context_is_left_out_or_given_apart() -> None:
    inputs, batch, vectors = built(context="late", continuous_projection=3)
    assert torch.equal(
        inputs(batch),
        torch.cat([vectors["category"], vectors["continuous_projection"], vectors["item_id"]], -1),
    )
    assert sorted(inputs.tables) == ["category", "item_id"]
    with pytest.raises(ValueError, match="column 'country' has a module and is left out by context='late'"):
        built(context="late", embeddings={"country": mm.OneHot(5)})
    stack, batch, vectors = built(context="stack")
    found = stack(batch)
    assert torch.equal(found["context"], vectors["country"][:, None])
    assert torch.equal(
        found["sequence"], torch.cat([vectors[n] for n in ("age", "category", "item_id", "price")], -1)
    )


def test_columns_are_stacked_or_joined_by_a_module() -> None:
    schema = session_schema().excluding(["age", "price"])
    joined = {}
    for aggregation in ("stack", mm.Stack(), mm.ElementwiseSumItemMulti()):
        torch.manual_seed(0)
        inputs = mm.TabularInputBlock(schema, embedding_dim=4, aggregation=aggregation)  # type: ignore[arg-type]
        batch, _ = inputs.prepare(session_batch(6))
        joined[type(aggregation)] = inputs(batch)
    vectors = inputs.vectors(batch)
    country = vectors["country"][:, None].expand_as(vectors["item_id"])
    assert torch.equal(joined[str], torch.stack([vectors["category"], country, vectors["item_id"]], -2))
    assert torch.equal(joined[mm.Stack], joined[str])
    torch.testing.assert_close(
        joined[mm.ElementwiseSumItemMulti], vectors["item_id"] * (vectors["category"] + country)
    )


def test_norm_dropout_and_noise_act_on_each_column() -> None:
    inputs, batch, vectors = built(layer_norm=True, swap_noise=0.5, feature_dropout=0.5)
    torch.testing.assert_close(
        inputs.eval().vectors(batch)["item_id"],
        nn.functional.layer_norm(inputs.item_table(batch["item_id"]), (4,)),
    )
    assert (vectors["item_id"] == 0).float().mean() > 0.3
    train = inputs.train().for_training(session_batch(6), generator=torch.Generator().manual_seed(0))
    assert not torch.equal(train["item_id"], batch["item_id"])
    assert torch.equal(train["item_id"] == 0, batch["item_id"] == 0)
    assert torch.equal(inputs.for_evaluation(session_batch(6))["item_id"], batch["item_id"])


def test_noise_does_not_reach_the_targets() -> None:
    plain = mm.TabularInputBlock(session_schema(), masking=mm.CausalMasking())
    noisy = mm.TabularInputBlock(session_schema(), masking=mm.CausalMasking(), swap_noise=1.0)
    plans = [block.for_training(session_batch(6)).plan for block in (plain, noisy)]
    assert plans[0] is not None
    assert plans[1] is not None
    assert torch.equal(plans[0].targets, plans[1].targets)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"embeddings names 'brand', but the columns in use are \['item_id'"):
        built(embeddings={"brand": mm.OneHot(3)})
    with pytest.raises(TypeError, match="embeddings of 'item_id' is a int, expected a module"):
        built(embeddings={"item_id": 3})
    with pytest.raises(ValueError, match=r"combiner names 'country', but the list columns are \['age'"):
        built(combiner={"country": "mean"})
    with pytest.raises(ValueError, match=r"masking needs a list column tagged Tags\.ITEM_ID"):
        built(combiner="mean", masking=mm.CausalMasking())
    with pytest.raises(ValueError, match="context must be 'broadcast', 'late' or 'stack', got 'early'"):
        built(context="early")
    with pytest.raises(ValueError, match="aggregation 'stack' keeps columns apart"):
        built(aggregation="stack", masking=mm.CausalMasking())
    with pytest.raises(
        TypeError, match="items are embedded by a OneHot, whose vectors an output cannot share"
    ):
        _ = built(embeddings={"item_id": mm.OneHot(ITEMS + 1)})[0].item_table
    with pytest.raises(TypeError, match="list column 'item_id' is still ragged"):
        mm.TabularInputBlock(session_schema())(session_batch(3))
    with pytest.raises(ValueError, match=r"\['age'\] are not among the categorical columns"):
        built()[0].grow(continuous("age"))


def model(**options: object) -> mm.Model:
    torch.manual_seed(0)
    inputs = mm.TabularInputBlock(
        session_schema(),
        masking=mm.CausalMasking(),
        projection=mm.MLPBlock([16]),
        **{"embedding_dim": 16, **options},  # type: ignore[arg-type]
    )
    body = mm.TransformerBlock(16, heads=2, layers=1, max_length=20)
    blocks: list[nn.Module] = [inputs, body]
    if options.get("context") == "late":
        country = mm.TabularInputBlock(session_schema().select_by_name(["country"]), embedding_dim=4)
        blocks.append(mm.LateFusion(country, projection=mm.MLPBlock([16])))
    if options.get("context") == "stack":
        blocks.insert(1, mm.CrossAttentionBlock(dim=16, heads=2))
    return mm.Model(*blocks, mm.CategoricalOutput(weight_tying=True, top_ks=(5,)))


def vectors_file(folder: Path) -> Path:
    np.save(folder / "v.npy", np.random.default_rng(0).random((ITEMS + 1, 5), dtype=np.float32))
    return folder / "v.npy"


CASES: dict[str, Callable[[Path], dict[str, object]]] = {
    "pretrained beside": lambda folder: {
        "extra_embeddings": {"item_id": mm.PretrainedEmbeddings(vectors_file(folder), dim=4)}
    },
    "pretrained in memory": lambda folder: {
        "extra_embeddings": {"item_id": mm.PretrainedEmbeddings(vectors_file(folder), in_memory=True)}
    },
    "frozen start": lambda folder: {
        "embeddings": {
            "item_id": mm.EmbeddingTable(
                session_schema().select_by_name(["item_id"]),
                weights=torch.randn(ITEMS + 1, 8),
                trainable=False,
            )
        }
    },
    "numbers": lambda folder: {
        "embeddings": {"age": mm.SoftEmbedding(4), "price": mm.ContinuousProjection(3, columns=1)}
    },
    "hot": lambda folder: {"embeddings": {"country": mm.OneHot(5), "category": mm.MultiHot(8)}},
    "cross": lambda folder: {"crosses": {"c": mm.HashedCross(["country", "category"], bins=9)}},
    "combined": lambda folder: {"combiner": {"category": "attention", "price": "max"}},
    "late": lambda folder: {"context": "late"},
    "stack": lambda folder: {"context": "stack"},
    "regular": lambda folder: {"layer_norm": True, "feature_dropout": 0.2, "swap_noise": 0.2, "unknown": 1},
    "sizes": lambda folder: {"embedding_dim": "infer", "continuous_projection": 4},
    "module": lambda folder: {"aggregation": mm.Concat(), "continuous_projection": 4},
}


@pytest.mark.parametrize("case", CASES)
def test_every_option_learns_and_is_saved_and_loaded(case: str, tmp_path: Path) -> None:
    made = model(**CASES[case](tmp_path))
    trained = {n for n, p in made.named_parameters() if p.requires_grad}
    made.train()
    planned = made.inputs.for_training(session_batch(12), generator=torch.Generator().manual_seed(0))
    made.output.loss(made.body(planned), planned).backward()
    learns = {n for n, p in made.named_parameters() if p.grad is not None and p.grad.isfinite().all()}
    assert {n for n in trained if "mask_vector" not in n} <= learns
    made.eval()
    made.save(tmp_path / "model")
    again = mm.load(tmp_path / "model")
    answers = made.predict(session_table(), k=5)
    assert again.predict(session_table(), k=5).equals(answers)


def test_new_items_get_rows_and_old_answers_keep_their_scores(tmp_path: Path) -> None:
    made = model().eval()
    batch = session_batch(6)
    before = made(batch)
    made.inputs.grow(categorical("item_id", ITEMS + 4, mm.Tags.ITEM_ID))
    assert made.inputs.item_cardinality == ITEMS + 5
    after = made(batch)
    torch.testing.assert_close(after[:, : ITEMS + 1], before)
    assert after.shape[1] == ITEMS + 5
    made.save(tmp_path / "grown")
    assert torch.equal(mm.load(tmp_path / "grown")(batch), after)


def test_a_grown_block_of_inferred_widths_is_built_again() -> None:
    inputs = mm.TabularInputBlock(session_schema(), embedding_dim="infer")
    width = inputs.item_table.embedding_dim
    inputs.grow(categorical("item_id", 9_999, mm.Tags.ITEM_ID))
    from merlin_models_torch.serialize import from_config, to_config

    again = from_config(*to_config(inputs))
    assert (again.item_table.num_embeddings, again.item_table.embedding_dim) == (10_000, width)


def test_sparse_tables_have_gradients_of_the_rows_looked_up() -> None:
    inputs = mm.TabularInputBlock(session_schema(), embedding_dim=4, sparse=True)
    batch, _ = inputs.prepare(sample_batch(inputs.schema))
    inputs(batch).sum().backward()
    gradient = inputs.item_table.weight.grad
    assert gradient is not None
    assert gradient.is_sparse
    assert gradient.coalesce().indices().tolist() == [[1]]


def test_widths_of_crosses_are_kept_when_a_block_of_inferred_widths_grows() -> None:
    cross = mm.HashedCross(["country", "category"], bins=500)
    inputs = mm.TabularInputBlock(session_schema(), embedding_dim="infer", crosses={"x": cross})
    inputs.grow(categorical("category", 5_000, mm.Tags.ITEM))
    from merlin_models_torch.serialize import from_config, to_config

    again = from_config(*to_config(inputs))
    again.load_state_dict(inputs.state_dict())
    batch, _ = inputs.prepare(session_batch(6))
    assert torch.equal(again(batch), inputs(batch))


def test_an_exported_block_gives_the_same() -> None:
    class ByPosition(nn.Module):
        def __init__(self, block: nn.Module, names: list[str]) -> None:
            super().__init__()
            self.block, self.names = block, names

        def forward(self, *columns: torch.Tensor) -> torch.Tensor:
            output: torch.Tensor = self.block(mm.Batch(dict(zip(self.names, columns, strict=True))))
            return output

    schema = session_schema()
    inputs, batch, _ = built(
        embeddings={
            "category": mm.EmbeddingTable(schema.select_by_name(["item_id", "category"]), 4, unknown=1),
            "price": mm.SoftEmbedding(4),
        },
        crosses={"x": mm.HashedCross(["country", "category"], bins=9)},
        layer_norm=True,
        continuous_projection=4,
    )
    names = schema.column_names
    columns = tuple(batch.padded(name) for name in names)
    block = ByPosition(inputs.eval(), names)
    exported = torch.export.export(block, columns).module()
    torch.testing.assert_close(exported(*columns), block(*columns))


TAGS = [[[1, 2, 9], [3]], [[4, 5]], [[], [6], [7, 8]], [[2, 2, 3, 1]]]


def _tagged(tmp_path: Path) -> tuple[Path, mm.Schema]:
    """Sessions whose items have tags, more of them in the second row group than in the first."""
    items = [[item + 1 for item in range(len(row))] for row in TAGS]
    table = pa.table({"item_id": items, "tags": pa.array(TAGS, pa.list_(pa.list_(pa.int64())))})
    pq.write_table(table, tmp_path / "sessions.parquet", row_group_size=3)
    return tmp_path / "sessions.parquet", mm.Schema.infer(tmp_path / "sessions.parquet")


@pytest.mark.parametrize("how", ["mean", "sum", "max"])
@pytest.mark.parametrize("memory_limit", [2**20, 0])
def test_inner_lists_of_any_length_go_from_parquet_to_a_vector_of_each_item(
    how: str, memory_limit: int, tmp_path: Path
) -> None:
    path, schema = _tagged(tmp_path)
    loader = mm.ParquetLoader(path, schema, batch_size=4, memory_limit=memory_limit)
    inputs = mm.TabularInputBlock(
        schema,
        embedding_dim=4,
        combiner=None if how == "mean" else {"tags": how},
        masking=mm.CausalMasking(),
    )
    weight = inputs.tables["tags"].weight
    pools = {"mean": lambda v: v.mean(0), "sum": lambda v: v.sum(0), "max": lambda v: v.amax(0)}
    seen = 0
    for batch in loader:
        found = inputs.vectors(inputs.for_prediction(batch))["tags"]
        for row, vectors in zip(batch.rows, found, strict=True):
            for tags, vector in zip(TAGS[int(row)], vectors, strict=False):
                expected = pools[how](weight[tags]) if tags else torch.zeros(4)
                torch.testing.assert_close(vector, expected)
                seen += 1
    assert seen == sum(map(len, TAGS))


def test_filling_inner_lists_up_further_changes_no_answer(tmp_path: Path) -> None:
    path, schema = _tagged(tmp_path)
    torch.manual_seed(0)
    inputs = mm.TabularInputBlock(
        schema, embedding_dim=4, combiner={"tags": "attention"}, masking=mm.CausalMasking()
    )
    made = mm.Model(inputs, mm.GRUBlock(4), mm.CategoricalOutput(weight_tying=True, top_ks=(2,))).eval()
    batch = next(iter(mm.ParquetLoader(path, schema, batch_size=4)))
    tags = batch["tags"]
    assert isinstance(tags, mm.Ragged)
    wider = mm.Ragged(nn.functional.pad(tags.values, (0, 3)), tags.offsets)
    torch.testing.assert_close(made(batch.with_features({"tags": wider})), made(batch))


def test_numbers_of_inner_lists_count_also_where_they_are_zero() -> None:
    schema = mm.Schema(
        [
            categorical("item_id", ITEMS, mm.Tags.ITEM_ID),
            mm.ColumnSchema("sizes", [mm.Tags.CONTINUOUS], {}, "float32", dims=(None, (0, None), 2)),
        ]
    )
    table = pa.table({"item_id": [[1, 2], [3]], "sizes": [[[0.0, 2.0], [1.0, 3.0]], [[0.0, 0.0]]]})
    inputs = mm.TabularInputBlock(schema, embedding_dim=4, masking=mm.CausalMasking())
    batch = inputs.for_prediction(next(iter(mm.ParquetLoader(table, schema, batch_size=2))))
    assert inputs.vectors(batch)["sizes"][..., 0].tolist() == [[1.0, 2.0], [0.0, 0.0]]


SIZES = [[[0.0, 2.0], []], [[4.0]], [[1.0], [2.0, 3.0, 7.0]], [[5.0, 6.0, 7.0, 8.0]]]


@pytest.mark.parametrize("kind", [pa.float32(), pa.int64()])
@pytest.mark.parametrize("how", ["mean", "sum", "max"])
@pytest.mark.parametrize("memory_limit", [2**20, 0])
def test_numbers_of_inner_lists_of_any_length_are_pooled_for_each_item(
    kind: pa.DataType, how: str, memory_limit: int, tmp_path: Path
) -> None:
    items = [[item + 1 for item in range(len(row))] for row in SIZES]
    sizes = pa.array(SIZES, pa.list_(pa.list_(pa.float32()))).cast(pa.list_(pa.list_(kind)))
    pq.write_table(pa.table({"item_id": items, "sizes": sizes}), tmp_path / "s.parquet", row_group_size=2)
    schema = mm.Schema.infer(tmp_path / "s.parquet", tags={"sizes": mm.Tags.CONTINUOUS})
    combiner: dict[str, Any] = {} if how == "mean" else {"sizes": how}
    inputs = mm.TabularInputBlock(schema, embedding_dim=4, combiner=combiner, masking=mm.CausalMasking())
    pools = {"mean": lambda v: sum(v) / len(v), "sum": sum, "max": max}
    seen = 0
    for batch in mm.ParquetLoader(tmp_path / "s.parquet", schema, batch_size=3, memory_limit=memory_limit):
        found = inputs.vectors(inputs.for_prediction(batch))["sizes"]
        for row, numbers in zip(batch.rows, found, strict=True):
            for inner, number in zip(SIZES[int(row)], numbers, strict=False):
                assert number.item() == (pools[how](inner) if inner else 0)
                seen += 1
    assert seen == sum(map(len, SIZES))


def test_what_embeds_numbers_of_inner_lists_learns_from_those_in_use_only() -> None:
    table = pa.table({"item_id": [[1, 2], [3]], "sizes": [[[0.5], [1.0, 2.0]], [[3.0]]]})
    schema = mm.Schema.infer(table)
    soft = mm.SoftEmbedding(4, vectors=3)
    inputs = mm.TabularInputBlock(schema, embedding_dim=4, embeddings={"sizes": soft})
    batch = next(iter(mm.ParquetLoader(table, schema, batch_size=2)))
    vectors = inputs.vectors(inputs.prepare(batch)[0])["sizes"]
    torch.testing.assert_close(vectors[0, 1], soft(torch.tensor([1.0, 2.0])).mean(0))
    vectors[0, :2].square().sum().backward()
    got = [parameter.grad.clone() for parameter in soft.parameters() if parameter.grad is not None]
    soft.zero_grad()
    alone = torch.stack([soft(torch.tensor([0.5]))[0], soft(torch.tensor([1.0, 2.0])).mean(0)])
    alone.square().sum().backward()
    torch.testing.assert_close(got, [parameter.grad for parameter in soft.parameters()])


def test_noise_does_not_exchange_what_fills_lists_up() -> None:
    values = torch.tensor([[1.0, 2.0, float("nan")], [3.0, float("nan"), float("nan")]]).repeat(20, 1)
    torch.manual_seed(0)
    noisy = mm.StochasticSwapNoise(0.9)(values)
    assert torch.equal(noisy.isnan(), values.isnan())
    assert not torch.equal(noisy.nan_to_num(), values.nan_to_num())


def test_what_cannot_be_used_is_refused_when_the_block_is_made() -> None:
    with pytest.raises(TypeError, match=r"masking is a str, expected a masking such as CausalMasking\(\)"):
        mm.TabularInputBlock(session_schema(), masking="causal")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="max_sequence_length is 0, expected at least 1 position"):
        mm.TabularInputBlock(session_schema(), max_sequence_length=0)
    with pytest.raises(ValueError, match="pad_to is -1, expected at least 1 position"):
        mm.TabularInputBlock(session_schema(), pad_to=-1)
    few = {"item_id": mm.PretrainedEmbeddings(shape=(ITEMS, 4))}
    text = f"'item_id' has ids from 0 to {ITEMS}, and its PretrainedEmbeddings has {ITEMS} rows: make"
    for argument in ("embeddings", "extra_embeddings"):
        with pytest.raises(ValueError, match=text):
            mm.TabularInputBlock(session_schema(), **{argument: few})  # type: ignore[arg-type]
    enough = {"item_id": mm.PretrainedEmbeddings(shape=(ITEMS + 1, 4))}
    assert "item_id" in mm.TabularInputBlock(session_schema(), embeddings=enough).embeddings
