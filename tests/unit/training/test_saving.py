"""Saved folders: bit-equal answers, and every kind of damage refused by name before anything is built."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

import merlin_models_torch as mm
from merlin_models_torch.serialize import ConfigError
from merlin_models_torch.storage.manifest import digest_of, own_digest
from merlin_models_torch.training import SavedModelError
from tests.unit.schemas import ITEMS, session_schema
from tests.unit.sessions import session_batch, session_model, session_table


@pytest.fixture
def model() -> mm.Model:
    torch.manual_seed(0)
    model = session_model(mm.RandomMasking(probability=0.2), body="xlnet", bias=True)
    model.vocabularies["item_id"] = mm.Vocabulary(pa.array([f"item {n}" for n in range(2, ITEMS + 1)]))
    return model


@pytest.fixture
def folder(model: mm.Model, tmp_path: Path) -> Path:
    return model.save(tmp_path / "model")


def resigned(folder: Path) -> None:
    """Makes the manifest fit the files, as one who wants to do harm would."""
    names = [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()]
    manifest = {
        "format": 1,
        "files": {n: digest_of(folder / n) for n in sorted(names) if n != "manifest.json"},
    }
    (folder / "manifest.json").write_text(json.dumps({**manifest, "digest": own_digest(manifest)}))


def test_a_loaded_model_gives_bit_equal_answers(model: mm.Model, folder: Path) -> None:
    loaded = mm.load(folder)
    assert loaded.predict(session_table(), k=5).equals(model.predict(session_table(), k=5))
    assert torch.equal(loaded(session_batch()), model.eval()(session_batch()))
    assert loaded.inputs.masking == model.inputs.masking
    assert loaded.optimizer == model.optimizer
    assert loaded.output.item_vectors is loaded.inputs.item_table.weight
    assert not loaded.training


def test_loaded_twice_saved_twice_is_the_same(folder: Path, tmp_path: Path) -> None:
    again = mm.load(folder).save(tmp_path / "again")
    for path in folder.rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (again / path.relative_to(folder)).read_bytes(), path.name


def test_nothing_in_the_folder_is_a_pickle(folder: Path) -> None:
    kinds = {path.suffix for path in folder.rglob("*") if path.is_file()}
    assert kinds == {".json", ".safetensors", ".pbtxt", ".parquet"}


def test_an_existing_folder_is_replaced_only_when_asked(model: mm.Model, folder: Path) -> None:
    (folder / "note.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="choose another folder or pass overwrite=True"):
        model.save(folder)
    with pytest.raises(FileExistsError, match=r"holds note.txt, which is not part of what was saved"):
        model.save(folder, overwrite=True)
    assert (folder / "note.txt").read_text() == "mine"
    (folder / "note.txt").unlink()
    model.save(folder, overwrite=True)
    assert mm.load(folder).predict(session_table(), k=2).num_rows == 24
    assert [p.name for p in folder.parent.iterdir()] == ["model"]


def test_a_folder_that_is_no_saved_model_is_never_replaced(model: mm.Model, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="was not saved by this and is not replaced"):
        model.save(tmp_path / "thesis", overwrite=True)
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "mine"


def test_a_model_that_cannot_be_saved_leaves_nothing_behind(model: mm.Model, tmp_path: Path) -> None:
    class Own(torch.nn.Identity):
        pass

    model.body.append(Own())
    with pytest.raises(ConfigError, match="Own cannot be written to a config"):
        model.save(tmp_path / "other")
    assert [p.name for p in tmp_path.iterdir()] == []


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "schema.pbtxt", "vocabulary/0.parquet"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(SavedModelError, match=f"{name} is missing in .*: restore it or save the model again"):
        mm.load(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "schema.pbtxt", "vocabulary/0.parquet"])
def test_a_changed_byte_is_refused(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(SavedModelError, match=f"{name} in .* was changed after it was written"):
        mm.load(folder)


def test_a_changed_or_missing_manifest_is_refused(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"size": 1', '"size": 2'))
    with pytest.raises(SavedModelError, match=r"manifest.json was changed"):
        mm.load(folder)
    path.unlink()
    with pytest.raises(SavedModelError, match=r"manifest.json cannot be read .*save the model again"):
        mm.load(folder)


def test_a_foreign_file_is_named(folder: Path) -> None:
    (folder / "extra.pkl").write_bytes(b"\x80\x04.")
    with pytest.raises(SavedModelError, match=r"extra.pkl in .* is not part of what was written"):
        mm.load(folder)
    (folder / "extra.pkl").unlink()
    os.symlink(folder.parent, folder / "elsewhere")
    with pytest.raises(SavedModelError, match=r"elsewhere in .* is not part of what was written"):
        mm.load(folder)


def test_no_folder_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(SavedModelError, match=r"is not a folder: give the path that was passed to save"):
        mm.load(tmp_path / "nothing")


def test_links_and_paths_out_of_the_folder_are_refused(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "weights"
    shutil.copy(folder / "model.safetensors", outside)
    (folder / "model.safetensors").unlink()
    os.symlink(outside, folder / "model.safetensors")
    with pytest.raises(SavedModelError, match=r"'model.safetensors', which is no plain file inside it"):
        mm.load(folder)
    for name in ("../weights", "/etc/hostname", "a/../../weights"):
        manifest = {"format": 1, "files": {"config.json": {}, name: {}}}
        (folder / "manifest.json").write_text(json.dumps({**manifest, "digest": own_digest(manifest)}))
        with pytest.raises(SavedModelError):
            mm.load(folder)


def test_a_config_cannot_name_files_outside_the_folder(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "vocabulary" / "0.parquet", tmp_path / "secret.parquet")
    path = folder / "config.json"
    whole = path.read_text()
    path.write_text(whole.replace("vocabulary/0.parquet", "../secret.parquet"))
    resigned(folder)
    with pytest.raises(
        SavedModelError, match=r"names '../secret.parquet', which is not part of the saved model"
    ):
        mm.load(folder)
    np.save(tmp_path / "secret.npy", np.zeros((31, 4)))
    hostile = {
        "class": "merlin_models_torch.inputs.pretrained:PretrainedEmbeddings",
        "id": 0,
        "args": {"path": str(tmp_path / "secret.npy")},
    }
    path.write_text(json.dumps({**json.loads(whole), "model": hostile}))
    resigned(folder)
    with pytest.raises(ConfigError, match=r"secret.npy', which is not kept with it"):
        mm.load(folder)


def test_vectors_that_the_model_reads_are_saved_with_it(tmp_path: Path) -> None:
    vectors = tmp_path / "vectors.npy"
    np.save(vectors, np.random.default_rng(0).random((8, 5), dtype=np.float32))
    inputs = mm.TabularInputBlock(
        session_schema(),
        embeddings={"category": mm.PretrainedEmbeddings(vectors, dim=4)},
        masking=mm.CausalMasking(),
    )
    model = mm.Model(inputs, mm.MLPBlock([8]), mm.CategoricalOutput(weight_tying=True))
    expected = model.predict(session_table(), k=3)
    folder = model.save(tmp_path / "model")
    assert (folder / "files" / "0.npy").read_bytes() == vectors.read_bytes()
    vectors.unlink()
    moved = folder.rename(tmp_path / "elsewhere")
    assert mm.load(moved).predict(session_table(), k=3).equals(expected)


def test_a_class_of_another_package_is_not_built(folder: Path) -> None:
    path = folder / "config.json"
    path.write_text(path.read_text().replace("merlin_models_torch.blocks.mlp:MLPBlock", "subprocess:Popen"))
    resigned(folder)
    with pytest.raises(ConfigError, match=r"'subprocess:Popen', which is not of a trusted package"):
        mm.load(folder)


def test_weights_that_do_not_fit_are_named(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    weights["output.bias"] = weights["output.bias"][:-1].clone()
    save_file(weights, folder / "model.safetensors")
    resigned(folder)
    with pytest.raises(SavedModelError, match=r"do not fit its config: output.bias"):
        mm.load(folder)


def test_a_newer_format_says_which_version_to_use(folder: Path) -> None:
    path = folder / "config.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 99'))
    resigned(folder)
    with pytest.raises(SavedModelError, match="has format 99, this version reads 1"):
        mm.load(folder)
