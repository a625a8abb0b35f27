"""A byte that was changed, anywhere in a folder that was saved, exported or prepared, is noticed."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import merlin_models_torch as mm
from merlin_models_torch.data import DataError, SessionFiles
from merlin_models_torch.exporting.reader import ExportedModel
from merlin_models_torch.training import SavedModelError
from tests.unit.models.ranking import CLICK
from tests.unit.sessions import session_model


def saved(folder: Path) -> Path:
    torch.manual_seed(0)
    model = session_model()
    model.vocabularies["item_id"] = mm.Vocabulary(pa.array([f"item {n}" for n in range(29)]))
    return model.save(folder / "model")


def exported(folder: Path) -> Path:
    torch.manual_seed(0)
    return mm.export(mm.DLRMModel(CLICK, embedding_dim=8, bottom=[8], top=[16]), folder / "export")


def prepared(folder: Path) -> Path:
    events = mm.data.generate_sessions(60, 30, seed=0)
    return mm.data.sessions_from_events(
        events, folder / "sessions", user="session_id", time="timestamp", split="time-window", window=4
    ).folder


KINDS: dict[str, tuple[Callable[[Path], Path], Callable[[Path], Any], type[ValueError]]] = {
    "model": (saved, mm.load, SavedModelError),
    "export": (exported, ExportedModel, ValueError),
    "sessions": (prepared, SessionFiles.load, DataError),
}


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    make, read, error = KINDS[request.param]
    folder = make(tmp_path_factory.mktemp("changed"))
    read(folder)
    return folder, read, error


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_changed_byte_is_refused(kind: Any, data: Any) -> None:
    folder, read, error = kind
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    path = data.draw(st.sampled_from(files))
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    changed = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[place]))
    way = data.draw(st.sampled_from(["changed", "added", "cut", "lost"]))
    content = {
        "changed": whole[:place] + bytes([changed]) + whole[place + 1 :],
        "added": whole[:place] + bytes([changed]) + whole[place:],
        "cut": whole[:place],
        "lost": b"",
    }[way]
    try:
        path.write_bytes(content)
        if way == "lost":
            path.unlink()
        with pytest.raises(error) as caught:
            read(folder)
        assert str(folder) in str(caught.value)
    finally:
        path.write_bytes(whole)


def test_a_window_that_was_taken_away_is_missed(tmp_path: Path) -> None:
    folder = prepared(tmp_path)
    (folder / "window-0002.parquet").unlink()
    with pytest.raises(DataError, match=r"window-0002\.parquet is missing in .*prepare the sessions again"):
        SessionFiles.load(folder)


def test_a_file_that_was_added_is_named(tmp_path: Path) -> None:
    folder = prepared(tmp_path)
    shutil.copy(folder / "window-0000.parquet", folder / "window-0009.parquet")
    with pytest.raises(DataError, match=r"window-0009\.parquet in .* is not part of what was written"):
        SessionFiles.load(folder)


def test_large_data_may_be_compared_by_name_and_size_alone(tmp_path: Path) -> None:
    folder = prepared(tmp_path)
    path = folder / "window-0001.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert len(SessionFiles.load(folder, contents=False).windows) == 4
    path.write_bytes(content[:-1])
    with pytest.raises(DataError, match=r"window-0001\.parquet in .* was changed after it was written"):
        SessionFiles.load(folder, contents=False)
