"""The loader against a plain-Python reading of the same table, and what holds of any order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pytest
import torch
from torch import Tensor

from merlin_models_torch.batch import Batch, Ragged
from merlin_models_torch.data import ParquetLoader
from merlin_models_torch.data.source import ParquetSource, open_source
from merlin_models_torch.schema import ColumnSchema, Schema, Tags

Write = Callable[..., str]
Loaders = Callable[..., ParquetLoader]
WAYS = ("table", "file", "streamed")


@pytest.fixture(params=WAYS)
def load(request: pytest.FixtureRequest, sessions: pa.Table, schema: Schema, parquet: Write) -> Loaders:
    """Makes a loader of ``sessions``: from a table, a parquet file in memory, or one that is streamed."""

    source = sessions if request.param == "table" else parquet(sessions)

    def make(**arguments: Any) -> ParquetLoader:
        limit = 0 if request.param == "streamed" else 2**30
        loader = ParquetLoader(source, schema, memory_limit=limit, **{"batch_size": 8, **arguments})
        assert loader.in_memory is (request.param != "streamed")
        return loader

    return make


def plain(column: Tensor | Ragged) -> list[Any]:
    """Rows of a column as Python values."""
    if isinstance(column, Tensor):
        return column.tolist()
    bounds = column.offsets.tolist()
    return [column.values[a:b].tolist() for a, b in pairwise(bounds)]


def expected(table: pa.Table, name: str, rows: Sequence[int], cut: slice = slice(None)) -> list[Any]:
    """What the table holds in these rows, lists cut."""
    values = [table[name][row].as_py() for row in rows]
    if pa.types.is_list(table.schema.field(name).type):
        kind = torch.float32 if name == "price" else torch.int64
        return [torch.tensor(value[cut], dtype=kind).tolist() for value in values]
    return [int(value) for value in values]


def rows_of(batches: Any) -> list[int]:
    return [row for batch in batches for row in batch.rows.tolist()]


def check(batch: Batch, table: pa.Table, cut: slice = slice(None)) -> None:
    rows = batch.rows.tolist()
    for name in ("item_id", "price"):
        assert plain(batch[name]) == expected(table, name, rows, cut)
    for name in ("genres", "country"):
        assert plain(batch[name]) == expected(table, name, rows)
    assert plain(batch.targets["click"]) == expected(table, "click", rows)
    assert set(batch.features) == {"item_id", "price", "genres", "country"}


def test_in_order_each_row_as_the_table_has_it(load: Loaders, sessions: pa.Table) -> None:
    loader = load()
    batches = list(loader)
    assert len(loader) == len(batches) == 13
    assert [len(batch) for batch in batches] == [8] * 12 + [7]
    assert rows_of(batches) == list(range(103))
    for batch in batches:
        check(batch, sessions)
    assert batches[0]["item_id"].values.dtype == torch.int64
    assert batches[0]["price"].values.dtype == torch.float32
    assert batches[0]["country"].dtype == batches[0].targets["click"].dtype == torch.int64


@pytest.mark.parametrize("bucket", [None, 3])
def test_shuffled_each_row_once_and_as_the_table_has_it(
    load: Loaders, sessions: pa.Table, bucket: int | None
) -> None:
    loader = load(shuffle=True, bucket=bucket, buffer_groups=3)
    batches = list(loader)
    assert len(batches) == len(loader) == 13
    assert sorted(rows_of(batches)) == list(range(103))
    assert rows_of(batches) != list(range(103))
    for batch in batches:
        check(batch, sessions)


def test_row_groups_that_are_mixed_fit_the_limit(schema: Schema, parquet: Write) -> None:
    lists = pa.array([[1, 2, 3, 4, 5]] * 100)
    items = Schema([column for column in schema if column.name == "item_id"])
    path = parquet(pa.table({"item_id": lists}))  # Ten row groups of 400 bytes.
    groups = {}
    for limit in (0, 399, 1300):
        loader = ParquetLoader(path, items, batch_size=10, shuffle=True, memory_limit=limit, buffer_groups=4)
        assert not loader.in_memory
        batches = [[row // 10 for row in batch.rows.tolist()] for batch in loader]
        groups[limit] = [len({*batches[0], *batches[1], *batches[2]}), len({*batches[0]})]
    assert groups[399] == [3, 1]
    assert groups[1300][0] == 3
    assert groups[1300][1] > 1
    assert groups[0][0] == 4


def test_orders_differ_by_epoch_and_seed_and_come_again(load: Loaders) -> None:
    loader = load(shuffle=True)
    first, second = rows_of(loader), rows_of(loader)
    assert first != second
    assert (first, second) == (rows_of(again := load(shuffle=True)), rows_of(again))
    assert rows_of(load(shuffle=True, seed=1)) != first
    loader.set_epoch(0)
    assert rows_of(loader) == first
    loader.set_epoch(1)
    assert rows_of(loader) == second


@pytest.mark.parametrize(("keep", "cut"), [("latest", slice(-3, None)), ("oldest", slice(0, 3))])
def test_sequences_are_cut_alike_and_other_lists_are_not(
    load: Loaders, sessions: pa.Table, keep: Any, cut: slice
) -> None:
    for batch in load(max_sequence_length=3, keep=keep, shuffle=True):
        check(batch, sessions, cut)
        assert batch["item_id"].offsets is batch["price"].offsets


def test_lists_as_long_as_the_items_are_cut_without_a_tag(sessions: pa.Table, schema: Schema) -> None:
    untagged = ColumnSchema("price", [Tags.CONTINUOUS], dtype="float32", is_list=True)
    columns = [untagged if column.name == "price" else column for column in schema]
    for batch in ParquetLoader(sessions, Schema(columns), batch_size=8, max_sequence_length=3):
        check(batch, sessions, slice(-3, None))


def test_all_lists_are_cut_where_nothing_is_a_sequence(sessions: pa.Table) -> None:
    columns = [ColumnSchema(name, [Tags.CATEGORICAL], is_list=True) for name in ("item_id", "genres")]
    for batch in ParquetLoader(sessions, Schema(columns), batch_size=8, max_sequence_length=2):
        rows = batch.rows.tolist()
        for name in ("item_id", "genres"):
            assert plain(batch[name]) == expected(sessions, name, rows, slice(-2, None))


@pytest.mark.parametrize("length", [None, 3])
def test_padded_is_the_ragged_batch_padded(load: Loaders, length: int | None) -> None:
    arguments = {"shuffle": True, "max_sequence_length": length}
    for ragged, padded in zip(load(**arguments), load(padded=True, **arguments), strict=True):
        for name in ("item_id", "price", "genres"):
            column = padded[name]
            assert isinstance(column, Tensor)
            assert torch.equal(column, ragged.padded(name))
            assert column.dtype == ragged.padded(name).dtype


def test_bucketing_needs_less_padding(sessions: pa.Table, schema: Schema) -> None:
    def padding(bucket: int | None) -> int:
        loader = ParquetLoader(sessions, schema, batch_size=8, shuffle=True, bucket=bucket)
        return sum(int((b.padded("item_id") == 0).sum()) for b in loader)

    assert padding(13) < padding(2) < padding(None)


@pytest.mark.parametrize("world", [2, 3, 4])
@pytest.mark.parametrize("shuffle", [False, True])
def test_ranks_share_every_row(load: Loaders, world: int, shuffle: bool) -> None:
    loaders = [load(rank=rank, world=world, shuffle=shuffle, batch_size=5) for rank in range(world)]
    parts = [list(loader) for loader in loaders]
    assert len({len(part) for part in parts}) == 1
    assert [len(loader) for loader in loaders] == [len(part) for part in parts]
    assert sorted(row for part in parts for row in rows_of(part)) == list(range(103))


def test_drop_last_gives_full_batches(load: Loaders) -> None:
    loaders = [load(rank=rank, world=2, shuffle=True, drop_last=True) for rank in range(2)]
    parts = [list(loader) for loader in loaders]
    assert [len(batch) for part in parts for batch in part] == [8] * 12
    assert len(set(rows_of(parts[0] + parts[1]))) == 96


def test_empty_sessions_are_dropped_or_kept(schema: Schema, parquet: Write) -> None:
    lists = [[], [1], None, [2, 3], [4]]
    table = pa.table({"item_id": pa.array(lists, pa.list_(pa.int64()))})
    schema = schema.select_by_name("item_id")
    for source, limit in ((table, 2**30), (parquet(table, row_group_size=1), 2**30), (parquet(table), 0)):
        loader = ParquetLoader(source, schema, batch_size=2, empty="drop", memory_limit=limit)
        assert (len(loader), loader.num_rows) == (2, 3)
        assert [(b.rows.tolist(), plain(b["item_id"])) for b in loader] == [
            ([1, 3], [[1], [2, 3]]),
            ([4], [[4]]),
        ]
        kept = ParquetLoader(source, schema, batch_size=9, empty="keep", memory_limit=limit)
        assert plain(next(iter(kept))["item_id"]) == [[], [1], [], [2, 3], [4]]


def test_keys_come_by_row_number(load: Loaders) -> None:
    loader = load(shuffle=True)
    batch = next(iter(loader))
    assert loader.keys(batch.rows).to_pydict() == {
        "session_id": [f"session {r}" for r in batch.rows.tolist()]
    }
    assert loader.keys(torch.tensor([5]), ["country", "session_id"]).column_names == ["country", "session_id"]
    assert loader.keys().num_rows == 103


def test_row_numbers_are_the_key_of_data_without_one(sessions: pa.Table, schema: Schema) -> None:
    loader = ParquetLoader(sessions.drop_columns(["session_id"]), schema, batch_size=8)
    assert loader.keys(torch.tensor([7, 2])).to_pydict() == {"row": [7, 2]}


def test_targets_may_be_named(sessions: pa.Table, schema: Schema) -> None:
    batch = next(iter(ParquetLoader(sessions, schema, batch_size=8, targets=["genres", "click"])))
    assert set(batch.targets) == {"genres", "click"}
    untargeted = next(iter(ParquetLoader(sessions, schema, batch_size=8, targets=())))
    assert "click" in untargeted.features
    assert not untargeted.targets


def test_every_way_to_name_the_source(sessions: pa.Table, schema: Schema, parquet: Write) -> None:
    one, two = parquet(sessions.slice(0, 60), "day/1.parquet"), parquet(sessions.slice(60), "day/2.parquet")
    folder = one.rpartition("/")[0]
    sources = [
        [one, two],
        (one, two),
        folder,
        f"{folder}/*.parquet",
        [f"{folder}/1.*", two],
        ds.dataset(folder),
        sessions.to_batches()[0],
        ds.dataset(sessions),
    ]
    for source in sources:
        read_whole(source, schema, sessions)


def test_datasets_keep_their_filters_and_the_columns_in_names_of_folders(tmp_path: Path) -> None:
    """A filtered dataset has the files of the whole one."""
    table = pa.table({"item": [1, 2, 3, 4], "day": [1, 1, 2, 2]})
    ds.write_dataset(table, tmp_path, format="parquet", partitioning=["day"], partitioning_flavor="hive")
    item, day = (ColumnSchema(name, tags=[Tags.CATEGORICAL], dtype="int64") for name in ("item", "day"))
    whole = ds.dataset(tmp_path, partitioning="hive")

    def rows(source: object, *columns: ColumnSchema) -> list[list[int]]:
        (batch,) = ParquetLoader(source, Schema(list(columns)), batch_size=9)
        return sorted(zip(*(batch.padded(column.name).tolist() for column in columns), strict=True))

    assert rows(whole, item, day) == [(1, 1), (2, 1), (3, 2), (4, 2)]
    assert rows(whole.filter(ds.field("item") > 3), item) == [(4,)]
    assert rows(whole.filter(ds.field("day") == 1), item, day) == [(1, 1), (2, 1)]
    assert rows(f"{tmp_path}/*/*.parquet", item) == [(1,), (2,), (3,), (4,)]
    one = ds.dataset(next(tmp_path.glob("*1/*.parquet")))
    assert isinstance(open_source(one), ParquetSource)
    assert isinstance(open_source(one.filter(ds.field("item") > 0)), ParquetSource)  # all rows


def read_whole(source: object, schema: Schema, sessions: pa.Table) -> None:
    batches = list(ParquetLoader(source, schema, batch_size=8))
    assert rows_of(batches) == list(range(103))
    check(batches[-1], sessions)


def test_pandas_frames_are_read(sessions: pa.Table, schema: Schema) -> None:
    pytest.importorskip("pandas")
    read_whole(sessions.to_pandas(), schema, sessions)


def test_polars_frames_are_read(schema: Schema) -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"item_id": [[3, 4], [5]]})
    batch = next(iter(ParquetLoader(frame, schema.select_by_name("item_id"), batch_size=2)))
    assert plain(batch["item_id"]) == [[3, 4], [5]]


def test_a_file_with_no_rows_among_others_is_passed_over(
    sessions: pa.Table, schema: Schema, parquet: Write
) -> None:
    files = [parquet(sessions.slice(0, 0), "none.parquet"), parquet(sessions, "all.parquet")]
    for limit in (0, 2**30):
        loader = ParquetLoader(files, schema, batch_size=8, memory_limit=limit)
        assert rows_of(loader) == list(range(103))


@pytest.mark.parametrize("limit", [0, 2**30])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_files_without_a_vector_say_nothing_of_their_width(
    parquet: Write, order: tuple[int, int], limit: int
) -> None:
    lists = [[[[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0]]], [[], []]]
    texts = [[[1.0, 2.0], [3.0, 4.0]], []]
    columns = [
        ColumnSchema("images", [Tags.EMBEDDING, Tags.SEQUENCE], is_list=True),
        ColumnSchema("text", [Tags.EMBEDDING], is_list=True),
    ]
    for column, values, depth in zip(columns, (lists, texts), (2, 1), strict=True):
        kind = pa.list_(pa.float32())
        kind = pa.list_(kind) if depth == 2 else kind
        tables = [pa.table({column.name: pa.array(values[part], kind)}) for part in (0, 1)]
        files = [parquet(tables[part], f"{column.name}-{place}.parquet") for place, part in enumerate(order)]
        loader = ParquetLoader(files, Schema([column]), batch_size=4, empty="keep", memory_limit=limit)
        (batch,) = loader
        found = batch[column.name]
        rows = [row for part in order for row in values[part]]
        assert (plain(found) if isinstance(found, Ragged) else found.tolist()) == rows


def test_an_epoch_of_matrices_may_hold_a_batch_without_items(schema: Schema, sessions: pa.Table) -> None:
    none = sessions.slice(0, 2).to_pylist()
    lists = [name for name in sessions.column_names if isinstance(none[0][name], list)]
    rows = pa.Table.from_pylist([{**row, **{name: [] for name in lists}} for row in none], sessions.schema)
    (batch,) = ParquetLoader(rows, schema, batch_size=2, padded=True, empty="keep")
    assert batch.lengths("item_id").tolist() == [0, 0]


def test_vectors_and_lists_of_vectors() -> None:
    table = pa.table(
        {
            "text": pa.array([[1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float32(), 2)),
            "images": pa.array([[[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0]]], pa.list_(pa.list_(pa.float64(), 2))),
        }
    )
    columns = [
        ColumnSchema("text", [Tags.EMBEDDING]),
        ColumnSchema("images", [Tags.EMBEDDING, Tags.SEQUENCE], is_list=True),
    ]
    batch = next(iter(ParquetLoader(table, Schema(columns), batch_size=2, max_sequence_length=1)))
    assert batch["text"].tolist() == [[1, 2], [3, 4]]
    assert batch.padded("images").tolist() == [[[1, 2]], [[5, 6]]]
    padded = next(iter(ParquetLoader(table, Schema(columns), batch_size=2, padded=True)))
    assert padded["images"].tolist() == [[[1, 2], [0, 0]], [[3, 4], [5, 6]]]


def test_it_resumes_inside_an_epoch_and_after_one(load: Loaders) -> None:
    whole = load(shuffle=True)
    epochs = [rows_of(whole), rows_of(whole)]
    loader = load(shuffle=True)
    batches = iter(loader)
    started = [next(batches) for _ in range(5)]
    resumed = load(shuffle=True)
    resumed.load_state_dict(loader.state_dict())
    assert rows_of(started) + rows_of(resumed) == epochs[0]
    assert rows_of(resumed) == epochs[1]
    # A Trainer takes the state after the last batch, without asking for one more.
    finished = [next(batches) for _ in range(8)]
    after = load(shuffle=True)
    after.load_state_dict(loader.state_dict())
    assert rows_of(started + finished) == epochs[0]
    assert rows_of(after) == epochs[1]
