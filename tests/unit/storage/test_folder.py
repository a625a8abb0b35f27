"""Folders and files that are whole or not there, and what was left of earlier ones."""

import os
from pathlib import Path

import pytest

from merlin_models_torch.storage import SavedFolderError, new_folder, verify, whole_file
from merlin_models_torch.storage import folder as folders

fcntl = pytest.importorskip("fcntl", reason="locks of Unix")


def made(place: Path, text: str) -> Path:
    with new_folder(place, overwrite=True) as work:
        (work / "part").mkdir()
        (work / "part" / "a.txt").write_text(text)
    return place


@pytest.mark.parametrize("at_once", [True, False])
def test_a_folder_is_replaced(at_once: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not at_once:
        monkeypatch.setattr(folders, "_exchanged", lambda *_: False)
    place = made(tmp_path / "model", "one")
    made(place, "two")
    assert (place / "part" / "a.txt").read_text() == "two"
    assert verify(place, again="write it again") == {"part/a.txt"}
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_folders_change_places_in_one_step(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for place in (one, other):
        place.mkdir()
        (place / place.name).touch()
    if not folders._exchanged(one, other):
        pytest.skip("this file system cannot exchange names")
    assert [path.name for path in one.iterdir()] == ["other"]
    assert [path.name for path in other.iterdir()] == ["one"]


def test_what_was_left_is_removed_and_what_is_being_written_is_not(tmp_path: Path) -> None:
    place, left, held = tmp_path / "model", tmp_path / f".{'a' * 32}.model", tmp_path / f".{'b' * 32}.model"
    other, link = tmp_path / f".{'c' * 32}.models", tmp_path / f".{'d' * 32}.model"
    for one in (left, held, other):
        one.mkdir()
        (one / "half").write_text("x")
    link.symlink_to(other)
    handle = os.open(held, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        made(place, "one")
        assert {path.name for path in tmp_path.iterdir()} == {"model", held.name, other.name, link.name}
    finally:
        os.close(handle)
    made(place, "two")
    assert {path.name for path in tmp_path.iterdir()} == {"model", other.name, link.name}
    assert (other / "half").read_text() == "x"


def test_a_folder_that_lost_its_name_gets_it_again(tmp_path: Path) -> None:
    place = made(tmp_path / "model", "one")
    place.rename(tmp_path / f".{'a' * 32}.old.model")
    with pytest.raises(FileExistsError, match="exists: choose another folder"), new_folder(place):
        pass
    assert (place / "part" / "a.txt").read_text() == "one"


def test_a_file_is_replaced_when_all_of_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    path.write_text("old")
    (tmp_path / f".{'a' * 32}.rows.parquet").write_text("half")
    with whole_file(path) as work:
        assert work.suffix == ".parquet"
        work.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    with pytest.raises(KeyError), whole_file(path) as work:
        work.write_text({}["something else"])
    assert path.read_text() == "new"
    assert [one.name for one in tmp_path.iterdir()] == ["rows.parquet"]


@pytest.mark.parametrize(
    "name", ["../a", "/etc/hostname", "a/../b", ".hidden", "a\x00b", "a/b/c", "a\\b", ""]
)
def test_names_that_lead_out_of_a_folder_are_refused(name: str, tmp_path: Path) -> None:
    import json

    from merlin_models_torch.storage.manifest import own_digest

    manifest = {"format": 1, "files": {name: {"size": 1, "sha256": "0"}}}
    (tmp_path / "manifest.json").write_text(json.dumps({**manifest, "digest": own_digest(manifest)}))
    with pytest.raises(SavedFolderError, match="which is no plain file inside it: do not use this folder"):
        verify(tmp_path, again="write it again")
