"""Data loaders by their old names: targets, transforms, datasets of the pyarrow loader, errors."""

import random

import pytest
import torch
from transformers4rec.torch.utils.data_utils import (
    MerlinDataLoader,
    ParquetDataset,
    PyarrowDataLoader,
    ShuffleDataset,
    T4RecDataLoader,
)

from tests.compat.small import LENGTH, schema, sessions, write_sessions


def test_every_engine_gives_the_same_inputs(tmp_path):
    path = write_sessions(tmp_path / "sessions.parquet", 9)
    made = [
        T4RecDataLoader.parse(name).from_schema(schema(), path, 4, max_sequence_length=LENGTH, shuffle=False)
        for name in ("merlin", "nvtabular", "pyarrow")
    ]
    for batches in zip(*made, strict=True):
        first, *others = (inputs for inputs, _ in batches)
        for other in others:
            assert other.keys() == first.keys()
            assert all(torch.equal(other[name], first[name]) for name in first)


def test_one_target_comes_bare_or_by_name_as_in_each_loader(tmp_path):
    options = {"max_sequence_length": LENGTH, "shuffle": False, "targets": ["price"]}
    features = {"categorical_features": ["item_id"], "continuous_features": ["item_id"]}
    _, bare = next(iter(MerlinDataLoader.from_schema(schema(), sessions(4), 4, **options, **features)))
    _, named = next(iter(PyarrowDataLoader.from_schema(schema(), sessions(4), 4, **options, **features)))
    assert list(named) == ["price"]
    assert torch.equal(named["price"], bare)


def test_a_function_collects_and_transforms_follow_one_another():
    def doubled(inputs, targets):
        return {**inputs, "price": 2 * inputs["price"]}, targets

    options = {"max_sequence_length": LENGTH, "shuffle": False}
    plain, _ = next(iter(MerlinDataLoader.from_schema(schema(), sessions(4), 4, **options)))
    made = MerlinDataLoader.from_schema(
        schema(), sessions(4), 4, transforms=[doubled], collate_fn=lambda pairs: pairs[0][0], **options
    )
    made.dataset.map(doubled)
    torch.testing.assert_close(next(iter(made))["price"], 4 * plain["price"])


def test_with_pyarrow_every_process_reads_all_rows_and_is_told():
    options = {"max_sequence_length": LENGTH, "global_rank": 1, "global_size": 2}
    with pytest.warns(UserWarning, match="every process reads all rows.*data_loader_engine='merlin'"):
        made = PyarrowDataLoader.from_schema(schema(), sessions(8), 4, **options)
    assert len(made) == 2
    shared = MerlinDataLoader.from_schema(schema(), sessions(8), 4, **options)
    assert len(shared) == 1


def test_rows_of_a_parquet_dataset_are_cut_and_filled(tmp_path):
    path = write_sessions(tmp_path / "sessions.parquet", 5, shortest=2, longest=9)
    rows = ParquetDataset(path, ["item_id", "price"], ["price"], LENGTH)
    assert len(rows) == 5
    for number, items in enumerate(sessions(5)["item_id"].to_pylist()):
        inputs, targets = rows[number]
        assert inputs["item_id"].tolist() == (items + [0] * LENGTH)[:LENGTH]
        assert targets["price"].dtype == "float32"


@pytest.mark.parametrize("buffer_size", [1, 3, 50])
def test_a_shuffled_dataset_gives_every_item_once(buffer_size):
    random.seed(0)
    order = list(ShuffleDataset(range(20), buffer_size))
    assert sorted(order) == list(range(20))
    assert (order == list(range(20))) is (buffer_size == 1)
    # An item never comes more than the buffer's size before its turn.
    assert all(item <= place + buffer_size - 1 for place, item in enumerate(order))


def test_a_loader_without_from_schema_says_so():
    with pytest.raises(NotImplementedError, match="Mine has to define from_schema"):
        type("Mine", (T4RecDataLoader,), {}).from_schema(schema(), None, 4, LENGTH)
    with pytest.raises(KeyError, match="'cudf' is not in registry"):
        T4RecDataLoader.parse("cudf")
