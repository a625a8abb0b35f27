"""Answers by the workers of Dask, which Merlin's encoders used."""

import doctest
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import merlin_models_torch as mm
from merlin_models_torch.distributed import predict_with_dask
from tests.unit.sessions import session_model, session_table

pytest.importorskip("dask")

pytestmark = pytest.mark.filterwarnings("ignore")  # Dask under newer libraries


@pytest.mark.parametrize("scheduler", ["threads", "processes"])
def test_tasks_answer_what_one_process_does(scheduler: str, tmp_path: Path) -> None:
    data = tmp_path / "sessions.parquet"
    pq.write_table(session_table(23), data, row_group_size=4)
    folder = session_model().eval().save(tmp_path / "model")
    answers = predict_with_dask(folder, str(data), tmp_path / "answers", parts=3, k=4, scheduler=scheduler)
    paths = sorted(answers.iterdir())
    assert [path.name for path in paths] == [f"part-0000{number}-of-00003.parquet" for number in range(3)]
    found = pa.concat_tables([pq.read_table(path) for path in paths]).replace_schema_metadata()
    expected = mm.load(folder).predict(data, k=4)
    assert found.drop(["score"]).equals(expected.drop(["score"]))


def test_the_example_of_the_docstring_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pq.write_table(session_table(9), "test.parquet")
    files = SimpleNamespace(test=["test.parquet"])
    names = {"model": session_model().eval(), "files": files, "predict_with_dask": predict_with_dask}
    (example,) = doctest.DocTestFinder().find(predict_with_dask, "predict_with_dask", globs=names)
    said: list[str] = []
    result = doctest.DocTestRunner().run(example, out=said.append)
    assert result == (0, 2), "".join(said)


def test_a_client_of_dask_distributed_is_used(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    data = tmp_path / "sessions.parquet"
    pq.write_table(session_table(9), data)
    folder = session_model().eval().save(tmp_path / "model")
    with distributed.Client(processes=False, n_workers=1, dashboard_address=None) as client:
        answers = predict_with_dask(folder, str(data), tmp_path / "answers", parts=2, k=4)
        assert client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.transition_counter) > 0
    assert sum(pq.read_metadata(path).num_rows for path in answers.iterdir()) == 9
