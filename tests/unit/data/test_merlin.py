"""Batches from pairs as merlin-dataloader gives them; with the real one in tests/interop."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from merlin_models_torch.batch import Ragged
from merlin_models_torch.data import DataError, from_merlin
from merlin_models_torch.schema import Schema


class Loader:
    def __init__(self, *pairs: Any, labels: tuple[str, ...] = ()) -> None:
        self.pairs = pairs
        self.label_names = labels
        self.output_schema = Schema(["item_id", "age"])

    def __len__(self) -> int:
        return len(self.pairs)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.pairs)


def inputs() -> dict[str, torch.Tensor]:
    return {
        "item_id__values": torch.tensor([3, 4, 5], dtype=torch.int32),
        "item_id__offsets": torch.tensor([0, 2, 3], dtype=torch.int32),
        "age": torch.tensor([[0.5], [0.25]], dtype=torch.float64),
    }


def test_lists_become_ragged_and_columns_of_width_one_scalars() -> None:
    loader = from_merlin(Loader((inputs(), torch.tensor([0, 1])), labels=("y",)))
    (batch,) = loader
    assert len(loader) == 1
    assert loader.schema.column_names == ["item_id", "age"]
    items = batch["item_id"]
    assert isinstance(items, Ragged)
    assert items.padded().tolist() == [[3, 4], [5, 0]]
    assert (items.values.dtype, items.offsets.dtype) == (torch.int64, torch.int64)
    age = batch["age"]
    assert isinstance(age, torch.Tensor)
    assert (age.dtype, age.tolist()) == (torch.float32, [0.5, 0.25])
    assert {name: column.tolist() for name, column in batch.targets.items()} == {"y": [0, 1]}


def test_targets_by_name_or_absent() -> None:
    named = {"y": torch.tensor([0, 1]), "z": torch.tensor([[0.5], [1.5]])}
    first, second = from_merlin(Loader((inputs(), named), (inputs(), None)))
    assert {name: column.tolist() for name, column in first.targets.items()} == {"y": [0, 1], "z": [0.5, 1.5]}
    assert second.targets == {}


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(TypeError, match=r"not list: give files, tables and data sets to ParquetLoader"):
        from_merlin([1])
    with pytest.raises(DataError, match="gave a dict, expected a pair"):
        list(from_merlin(Loader(inputs())))
    with pytest.raises(DataError, match=r"one tensor for the targets \['y', 'z'\]"):
        list(from_merlin(Loader((inputs(), torch.tensor([0, 1])), labels=("y", "z"))))
