"""merlin.io and merlin.dataloader: one behaviour, whether they are the real ones or the fallbacks.

The same tests run in the environment with merlin-core and merlin-dataloader and in the one without.
"""

from __future__ import annotations

import importlib.metadata
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # merlin-core warns of every framework that is absent
    import merlin.dataloader.torch
    import merlin.io
    from merlin.schema import ColumnSchema, Schema, Tags

pytestmark = pytest.mark.filterwarnings("ignore")  # Dask and merlin-core under newer libraries

ROWS = 7


def is_real(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def schema() -> Schema:
    domain = {"domain": {"min": 0, "max": 9, "name": "a"}}
    return Schema(
        [
            ColumnSchema("a", tags=[Tags.CATEGORICAL], dtype=np.int64, properties=domain),
            ColumnSchema("l", tags=[Tags.CATEGORICAL], dtype=np.int64, is_list=True, is_ragged=True),
            ColumnSchema("x", tags=[Tags.CONTINUOUS], dtype=np.float32),
            ColumnSchema("t", tags=[Tags.TARGET, Tags.BINARY], dtype=np.int64),
        ]
    )


def frame() -> pd.DataFrame:
    lists = [list(range(1, 2 + row % 3)) for row in range(ROWS)]
    columns = {"a": np.arange(1, ROWS + 1), "l": lists, "x": np.arange(ROWS, dtype=np.float32) / 4}
    return pd.DataFrame({**columns, "t": np.arange(ROWS) % 2})


def loader(**options: Any) -> Any:
    dataset = merlin.io.Dataset(frame(), schema=schema())
    return merlin.dataloader.torch.Loader(dataset, batch_size=3, **options)


def test_the_real_ones_win_where_they_are() -> None:
    places = {
        "merlin-core": merlin.io.Dataset.__module__ and Path(merlin.io.__file__),
        "merlin-dataloader": Path(merlin.dataloader.torch.__file__),
    }
    for distribution, place in places.items():
        assert ("_fallbacks_of_merlin_models_torch_compat" in place.parts) != is_real(distribution)


def test_a_dataset_knows_its_rows_and_schema() -> None:
    dataset = merlin.io.Dataset(frame(), schema=schema())
    assert dataset.num_rows == ROWS
    assert dataset.schema.column_names == ["a", "l", "x", "t"]
    assert dataset.schema["a"].int_domain.max == 9
    computed = dataset.to_ddf(columns=["a", "x"]).compute()
    assert list(computed.columns) == ["a", "x"]
    assert computed["a"].tolist() == list(range(1, ROWS + 1))
    assert dataset.head(2)["t"].tolist() == [0, 1]


def test_rows_are_frames_by_several_ways() -> None:
    dataset = merlin.io.Dataset(frame(), schema=schema())
    rows = dataset.to_ddf()
    assert list(rows.columns) == ["a", "l", "x", "t"]
    for found in (dataset.compute(), rows.compute(scheduler="synchronous"), *dataset.to_iter()):
        assert found["a"].tolist() == frame()["a"].tolist()
    assert dataset.tail(2)["a"].tolist() == [ROWS - 1, ROWS]
    assert list(rows[["a", "t"]].compute().columns) == ["a", "t"]
    assert [list(one.columns) for one in dataset.to_iter(columns=["x"])] == [["x"]]
    assert dataset.repartition(npartitions=1).num_rows == ROWS


def test_a_loader_keeps_its_arguments() -> None:
    made = loader(drop_last=True)
    assert (made.batch_size, made.shuffle, made.drop_last) == (3, False, True)
    assert (made.global_size, made.global_rank, made.seed_fn, made.parts_per_chunk) == (1, 0, None, 1)


def test_parquet_files_keep_rows_and_types(tmp_path: Path) -> None:
    frame().drop(columns="l").to_parquet(tmp_path / "rows.parquet")
    dataset = merlin.io.Dataset(str(tmp_path / "rows.parquet"), engine="parquet")
    assert dataset.num_rows == ROWS
    assert dataset.schema.column_names == ["a", "x", "t"]
    assert dataset.schema["x"].dtype.name == "float32"
    assert not dataset.schema["a"].is_list


def test_batches_have_the_columns_of_the_schema() -> None:
    batches = list(loader())
    assert [len(targets) for _, targets in batches] == [3, 3, 1]
    inputs, targets = batches[1]
    assert sorted(inputs) == ["a", "l__offsets", "l__values", "x"]
    assert inputs["a"].tolist() == [4, 5, 6]
    assert inputs["a"].dtype == torch.int64
    assert inputs["l__values"].tolist() == [1, 1, 2, 1, 2, 3]
    assert inputs["l__offsets"].tolist() == [0, 1, 3, 6]
    assert inputs["x"].tolist() == [0.75, 1.0, 1.25]
    assert targets.tolist() == [1, 0, 1]


def test_the_last_batch_may_be_left_out() -> None:
    assert len(loader()) == 3
    assert len(loader(drop_last=True)) == 2
    assert len(list(loader(drop_last=True))) == 2


def test_shuffled_rows_are_the_same_rows() -> None:
    found = torch.cat([inputs["a"] for inputs, _ in loader(shuffle=True)])
    assert sorted(found.tolist()) == list(range(1, ROWS + 1))


def test_a_function_changes_each_batch() -> None:
    changed = loader().map(lambda inputs, targets: ({"a": inputs["a"] * 2}, targets))
    inputs, _ = next(iter(changed))
    assert list(inputs) == ["a"]
    assert inputs["a"].tolist() == [2, 4, 6]


def test_a_model_of_merlin_models_trains_on_it() -> None:
    import merlin.models.torch as mm

    torch.manual_seed(0)
    columns = schema().select_by_name(["a", "x", "t"])
    dataset = merlin.io.Dataset(frame().drop(columns="l"), schema=columns)
    model = mm.DLRMModel(columns, dim=4, bottom_block=mm.MLPBlock([4]))
    model.initialize(dataset)
    inputs, targets = next(iter(merlin.dataloader.torch.Loader(dataset, batch_size=ROWS)))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        probability = model(inputs)["t"].view(-1)
        loss = torch.nn.functional.binary_cross_entropy(probability, targets.float())
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


def test_an_operator_looks_vectors_up() -> None:
    from merlin.dataloader.ops.embeddings import EmbeddingOperator

    vectors = np.arange(20, dtype=np.float32).reshape(10, 2)
    operator = EmbeddingOperator(vectors, lookup_key="l", embedding_name="vectors")
    inputs, _ = list(loader(transforms=[operator]))[1]
    assert inputs["vectors__values"].tolist() == vectors[[1, 1, 2, 1, 2, 3]].tolist()
    assert inputs["vectors__offsets"].tolist() == [0, 1, 3, 6]
    assert sorted(inputs) == ["a", "l__offsets", "l__values", "vectors__offsets", "vectors__values", "x"]
    column = loader(transforms=[operator]).output_schema["vectors"]
    assert (column.dtype.name, column.shape.as_tuple[1:]) == ("float32", ((0, None), 2))
    assert Tags.EMBEDDING in column.tags


@pytest.mark.parametrize("unknown", [7.0, np.array([3.0, 4.0])])
def test_an_operator_finds_vectors_by_id(unknown: Any) -> None:
    from merlin.dataloader.ops.embeddings import EmbeddingOperator
    from merlin.table import TensorColumn, TensorTable

    vectors, ids = np.arange(6.0).reshape(3, 2), np.array([30, 10, 20])
    operator = EmbeddingOperator(vectors, lookup_key="l", id_lookup_table=ids, unknown_value=unknown)
    column = TensorColumn(np.array([10, 20, 5, 30, 99]), offsets=np.array([0, 2, 5]))
    found = operator.transform(None, TensorTable({"l": column}))["embeddings"]
    assert found.values.tolist() == [[2, 3], [4, 5], [*np.full(2, unknown)], [0, 1], [*np.full(2, unknown)]]
    assert found.offsets.tolist() == [0, 2, 5]
    assert len(found) == 2
    assert found.is_ragged


def test_a_table_holds_columns_of_one_kind() -> None:
    from merlin.table import Device, NumpyColumn, TensorColumn, TensorTable, TorchColumn

    table = TensorTable({"a": np.arange(3), "l__values": np.arange(5), "l__offsets": np.array([0, 2, 2, 5])})
    assert (table.columns, len(table), table.device) == (["a", "l"], 2, Device.CPU)
    assert isinstance(table["l"], NumpyColumn)
    assert (len(table["l"]), table["l"][2].tolist(), table["l"][-3].tolist()) == (3, [2, 3, 4], [0, 1])
    assert (table["l"].is_ragged, table["a"].is_list) == (True, False)
    assert sorted(table.to_dict()) == ["a", "l__offsets", "l__values"]
    assert table[["a"]].columns == ["a"]
    tensors = table.as_tensor_type(torch.Tensor)
    assert isinstance(tensors["l"], TorchColumn)
    assert torch.equal(tensors["l"].values, torch.arange(5))
    assert TensorTable.from_df(table.to_df())["l"].offsets.tolist() == [0, 2, 2, 5]
    assert TensorColumn(np.arange(2)) == TensorColumn(np.arange(2))
    with pytest.raises(TypeError):
        TensorTable({"a": np.arange(3), "b": torch.arange(3)})
    with pytest.raises(ValueError, match="offset"):
        TensorColumn(np.arange(3), offsets=np.array([0, 2]))


def test_own_operators_say_which_columns_they_give() -> None:
    from merlin.dag import BaseOperator, ColumnSelector
    from merlin.table import TensorColumn

    class Doubled(BaseOperator):
        def transform(self, col_selector: Any, transformable: Any) -> Any:
            for name in col_selector.names:
                transformable[f"{name}_twice"] = TensorColumn(transformable[name].values * 2)
            return transformable

        def column_mapping(self, col_selector: Any) -> dict[str, list[str]]:
            return {n: [name] for name in col_selector.names for n in (name, f"{name}_twice")}

        @property
        def output_tags(self) -> list[str]:
            return ["doubled"]

    columns = schema().select_by_name(["a", "x"])
    given = Doubled().compute_output_schema(columns, ColumnSelector(["x"]))
    assert given.column_names == ["x", "x_twice"]
    assert (given["x_twice"].dtype.name, "doubled" in given["x_twice"].tags) == ("float32", True)
    dataset = merlin.io.Dataset(frame().drop(columns="l"), schema=schema().excluding_by_name(["l"]))
    made = merlin.dataloader.torch.Loader(dataset, batch_size=3, transforms=[Doubled()])
    inputs, _ = list(made)[1]
    assert inputs["x_twice"].tolist() == [1.5, 2.0, 2.5]
    assert inputs["a_twice"].tolist() == [8, 10, 12]
    with pytest.raises(ValueError, match="nothing"):
        Doubled().compute_selector(columns, ColumnSelector(["nothing"]))


def test_data_frames_by_dispatch() -> None:
    from merlin.core import dispatch

    assert dispatch.get_lib() is pd
    assert dispatch.make_df({"a": [1, 2]}).equals(pd.DataFrame({"a": [1, 2]}))
    assert dispatch.concat([frame(), frame()]).shape == (2 * ROWS, 4)
    side = dispatch.concat_columns([frame()[["a"]], frame()[["x"]]])
    assert list(side.columns) == ["a", "x"]
    assert [dispatch.is_list_dtype(frame()[name]) for name in ("a", "l")] == [False, True]
    assert dispatch.HAS_GPU in (True, False)


def test_the_drop_ins_loader_takes_operators() -> None:
    """Real operators and tables of a real merlin-core as well as the fallbacks."""
    from merlin.dataloader.ops.embeddings import EmbeddingOperator
    from transformers4rec.torch.utils.data_utils import MerlinDataLoader

    columns = schema()
    columns["l"] = columns["l"].with_tags([Tags.LIST])
    vectors = np.arange(20, dtype=np.float32).reshape(10, 2)
    loader = MerlinDataLoader.from_schema(
        columns,
        merlin.io.Dataset(frame(), schema=columns),
        ROWS,
        max_sequence_length=5,
        shuffle=False,
        transforms=[EmbeddingOperator(vectors, lookup_key="l", embedding_name="vectors")],
    )
    inputs, targets = next(iter(loader))
    assert inputs["vectors"].shape == (ROWS, 5, 2)
    assert inputs["vectors"][1].tolist() == [[2, 3], [4, 5], [0, 0], [0, 0], [0, 0]]
    assert targets.tolist() == [0, 1, 0, 1, 0, 1, 0]
    assert loader.output_schema.column_names == ["x", "a", "l", "vectors"]


def test_parts_are_joined_and_split_as_by_dask() -> None:
    dataset = merlin.io.Dataset(frame(), schema=schema(), npartitions=3)
    assert [len(part) for part in dataset.to_iter()] == [3, 3, 1]
    assert [part["a"].tolist() for part in dataset.to_iter(columns=["a"], indices=[1])] == [[4, 5, 6]]
    assert len(dataset.to_iter(epochs=2)) == 2 * ROWS
    assert [len(part) for part in dataset.repartition(2).to_iter()] == [3, 4]
    whole = merlin.io.Dataset(frame(), schema=schema())
    assert [len(part) for part in whole.repartition(npartitions=3).to_iter()] == [2, 2, 3]
    assert dataset.compute()["l"].tolist() == frame()["l"].tolist()


def test_each_file_is_a_part_and_so_is_each_written_one(tmp_path: Path) -> None:
    plain = frame().drop(columns="l")
    paths = [str(tmp_path / f"{i}.parquet") for i in range(2)]
    for path, rows in zip(paths, (plain[:3], plain[3:]), strict=True):
        rows.to_parquet(path)
    dataset = merlin.io.Dataset(paths, engine="parquet")
    assert (dataset.npartitions, dataset.partition_lens) == (2, [3, 4])
    assert list(dataset.file_partition_map.values()) == [0, 1]
    dataset.to_parquet(str(tmp_path / "out"), dtypes={"a": np.int32})
    written = [pd.read_parquet(tmp_path / "out" / f"part_{i}.parquet") for i in range(2)]
    assert [rows["a"].tolist() for rows in written] == [[1, 2, 3], [4, 5, 6, 7]]
    assert written[0]["a"].dtype == np.int32
    merlin.io.Dataset(frame(), npartitions=3).to_parquet(str(tmp_path / "one"), output_files=1)
    assert len(pd.read_parquet(tmp_path / "one" / "part_0.parquet")) == ROWS


def test_rows_of_csv_files_joined_retyped_and_mapped(tmp_path: Path) -> None:
    numbers = frame()[["a", "x"]]
    numbers.to_csv(tmp_path / "a.csv", index=False)
    dataset = merlin.io.Dataset(str(tmp_path / "a.csv"), engine="csv", dtypes={"a": np.int32})
    assert dataset.compute()["a"].dtype == np.int32
    assert dataset.compute()["x"].tolist() == numbers["x"].tolist()
    joined = merlin.io.Dataset.merge(dataset, merlin.io.Dataset(frame()[["a", "t"]]), on="a")
    assert list(joined.compute().columns) == ["a", "x", "t"]
    dataset.to_npy(str(tmp_path / "a.npy"))
    assert np.load(tmp_path / "a.npy").tolist() == numbers.to_numpy().tolist()
    halves = merlin.io.Dataset(numbers, npartitions=2).to_ddf().map_partitions(lambda part: part.head(1))
    assert halves.compute()["a"].tolist() == [1, 5]
    assert merlin.io.Dataset(halves).compute()["a"].tolist() == [1, 5]


def test_lists_of_one_length_are_matrices() -> None:
    columns = Schema([ColumnSchema("l", dtype=np.int64, dims=(None, 2))])
    dataset = merlin.io.Dataset(pd.DataFrame({"l": [[1, 2], [3, 4], [5, 6]]}), schema=columns)
    inputs, _ = merlin.dataloader.torch.Loader(dataset, batch_size=2).peek()
    assert {name: tensor.tolist() for name, tensor in inputs.items()} == {"l": [[1, 2], [3, 4]]}


def test_columns_and_size_of_a_loader_are_set_later() -> None:
    made = loader()
    assert made.output_schema.column_names == ["a", "l", "x", "t"]
    made.batch_size = 4
    assert len(made) == 2
    made.input_schema = schema().select_by_name(["x", "t"])
    inputs, targets = made.peek()
    assert list(inputs) == ["x"]
    assert targets.tolist() == [0, 1, 0, 1]
    assert made.transforms is None
