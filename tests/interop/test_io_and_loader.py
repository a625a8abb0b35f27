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
