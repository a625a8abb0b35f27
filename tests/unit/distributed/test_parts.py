"""Answers by parts, as processes and tasks of Dask share them out."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from merlin_models_torch.distributed.dask import predict_with_dask
from tests.unit.distributed.data_parallel import FILES, small_model, write_files


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    write_files(folder)
    return folder


@pytest.mark.parametrize("parts", [1, 3, sum(FILES) + 2])
def test_parts_one_after_the_other_are_the_answers_of_the_whole(
    parts: int, data: Path, tmp_path: Path
) -> None:
    model = small_model().eval()
    for number in range(parts):
        model.predict_to_parquet(data, tmp_path / "out", k=4, keys=["user_id"], part=(number, parts))
    found = pa.concat_tables([pq.read_table(path) for path in sorted((tmp_path / "out").iterdir())])
    expected = model.predict(data, k=4, keys=["user_id"])
    assert found.replace_schema_metadata().drop(["score"]).equals(expected.drop(["score"]))
    assert found["user_id"].to_pylist() == [f"user {number}" for number in range(sum(FILES))]


def test_a_part_that_is_there_is_left_and_another_question_is_refused(data: Path, tmp_path: Path) -> None:
    model = small_model().eval()
    path = model.predict_to_parquet(data, tmp_path, k=4, part=(1, 2)) / "part-00001-of-00002.parquet"
    written = path.stat().st_mtime_ns
    model.predict_to_parquet(data, tmp_path, k=4, part=(1, 2))
    assert path.stat().st_mtime_ns == written
    with pytest.raises(FileExistsError, match=r"part-00001-of-00002.parquet holds something else"):
        model.predict_to_parquet(data, tmp_path, k=5, part=(1, 2))


def test_a_part_that_there_is_not_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"part is \(2, 2\), expected the number of a part, from 0, and how"):
        small_model().predict_to_parquet(data, tmp_path / "out", k=4, part=(2, 2))


def test_dask_is_asked_for_by_its_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "dask", None)
    with pytest.raises(ImportError, match=r"pip install 'merlin-models-torch\[dask\]'"):
        predict_with_dask(tmp_path, tmp_path, tmp_path, parts=2, k=3)
    with pytest.raises(ValueError, match="parts is 0, expected at least 1"):
        predict_with_dask(tmp_path, tmp_path, tmp_path, parts=0, k=3)
