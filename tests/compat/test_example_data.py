"""Data sets, random batches and helpers of the examples: shapes and ranges of 23.12.0."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from merlin.schema import Tags
from merlin_standard_lib import ColumnSchema, Schema
from merlin_standard_lib.schema.schema import ValueCount
from transformers4rec import torch as tr
from transformers4rec.data import synthetic
from transformers4rec.torch.utils import examples_utils
from transformers4rec.torch.utils.schema_utils import random_data_from_schema
from transformers4rec.utils import data_utils

NAMES = ["tabular_sequence_testing_data", "tabular_testing_data", "music_streaming_testing_data"]


@pytest.mark.parametrize("name", NAMES)
def test_data_sets_hold_what_their_schema_says(name):
    data = getattr(tr.data, name)
    table = pq.read_table(data.path)
    assert table.num_rows == 1000
    assert Schema().from_json(data.schema_path) == data.schema
    assert data.merlin_schema.column_names == data.schema.column_names
    for column in data.schema:
        values = table[column.name].combine_chunks()
        if column.value_count:
            lengths = pa.compute.list_value_length(values).to_numpy()
            assert column.value_count.min <= lengths.min()
            assert lengths.max() <= column.value_count.max
            values = values.values
        domain = column.int_domain or column.float_domain
        if domain:
            assert domain.min - 1e-6 <= values.to_numpy().min()
            assert values.to_numpy().max() <= domain.max + 1e-6


def test_every_data_set_is_a_dataset_of_merlin():
    from merlin.io import Dataset

    for data in (tr.data.tabular_sequence_testing_data, tr.data.music_streaming_testing_data):
        read = Dataset(data.path)
        assert set(data.schema.column_names) <= set(read.schema.column_names)
        assert read.num_rows == len(pd.read_parquet(data.path))


def test_sequences_as_in_23_12():
    data = tr.data.tabular_sequence_testing_data
    assert data.schema.select_by_tag(Tags.ITEM_ID).column_names == ["item_id/list"]
    assert len(data.schema) == 14
    assert data.schema["item_id/list"].int_domain.max == 51_996
    frame = pq.read_table(data.path).to_pandas()
    assert (frame["ts/first"].diff().dropna() > 0).all()
    assert (frame["item_id/list"].str.len() == frame["session_size"]).all()
    assert sorted(frame["day_idx"].unique()) == [f"000{day}" for day in range(1, 8)]


@pytest.mark.parametrize("ragged", [False, True])
def test_a_batch_of_random_data(ragged):
    data = tr.data.music_streaming_testing_data
    batch = data.torch_synthetic_data(num_rows=5, min_session_length=2, max_session_length=7, ragged=ragged)
    assert batch["user_id"].shape == (5,)
    assert batch["click"].dtype == torch.float32
    if ragged:
        offsets = batch["item_id__offsets"]
        lengths = offsets.diff()
        assert offsets[0] == 0
        assert len(batch["item_recency__values"]) == offsets[-1]
    else:
        assert batch["item_id"].shape == (5, 7)
        lengths = (batch["item_id"] > 0).sum(1)
        assert torch.equal(batch["item_id"] > 0, torch.arange(7) < lengths[:, None])
    assert lengths.min() >= 2
    assert lengths.max() <= 7


def test_random_data_by_hand():
    schema = Schema(
        [
            ColumnSchema.create_categorical("item", 3, value_count=ValueCount(1, 4), tags=[Tags.ITEM_ID]),
            ColumnSchema.create_continuous("vector", shape=[6]),
        ]
    )
    batch = random_data_from_schema(schema, num_rows=40, seed=1)
    assert batch["item"].shape == (40, 4)
    assert batch["item"].unique().tolist() == [1, 2]  # as there: below the largest id
    assert torch.equal(batch["item"], random_data_from_schema(schema, num_rows=40, seed=1)["item"])
    assert not torch.equal(batch["item"], random_data_from_schema(schema, num_rows=40, seed=2)["item"])


def test_a_model_takes_random_data():
    schema = tr.data.tabular_sequence_testing_data.schema.select_by_tag([Tags.LIST])
    inputs = tr.TabularSequenceFeatures.from_schema(
        schema, max_sequence_length=20, continuous_projection=8, d_output=8, masking="mlm"
    )
    model = tr.XLNetConfig.build(d_model=8, n_head=2, n_layer=1, total_seq_length=20).to_torch_model(
        inputs, tr.NextItemPredictionTask(weight_tying=True)
    )
    batch = tr.data.tabular_sequence_testing_data.torch_synthetic_data(num_rows=4)
    output = model(batch, training=True)
    assert output["predictions"].shape == (len(output["labels"]), 51_997)
    assert torch.isfinite(output["loss"])


def test_events_become_sessions():
    schema = Schema(
        [
            ColumnSchema.create_categorical("visit", 9, tags=[Tags.SESSION_ID]),
            ColumnSchema.create_categorical("item", 9, tags=[Tags.ITEM_ID]),
            ColumnSchema.create_categorical("day", 9, tags=[Tags.SESSION]),
        ]
    )
    events = pd.DataFrame({"visit": [2, 1, 2, 2, 3], "item": [5, 6, 7, 8, 9], "day": [1, 2, 1, 1, 3]})
    sessions = data_utils.session_aggregator(schema, events, maximum_length=2, minimum_length=2)
    assert sessions.to_dict("list") == {"visit-first": [2], "day-first": [1], "item-list_trim": [[5, 7]]}
    with pytest.raises(ValueError, match="has the tag SESSION_ID: add it to the schema"):
        data_utils.session_aggregator(schema.select_by_name("item"), events)


def test_synthetic_sessions_follow_their_schema():
    schema = synthetic.synthetic_ecommerce_data_schema
    events = synthetic.generate_item_interactions(500, schema)
    assert set(events) == set(schema.column_names)
    assert events["category"].between(1, 99).all()
    assert events["purchase"].isin([0, 1, 2]).all()
    assert events.groupby("item_id")["category"].nunique().max() == 1
    sessions = synthetic.generate_session_interactions(2000, schema, maximum_length=3, minmum_length=2)
    assert sessions["item_id-list_trim"].str.len().isin([2, 3]).all()
    assert {"day-first", "price-first", "category-list_trim"} < set(sessions)


def test_consecutive_and_first_seen():
    events = pd.DataFrame(
        {"session_id": [1, 1, 1, 2], "item_id": [7, 7, 8, 8], "timestamp": [2, 1, 3, 0]}, index=[0, 1, 2, 3]
    )
    kept = data_utils.remove_consecutive_interactions(events)
    assert kept.index.tolist() == [1, 2, 3]
    seen = data_utils.add_item_first_seen_col_to_df(events)
    assert seen[data_utils.FIRST_SEEN_ITEM_COL_NAME].tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize("kind", ["frame", "table", "path"])
def test_time_based_splits(tmp_path, kind):
    frame = pd.DataFrame({"day_idx": [1] * 50 + [2] * 10, "ts/first": range(60, 0, -1), "x": range(60)})
    pq.write_table(pa.Table.from_pandas(frame), tmp_path / "all.parquet")
    data = {"frame": frame, "table": pa.Table.from_pandas(frame), "path": str(tmp_path / "all.parquet")}
    folder = tmp_path / "days"
    (folder / "old").mkdir(parents=True)
    data_utils.save_time_based_splits(data[kind], str(folder), val_size=0.2, test_size=0.2)
    assert sorted(day.name for day in folder.iterdir()) == ["1", "2"]
    parts = {name: pd.read_parquet(folder / "1" / f"{name}.parquet") for name in ("train", "valid", "test")}
    # Of the first 50 numbers that NumPy draws under seed 1, 31 lie up to 0.6 and 9 more up to 0.8.
    assert [len(part) for part in parts.values()] == [31, 9, 10]
    rows = pd.concat(parts.values())
    assert sorted(rows["x"]) == list(range(50))
    assert all(part["ts/first"].is_monotonic_increasing for part in parts.values())
    assert "day_idx" not in rows
    with pytest.raises(ValueError, match=r"test_size=0.6 and val_size=0.5 are more than 1"):
        data_utils.save_time_based_splits(frame, str(folder), val_size=0.5, test_size=0.6)


class _Trainer:
    """Notes what it is asked."""

    def __init__(self):
        self.calls = []

    def reset_lr_scheduler(self):
        self.calls.append("reset")

    def train(self):
        self.calls.append(self.train_dataset_or_path)

    def evaluate(self, metric_key_prefix):
        self.calls.append(self.eval_dataset_or_path)
        return {f"{metric_key_prefix}_/next-item/ndcg_at_10": len(self.calls), "eval_/loss": 1.0}


def test_fit_and_evaluate(tmp_path, capsys):
    for day in (1, 2, 3):
        (tmp_path / str(day)).mkdir()
        for name in ("train", "valid"):
            (tmp_path / str(day) / f"{name}.parquet").touch()
    trainer = _Trainer()
    results = examples_utils.fit_and_evaluate(trainer, 1, 2, str(tmp_path))
    assert results == {"indexed_by_time_eval_/next-item/ndcg@10": [3, 6]}
    files = [[str(tmp_path / path)] for path in ("1/train.parquet", "2/valid.parquet", "2/train.parquet")]
    assert trainer.calls[:5] == ["reset", files[0], files[1], "reset", files[2]]
    assert "***** Launch training for day 2: *****" in capsys.readouterr().out
    examples_utils.list_files(str(tmp_path / "1"))
    assert capsys.readouterr().out.splitlines()[0] == "1/"


def test_visualize_response(capsys):
    class Response:
        def as_numpy(self, name):
            assert name == "output"
            return torch.tensor([[0.1, 0.9, 0.2], [0.7, 0.1, 0.1]]).numpy()

    batch = pd.DataFrame({"session_id": [11, 11, 12]})
    examples_utils.visualize_response(batch, Response(), top_k=1)
    said = capsys.readouterr().out
    assert "session `11`: 1\n" in said
    assert "session `12`: 0\n" in said
