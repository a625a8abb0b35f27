"""The program of the README runs as it stands, on events of its columns."""

import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import merlin_models_torch as mm

README = Path(__file__).parents[2] / "README.md"


# A user's Trainer without a logger argument says which one it takes.
@pytest.mark.filterwarnings("ignore:Starting from v1.9.0, `tensorboardX`:UserWarning")
@pytest.mark.filterwarnings("ignore:The number of training batches:UserWarning")
def test_sixty_seconds_of_the_new_api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.S)[0]
    assert "max_epochs=10" in program
    events = mm.data.generate_sessions(80, 40, seed=0).rename_columns({"session_id": "user_id"})
    pq.write_table(events, tmp_path / "events.parquet")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(program.replace("max_epochs=10", "max_epochs=1"), "README.md", "exec"), names)
    answers, model = names["answers"], names["model"]
    assert answers.column_names == ["user_id", "item_id", "score"]  # type: ignore[attr-defined]
    assert answers.num_rows == pq.read_metadata(tmp_path / "sessions" / "test.parquet").num_rows  # type: ignore[attr-defined]
    again = model.predict(tmp_path / "sessions" / "test.parquet", k=10, exclude_seen=True)  # type: ignore[attr-defined]
    assert again.equals(answers)
