"""A disk that is full: one error that names the path and says what to do, nothing left, the rerun works."""

import gc
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import merlin_models_torch as mm
from merlin_models_torch.data import DataError
from merlin_models_torch.inputs.vector_file import save_vectors
from merlin_models_torch.storage import WriteError
from tests.unit.models.ranking import CLICK
from tests.unit.sessions import session_model, session_table

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")


@contextmanager
def room(size: int) -> Iterator[None]:
    """No file may get larger: writing more fails in whatever library it is, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.fixture
def without_collection() -> Iterator[None]:
    """Nothing is cleared away by chance: what a failed write leaves open stays open."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def open_in(folder: Path) -> list[str]:
    """The files of a folder that this process has open, removed ones too."""
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return [str(file) for file in map(os.readlink, links) if str(file).startswith(f"{folder}/")]


def save(folder: Path) -> Path:
    torch.manual_seed(0)
    return session_model().save(folder / "model", overwrite=True)


def export(folder: Path, format: Any = "torch") -> Path:
    torch.manual_seed(0)
    model = mm.DLRMModel(CLICK, embedding_dim=8, bottom=[8], top=[16])
    return mm.export(model, folder / "export", format=format)


def export_onnx(folder: Path) -> Path:
    pytest.importorskip("onnxscript", reason="the extra 'onnx' is not installed here")
    return export(folder, "onnx")


def export_triton(folder: Path) -> Path:
    pytest.importorskip("onnxscript", reason="the extra 'onnx' is not installed here")
    return export(folder, "triton")


def predict(folder: Path) -> Path:
    torch.manual_seed(0)
    return session_model().predict_to_parquet(session_table(), folder / "answers", k=3) / "answers.parquet"


def prepare(folder: Path) -> Path:
    events = mm.data.generate_sessions(60, 30, seed=0)
    return mm.data.sessions_from_events(events, folder / "sessions", user="session_id", overwrite=True).folder


def vocabulary(folder: Path) -> Path:
    return mm.Vocabulary(pa.array([f"item {n}" for n in range(500)])).save(folder / "items.parquet")


def vectors(folder: Path) -> Path:
    known = mm.Vocabulary(pa.array(range(500)))
    return save_vectors(folder / "vectors.npy", np.ones((500, 4)), ids=range(500), vocabulary=known)


def schema(folder: Path) -> Path:
    session_model().schema.save(folder / "schema.pbtxt")
    return folder / "schema.pbtxt"


WRITERS: list[tuple[Callable[[Path], Path], int]] = [
    (save, 50),
    (save, 3000),
    (export, 50),
    (export, 9000),
    (export_onnx, 50),
    (export_onnx, 9000),
    (export_triton, 9000),
    (predict, 50),
    (prepare, 50),
    (prepare, 1500),
    (vocabulary, 50),
    (vectors, 50),
    (schema, 50),
]


@pytest.mark.parametrize(("write", "size"), WRITERS, ids=[f"{w.__name__} {s}" for w, s in WRITERS])
@pytest.mark.usefixtures("without_collection")
def test_a_full_disk_is_said_and_leaves_nothing(write: Any, size: int, tmp_path: Path) -> None:
    with room(size), pytest.raises(WriteError) as caught:
        write(tmp_path)
    said = str(caught.value)
    del caught
    assert open_in(tmp_path) == []
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert left == []
    place = write(tmp_path)
    assert said.startswith(f"{place} could not be written (")
    assert "and is as it was before: make room on the disk, or see to it that" in said
    assert ".part" not in said
    assert [path.name for path in tmp_path.rglob(".*")] == []


def test_a_compiled_program_on_a_disk_that_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which(os.environ.get("CXX", "g++")) is None:
        pytest.skip("there is no C++ compiler")
    pytest.importorskip("onnxscript", reason="compiling takes long: only where all extras are installed")
    scratch, out = tmp_path / "scratch", tmp_path / "out"
    scratch.mkdir()
    out.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.setenv("TMPDIR", str(scratch))
    # What Python writes to compile it, and what the compiler writes.
    for size in (50, 60_000):
        with room(size), pytest.raises(WriteError) as caught:
            export(out, "aoti")
        assert str(caught.value).startswith(f"{scratch}/")
        assert "could not be written (File" in str(caught.value)
        assert f"make room on the disk, or see to it that {scratch} may be written to" in str(caught.value)
        assert [path for path in tmp_path.rglob("*") if path not in (scratch, out)] == []
    folder = export(out, "aoti")
    assert [path.name for path in out.iterdir()] == ["export"]
    assert list(scratch.iterdir()) == []
    torch._inductor.aoti_load_package(str(folder / "model.pt2"))


def test_what_was_there_stays_when_the_disk_is_full(tmp_path: Path) -> None:
    place = save(tmp_path)
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    with room(3000), pytest.raises(WriteError, match=r"model could not be written"):
        save(tmp_path)
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    mm.load(place)


@pytest.mark.usefixtures("without_collection")
def test_files_of_answers_that_were_whole_stay(tmp_path: Path) -> None:
    model = session_model()
    for number, rows in enumerate((10, 4000)):
        pq.write_table(session_table(rows, seed=number), tmp_path / f"day-{number}.parquet")
    files = [tmp_path / "day-0.parquet", tmp_path / "day-1.parquet"]
    with room(20_000), pytest.raises(WriteError, match=r"day-1\.parquet could not be written"):
        model.predict_to_parquet(files, tmp_path / "out", k=3)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["day-0.parquet"]
    assert open_in(tmp_path) == []
    first = (tmp_path / "out" / "day-0.parquet").stat().st_mtime_ns
    model.predict_to_parquet(files, tmp_path / "out", k=3)
    assert (tmp_path / "out" / "day-0.parquet").stat().st_mtime_ns == first
    assert pq.read_table(tmp_path / "out").num_rows == 4010


def test_a_folder_that_may_not_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    for write in (save, predict, vocabulary, schema):
        with pytest.raises((OSError, DataError), match="file"):
            write(tmp_path / "file")


@pytest.mark.usefixtures("without_collection")
def test_a_real_file_system_without_room(tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("file systems may not be mounted here")
    try:
        (place / "ballast").write_bytes(os.urandom(52_000))
        for write in (save, export, prepare):
            with pytest.raises(WriteError, match=r"could not be written \(.*[Nn]o space left"):
                write(place)
            assert [path.name for path in place.iterdir()] == ["ballast"]
        (place / "ballast").unlink()
        mm.load(save(place))
    finally:
        # Gone at once even where a file is still open: nobody else could remove the folder.
        still_open = open_in(place)
        subprocess.run(["umount", "--lazy", str(place)], check=True)
    assert still_open == []
