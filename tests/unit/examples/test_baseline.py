import math
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from merlin_models_torch.data import SessionFiles, Vocabulary
from merlin_models_torch.examples.baseline import item_counts, popular_items, popularity_metrics
from merlin_models_torch.schema import ColumnSchema, Schema, Tags

SCHEMA = Schema(
    [
        ColumnSchema(
            "film",
            tags=[Tags.ITEM_ID, Tags.CATEGORICAL],
            dtype="int64",
            is_list=True,
            is_ragged=True,
            properties={"domain": {"min": 0, "max": 6, "name": "film"}},
        )
    ]
)
# Rows 2 to 6 of the catalogue; the order by popularity is 2, 3, then 4 and 5 with equal counts, then 6.
TRAIN = [[2, 3, 2], [2, 1, 3, 4], [1, 5]]


@pytest.fixture
def files(tmp_path):
    return prepare(tmp_path, [[3, 2], [2, 3, 4], [2, 5, 3], [2], [4, 1], [2, 3, 2]])


def prepare(folder, test):
    for name, sessions in (("train", TRAIN), ("test", test)):
        pq.write_table(
            pa.table({"film": pa.array(sessions, pa.list_(pa.int64()))}), folder / f"{name}.parquet"
        )
    vocabulary = Vocabulary(pa.array(["two", "three", "four", "five", "six"]))
    train, test = (folder / "train.parquet",), (folder / "test.parquet",)
    return SessionFiles(folder, train, (), test, SCHEMA, {"film": vocabulary}, {})


def test_counts_leave_out_padding_and_unknown_items(files):
    assert item_counts(files).tolist() == [0, 0, 3, 2, 1, 1, 0]
    assert torch.equal(item_counts(files, batch_size=1), item_counts(files))


def test_popular_items_have_their_original_ids_and_ties_the_order_of_the_catalogue(files):
    assert popular_items(files, k=5) == ["two", "three", "four", "five", "six"]


def test_measures_follow_from_the_rank_of_the_last_item(files):
    # Targets 2, 4, 3, unknown, 2 have the ranks 1, 3, 2, none, 1; the session of one item asks nothing.
    values = popularity_metrics(files, top_ks=(1, 2, 5))
    assert values == pytest.approx(
        {
            "hit_rate_at_1": 2 / 5,
            "hit_rate_at_2": 3 / 5,
            "hit_rate_at_5": 4 / 5,
            "ndcg_at_1": 2 / 5,
            "ndcg_at_2": (2 + 1 / math.log2(3)) / 5,
            "ndcg_at_5": (2 + 1 / math.log2(3) + 1 / 2) / 5,
            "mrr_at_1": 2 / 5,
            "mrr_at_2": (2 + 1 / 2) / 5,
            "mrr_at_5": (2 + 1 / 2 + 1 / 3) / 5,
        }
    )


def test_seen_items_are_no_answers_when_excluded(files):
    # Without what each session has seen, the targets 2, 4 and 3 come first; the last session's 2 was seen.
    values = popularity_metrics(files, metrics=("hit_rate",), top_ks=(1, 3), exclude_seen=True)
    assert values == pytest.approx({"hit_rate_at_1": 3 / 5, "hit_rate_at_3": 3 / 5})


def test_the_size_of_batches_changes_nothing(files):
    assert popularity_metrics(files, top_ks=(2,), batch_size=1) == popularity_metrics(files, top_ks=(2,))


def test_a_missing_test_split_is_named(files):
    with pytest.raises(ValueError, match=r"no test split: prepare it with split='leave-one-out'"):
        popularity_metrics(replace(files, test=()))


def test_more_answers_than_items_are_refused(files):
    with pytest.raises(
        ValueError, match="k is 6, but the catalogue has 7 items less 2 that are never answered"
    ):
        popularity_metrics(files, top_ks=(6,))
