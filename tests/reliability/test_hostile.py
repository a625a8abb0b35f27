"""Folders made to do harm build and run nothing: each is refused by an error of ours that names its place."""

import json
import shutil
import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

import merlin_models_torch as mm
from merlin_models_torch.serialize import ConfigError
from merlin_models_torch.storage.manifest import digest_of, own_digest
from merlin_models_torch.training import SavedModelError
from tests.unit.sessions import session_model

REFUSED = (SavedModelError, ConfigError)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    model = session_model(bias=True)
    model.vocabularies["item_id"] = mm.Vocabulary(pa.array([f"item {n}" for n in range(29)]))
    return model.save(tmp_path_factory.mktemp("hostile") / "model")


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "model"))


def resigned(folder: Path) -> None:
    """Makes the manifest fit the files, as one who wants to do harm would."""
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    manifest = {"format": 1, "files": {n: digest_of(folder / n) for n in names if n != "manifest.json"}}
    (folder / "manifest.json").write_text(json.dumps({**manifest, "digest": own_digest(manifest)}))


def config_with(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """A config changed in one place, with a manifest that fits."""
    path = folder / "config.json"
    whole = json.loads(path.read_text())
    path.write_text(json.dumps(change(whole) or whole))
    resigned(folder)


def blocks(whole: dict[str, Any]) -> list[Any]:
    """The model's blocks in a config."""
    found: list[Any] = whole["model"]["args"]["blocks"]
    return found


def transformer(whole: dict[str, Any]) -> dict[str, Any]:
    """The arguments of the transformer in a config."""
    (found,) = [one["args"] for one in blocks(whole) if one["class"].endswith(":TransformerBlock")]
    return found


def refused(folder: Path, said: str) -> None:
    with pytest.raises(REFUSED, match=said) as caught:
        mm.load(folder)
    assert str(folder) in str(caught.value)


LAYER = {"class": "merlin_models_torch.blocks.mlp:MLPBlock", "id": 900, "args": {"units": [4]}}


@pytest.mark.parametrize(
    "path",
    [
        "subprocess:Popen",
        "os:system",
        "builtins:eval",
        "merlin_models_torch.cli:main",
        "merlin_models_torch.serialize:importlib",
        "merlin_models_torch.training.saving:load",
        "merlin_models_torch.data.loader:ParquetLoader",
        "torch.nn.modules.module:torch",
        "torch.nn.modules.lazy:importlib",
        "torch.hub:load",
        "merlin_models_torch:__getattr__",
        "merlin_models_torch..blocks:MLPBlock",
        ":",
        "",
        "merlin_models_torch.blocks.mlp:MLPBlock.forward",
        "merlin_models_torch\x00:x",
    ],
)
def test_what_is_no_block_of_a_trusted_package_is_not_called(path: str, folder: Path) -> None:
    config_with(folder, lambda whole: blocks(whole).__setitem__(1, {**LAYER, "class": path}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        refused(folder, "config names|cannot be built")


def test_a_class_that_has_only_the_name_of_a_trusted_package_is_not_imported(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "merlin_models_torch_evil.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    config_with(
        folder, lambda whole: blocks(whole).__setitem__(1, {**LAYER, "class": "merlin_models_torch_evil:A"})
    )
    refused(folder, "is not of a trusted package")


@pytest.mark.parametrize("size", [10**9, 10**12, 10**30, -1, 0, 1.5, "4", None, [4], {"tuple": [1, 2]}])
@pytest.mark.parametrize("argument", ["dim", "layers", "max_length", "heads", "feed_forward"])
def test_sizes_that_the_weights_do_not_have_are_refused(argument: str, size: Any, folder: Path) -> None:
    config_with(folder, lambda whole: transformer(whole).__setitem__(argument, size))
    refused(folder, ".")


@pytest.mark.parametrize("largest", [10**9, 10**12, 2**62])
def test_a_catalogue_that_the_weights_do_not_have_is_refused(largest: int, folder: Path) -> None:
    path = folder / "schema.pbtxt"
    text = path.read_text()
    assert text.count('name: "item_id"\n  type: INT\n  int_domain {') == 1 or "max: 30" in text
    path.write_text(text.replace("max: 30", f"max: {largest}"))
    resigned(folder)
    refused(folder, "allow for|more than|do not fit|could not|cannot be built")


@pytest.mark.parametrize("length", [10**9, 10**13])
def test_a_session_longer_than_any_memory_is_refused(length: int, folder: Path) -> None:
    config_with(folder, lambda whole: blocks(whole)[0]["args"].__setitem__("max_sequence_length", length))
    refused(folder, ".")


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 50_000 + "1" + "}" * 50_000,
        '{"format": 1, "format": 1}',
        '{"format": NaN}',
        '{"format": -Infinity}',
        '{"format": ' + "9" * 10_000 + "}",
        "[]",
        "null",
        '"text"',
        "",
        "\ufeff{}",
        '{"format": 1}',
        '{"format": 1, "schemas": 1000000000000, "files": [], "vocabularies": {}, "model": 1}',
        '{"format": 1, "schemas": true, "files": [], "vocabularies": {}, "model": 1}',
        '{"format": 1, "schemas": 0, "files": "abc", "vocabularies": {}, "model": 1}',
        '{"format": 1, "schemas": 0, "files": [[1]], "vocabularies": {}, "model": 1}',
        '{"format": 1, "schemas": 0, "files": [], "vocabularies": {"a": "config.json"}, "model": 1}',
        '{"format": 1, "schemas": 0, "files": [], "vocabularies": {}, "model": 1}',
    ],
    ids=range(18),
)
@pytest.mark.parametrize("name", ["config.json", "manifest.json"])
def test_text_that_is_no_config_or_manifest(name: str, text: str, folder: Path) -> None:
    (folder / name).write_text(text, encoding="utf-8")
    if name == "config.json":
        resigned(folder)
    with pytest.raises(ValueError) as caught:
        mm.load(folder)
    assert str(folder) in str(caught.value)


def test_values_nested_up_to_what_json_reads_are_refused(folder: Path) -> None:
    nested: Any = 1
    for _ in range(450):
        nested = [nested]
    for model in (nested, {"tuple": [nested]}, {"dict": [[nested, 1]]}, {"dict": [1]}, {"dict": [[1, 2, 3]]}):
        config_with(folder, lambda whole, model=model: {**whole, "model": model})  # type: ignore[misc]
        refused(folder, ".")


def header(declared: dict[str, Any], size: int | None = None) -> bytes:
    """A safetensors file that says what it holds, and holds little."""
    text = json.dumps(declared).encode()
    return struct.pack("<Q", len(text) if size is None else size) + text + b"\0" * 64


@pytest.mark.parametrize(
    "content",
    [
        header({"a": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 64]}}),
        header({"a": {"dtype": "F32", "shape": [2**41], "data_offsets": [0, 2**43]}}),
        header({"a": {"dtype": "F32", "shape": [16], "data_offsets": [-8, 64]}}),
        header({"a": {"dtype": "F99", "shape": [16], "data_offsets": [0, 64]}}),
        header({}, size=2**63),
        header({}, size=2**40),
        header({"a": {"dtype": "F32", "shape": [16], "data_offsets": [0, 64]}}),
        b"",
        b"\x80\x04cos\nsystem\n(S'true'\ntR.",
    ],
    ids=range(9),
)
def test_weights_that_claim_what_is_not_there(content: bytes, folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(content)
    resigned(folder)
    refused(folder, "is no whole safetensors file|do not fit its config")


class Opened:
    """Says that it was unpickled."""

    def __reduce__(self) -> Any:
        return (pytest.fail, ("unpickled",))


@pytest.mark.parametrize(
    "name", ["extra.pt", "model.ckpt", "files/0.npy", "vocabulary/0.parquet", "schema.pbtxt"]
)
def test_nothing_is_unpickled_whatever_its_name(name: str, folder: Path) -> None:
    import pickle

    path = folder / name
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, np.array([Opened()], dtype=object), allow_pickle=True)
        vectors = {
            "class": "merlin_models_torch.inputs.pretrained:PretrainedEmbeddings",
            "id": 902,
            "args": {"path": {"file": 0}},
        }
        config_with(folder, lambda whole: {**whole, "files": [name], "model": vectors})
    else:
        path.write_bytes(pickle.dumps(Opened()))
    resigned(folder)
    if name in ("extra.pt", "model.ckpt"):
        # Part of the manifest, and named by nothing.
        mm.load(folder)
        return
    with pytest.raises(ValueError) as caught:
        mm.load(folder)
    assert name.rpartition("/")[2] in str(caught.value)
