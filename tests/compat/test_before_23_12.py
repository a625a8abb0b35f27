"""Names that were gone by 23.12 still work."""

from __future__ import annotations

import pytest
import torch
from merlin_standard_lib import Registry
from transformers4rec import torch as tr
from transformers4rec.data.preprocessing import save_time_based_splits
from transformers4rec.torch.trainer import HFWrapper
from transformers4rec.torch.utils.data_utils import MerlinDataLoader, NVTabularDataLoader
from transformers4rec.utils import data_utils

from tests.compat.small import batch, model, schema, write_sessions


def test_hf_format_is_told_of_and_has_no_effect():
    with pytest.warns(UserWarning, match="hf_format= is gone since 23.02: leave it out"):
        task = tr.NextItemPredictionTask(weight_tying=True, hf_format=True)
    assert task.weight_tying


def test_the_wrapper_takes_columns_by_name_and_keeps_the_weights_below_it():
    built = model().eval()
    wrapped = HFWrapper(built)
    columns = batch()
    torch.testing.assert_close(wrapped(**columns), built(dict(columns)))
    assert all(name.startswith("module.") for name in wrapped.state_dict())
    assert wrapped.module is built


def test_the_old_loader_gives_the_same_batches(tmp_path):
    path = write_sessions(tmp_path / "train.parquet", 10)
    columns = {"cats": ["item_id", "category"], "conts": ["price"]}
    lists = ["item_id", "category", "price"]
    old = NVTabularDataLoader(
        path, batch_size=4, sparse_names=lists, sparse_max=dict.fromkeys(lists, 6), schema=schema(), **columns
    )
    new = MerlinDataLoader(path, batch_size=4, max_sequence_length=6, lists=lists, schema=schema(), **columns)
    for (before, _), (after, _) in zip(old, new, strict=True):
        assert set(before) == set(after)
        assert all(torch.equal(before[name], after[name]) for name in before)


def test_module_paths_of_before():
    assert save_time_based_splits is data_utils.save_time_based_splits
    registry = Registry.class_registry("mine")
    registry.register("list")(list)
    assert registry.parse("list") == []


def test_lengths_of_list_columns_are_read_from_the_loaders_dataset(tmp_path):
    path = write_sessions(tmp_path / "train.parquet", 4)
    loader = MerlinDataLoader.from_schema(schema(), path, batch_size=2, max_sequence_length=6)
    with pytest.warns(UserWarning, match="sparse_max is gone since 22.12: write {name: max_sequence_length}"):
        told = loader.dataset.sparse_max
    assert told == {"item_id": 6, "category": 6, "price": 6}


@pytest.mark.parametrize("name", ["module", "wrapper_module"])
def test_a_model_says_that_nothing_wraps_it(name):
    built = model()
    assert not hasattr(built, name)
    with pytest.raises(AttributeError, match=rf"trainer.model is the model itself.*leave .{name} out"):
        getattr(built, name)
    inside = torch.nn.Linear(1, 1)
    setattr(built, name, inside)
    assert getattr(built, name) is inside
