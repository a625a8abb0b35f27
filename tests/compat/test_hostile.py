"""Saved models of the drop-in that were made to do harm, or damaged: nothing foreign is built or run."""

import hashlib
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save
from transformers4rec import torch as tr
from transformers4rec.torch.model._saved import SavedModelError

from merlin_models_torch.storage.manifest import own_digest
from tests.compat.small import model

NAME = "t4rec_model_class"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile") / "model"
    model().save(folder)
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "model"))


def refused(folder: Path, said: str) -> None:
    with pytest.raises(SavedModelError, match=said) as caught:
        tr.Model.load(folder)
    assert str(folder) in str(caught.value)


def changed(folder: Path, change: Callable[[Any], None], weights: bytes | None = None) -> None:
    """Every object of the config changed, with digests that fit, as one who wants to do harm would."""
    path, stored = folder / f"{NAME}.json", folder / f"{NAME}.safetensors"
    said = json.loads(path.read_text())
    del said["digest"]
    every(said["model"], change)
    if weights is not None:
        stored.write_bytes(weights)
        said["sha256"] = hashlib.sha256(weights).hexdigest()
    path.write_text(json.dumps({**said, "digest": own_digest(said)}, indent=1))


def every(value: Any, change: Callable[[Any], None]) -> None:
    """Calls a function with each JSON object, from the outside inwards."""
    if isinstance(value, dict):
        change(value)
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        every(inner, change)


@pytest.mark.parametrize("name", [f"{NAME}.json", f"{NAME}.safetensors"])
def test_any_changed_byte_is_refused(name: str, folder: Path) -> None:
    content, rng = (folder / name).read_bytes(), random.Random(name)
    for _ in range(40):
        place = rng.randrange(len(content))
        other = bytes([(content[place] + rng.randrange(1, 256)) % 256])
        (folder / name).write_bytes(content[:place] + other + content[place + 1 :])
        refused(folder, r"was changed|is no JSON|is not of format")
    (folder / name).write_bytes(content)
    assert isinstance(tr.Model.load(folder), tr.Model)


@pytest.mark.parametrize(
    "path",
    [
        "subprocess:Popen",
        "builtins:eval",
        "torch.hub:load",
        "transformers.models.auto.auto_factory:importlib",
        "transformers4rec.torch.model._saved.names:importlib.import_module",
        "transformers4rec_evil:A",
        "transformers4rec.torch..model:Model",
        "../evil:A",
        ":",
        "",
    ],
)
def test_foreign_classes_are_not_built(path: str, folder: Path) -> None:
    def change(value: Any) -> None:
        for kind in ("object", "layer", "config", "model", "metric", "function", "type"):
            if isinstance(value.get(kind), str):
                value[kind] = path

    changed(folder, change)
    refused(folder, "the saved model (names|holds)|cannot be built")


@pytest.mark.parametrize("name", ["__init__", "__class__", "_modules", "__reduce__", "training", "gone"])
def test_what_is_no_method_is_not_taken_from_an_object(name: str, folder: Path) -> None:
    def change(value: Any) -> None:
        if "state" in value and "children" in value:
            value["state"]["taken"] = {"method": name, "of": {"same": value["id"]}}

    changed(folder, change)
    refused(folder, "the saved model holds")


def test_the_class_of_an_object_is_not_changed(folder: Path) -> None:
    def change(value: Any) -> None:
        if "state" in value:
            value["state"]["__class__"] = {"type": "transformers4rec.torch.trainer:Trainer"}

    changed(folder, change)
    refused(folder, "the saved model holds")


@pytest.mark.parametrize("name", ["forward", "state_dict", "_call_impl"])
def test_no_attribute_takes_the_place_of_a_method(name: str, folder: Path) -> None:
    """A model whose ``forward`` is another's ``save`` would write where its maker likes."""

    def change(value: Any) -> None:
        if "state" in value and "children" in value:
            value["state"][name] = {"method": "half", "of": {"same": value["id"]}}

    changed(folder, change)
    refused(folder, f"the saved model holds .*{name}")


@pytest.mark.parametrize("size", [10**9, 10**12, 10**30, -1])
def test_sizes_that_the_weights_do_not_have_are_refused(size: int, folder: Path) -> None:
    sizes = {"in_features", "out_features", "num_embeddings", "embedding_dim", "d_model", "vocab_size"}

    def change(value: Any) -> None:
        for held in (value.get("args"), value.get("values")):
            if isinstance(held, dict):
                held.update(dict.fromkeys(sizes & set(held), size))

    changed(folder, change)
    refused(folder, "cannot be built")


def test_weights_that_claim_what_is_not_there_are_refused(folder: Path) -> None:
    header = json.dumps({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
    changed(folder, lambda value: None, len(header).to_bytes(8, "little") + header + b"\0" * 64)
    refused(folder, "cannot be built")
    changed(folder, lambda value: None, save({"other": torch.ones(3)}))
    refused(folder, "the weights lack")


def test_values_nested_beyond_what_is_read_are_refused(folder: Path) -> None:
    nested: Any = 1
    for _ in range(400):
        nested = {"tuple": [nested]}
    path = folder / f"{NAME}.json"
    said = {"format": 1, "sha256": json.loads(path.read_text())["sha256"], "model": nested}
    path.write_text(json.dumps({**said, "digest": own_digest(said)}, indent=1))
    refused(folder, "cannot be built|holds a tuple")
