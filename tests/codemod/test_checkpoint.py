"""Legacy weights in the new model: names and shapes that 23.12.0 writes, and what must be refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from merlin_migrate.checkpoint import convert_state, load_weights
from merlin_migrate.cli import main
from merlin_migrate.weights import FILES, CheckpointError, read_weights
from safetensors.torch import save_file
from torch import Tensor, nn

import merlin_models_torch as mm

# Written by transformers4rec 23.12.0: names and shapes of models over the schema below.
SHAPES: dict[str, dict[str, list[int]]] = json.loads(
    (Path(__file__).parent / "legacy_state_dicts.json").read_text()
)
COPIES = re.compile(r"\.masking\.masked_item|prediction_task_dict.*(embedding_tables|item_embedding_table)")
ITEMS = "heads.0.body.0.to_merge.categorical_module.embedding_tables.item_id.weight"


def _schema() -> mm.Schema:
    lists = {"is_list": True, "is_ragged": True}
    categorical, continuous = mm.Tags.CATEGORICAL, mm.Tags.CONTINUOUS
    return mm.Schema(
        [
            mm.ColumnSchema(
                "item_id",
                tags=[mm.Tags.ITEM_ID, categorical],
                dtype="int64",
                properties={"domain": {"min": 0, "max": 50}},
                **lists,
            ),
            mm.ColumnSchema(
                "category",
                tags=[categorical],
                dtype="int64",
                properties={"domain": {"min": 0, "max": 7}},
                **lists,
            ),
            mm.ColumnSchema("price", tags=[continuous], dtype="float32", **lists),
            mm.ColumnSchema("age_days", tags=[continuous], dtype="float32", **lists),
        ]
    )


def _model(kind: str = "tied") -> mm.Model:
    width = 64 if kind == "tied" else 48
    masking = mm.RandomMasking() if kind == "tied" else mm.CausalMasking()
    inputs = mm.TabularInputBlock(
        _schema(), continuous_projection=32, projection=mm.MLPBlock([width]), masking=masking
    )
    body = mm.Block(inputs, mm.MLPBlock([width]), mm.XLNetBlock(width, heads=4, layers=1))
    return mm.Model(body, mm.CategoricalOutput(weight_tying=kind != "untied"))


def _state(kind: str = "tied") -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    state = {name: torch.randn(shape, generator=generator) for name, shape in SHAPES[kind].items()}
    for name in state:
        if COPIES.search(name):
            table = name.replace("item_embedding_table", "embedding_tables.item_id")
            table = re.sub(r".*\.(?=embedding_tables)", ITEMS.partition("embedding_tables")[0], table)
            mask = "heads.0.body.0._masking.masked_item_embedding"
            state[name] = state[mask if name.endswith("masked_item_embedding") else table]
    return state


@pytest.mark.parametrize("kind", list(SHAPES))
def test_every_weight_has_its_place(kind: str) -> None:
    model, state = _model(kind), _state(kind)
    converted = convert_state(state, model)
    assert set(converted) == {name for name, _ in model.named_parameters()}
    load_weights(model, state)
    assert torch.equal(model.inputs.item_table.weight, state[ITEMS])
    own = "heads.0.prediction_task_dict.next-item.pre.module.output_layer"
    assert torch.equal(model.output.item_vectors, state[own] if kind == "untied" else state[ITEMS])
    unused = {name for name in state if "mask_emb" in name or "word_embedding" in name}
    used = {tensor.data_ptr() for tensor in converted.values()}
    assert {name for name in state if state[name].data_ptr() not in used} == unused


def test_files_of_both_kinds_and_folders(tmp_path: Path) -> None:
    state = _state()
    torch.save(state, tmp_path / "pytorch_model.bin")
    single = {name: value for name, value in state.items() if not COPIES.search(name)}
    save_file(single, tmp_path / "some.safetensors")
    expected = convert_state(state, _model())
    for source in (tmp_path, tmp_path / "pytorch_model.bin", tmp_path / "some.safetensors"):
        found = convert_state(read_weights(source), _model())
        assert all(torch.equal(found[name], expected[name]) for name in expected)


class _RunsCode:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("executed"),)  # type: ignore[return-value]


def test_pickles_are_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"weights": _RunsCode()}, "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"holds more than weights, .* save model.state_dict\(\)"):
        read_weights("pytorch_model.bin")
    torch.save(nn.Linear(2, 2), "model.bin")
    with pytest.raises(CheckpointError, match="holds more than weights"):
        read_weights("model.bin")
    assert not (tmp_path / "executed").exists()


def test_pickled_models_are_explained_not_opened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pickled = tmp_path / "t4rec_model_class.pkl"
    pickled.write_bytes(b"not even looked at")
    text = (
        r"t4rec_model_class\.pkl is a pickled model, .* run `python unpickle_model\.py t4rec_model_class\.pkl"
    )
    for source in (pickled, tmp_path):
        with pytest.raises(CheckpointError, match=text):
            read_weights(source)
    _model().save(tmp_path / "empty")
    assert main(["checkpoint", str(pickled), str(tmp_path / "empty"), str(tmp_path / "full")]) == 2
    assert "is never loaded here" in capsys.readouterr().err


def test_weights_of_the_script_for_pickles_are_read(tmp_path: Path) -> None:
    """The script writes each tensor once, under the first of its names."""
    state = _state()
    save_file({name: value for name, value in state.items() if not COPIES.search(name)}, tmp_path / FILES[0])
    expected = convert_state(state, _model())
    found = convert_state(read_weights(tmp_path), _model())
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.filterwarnings("ignore::deprecation.DeprecatedWarning")
def test_the_script_for_pickles_describes_a_model() -> None:
    """On the drop-in's model, with the attributes of 23.12.0; on the real one in tests/equivalence."""
    from merlin_migrate.unpickle_model import describe, shared_names

    from tests.compat.small import model

    built = model()
    content = json.loads(json.dumps(describe(built)))
    assert content["format"] == "merlin-23.12"
    task = content["heads"][0]["tasks"]["next-item"]
    assert (task["weight_tying"], task["weight"], task["softmax_temperature"]) == (True, 1.0, 1)
    assert task["metrics"][0] == {"class": "NDCGAt", "top_ks": [5, 10], "labels_onehot": True}
    assert content["columns"]["item_id"]["largest"] == 30
    assert content["transformers"]["heads.0.body.2.transformer"]["d_model"] == 8
    names = shared_names(built)
    assert sorted(name for group in names for name in group) == sorted(built.state_dict())
    tied = next(
        group
        for group in names
        if any(name.endswith("pre.module.item_embedding_table.weight") for name in group)
    )
    assert len(tied) == 4


def test_files_that_hold_no_weights(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"has none of model.safetensors, pytorch_model.bin"):
        read_weights(tmp_path)
    with pytest.raises(CheckpointError, match="does not exist"):
        read_weights(tmp_path / "no.bin")
    (tmp_path / "checkpoint-2").mkdir()
    with pytest.raises(CheckpointError, match=r"no does not exist: there is .*checkpoint-2, migration"):
        read_weights(tmp_path / "no")
    (tmp_path / "a.safetensors").write_bytes(b"\x00" * 3)
    with pytest.raises(CheckpointError, match="is no safetensors file, or is damaged"):
        read_weights(tmp_path / "a.safetensors")
    torch.save({"epoch": 3}, tmp_path / "b.bin")
    with pytest.raises(CheckpointError, match="holds no state dict"):
        read_weights(tmp_path / "b.bin")


def test_weights_of_another_model_are_refused() -> None:
    state = _state()
    state["heads.1.body.0.weight"] = torch.zeros(1)
    with pytest.raises(CheckpointError, match=r"another model: no place for heads\.1\.body\.0\.weight"):
        convert_state(state, _model())
    state = _state()
    del state["heads.0.body.1.0.0.bias"]
    with pytest.raises(
        CheckpointError, match=r"another model: nothing for body\.layers\.1\.linears\.0\.bias"
    ):
        convert_state(state, _model())
    state = _state()
    state["heads.0.body.1.0.0.weight"] = torch.zeros(3, 64)
    with pytest.raises(CheckpointError, match=r"linears\.0\.weight is \(3, 64\) in the weights, \(64, 64\)"):
        convert_state(state, _model())


def test_copies_that_differ_are_refused() -> None:
    state = _state()
    name = "heads.0.prediction_task_dict.next-item.item_embedding_table.weight"
    state[name] = state[name] + 1
    with pytest.raises(CheckpointError, match=r"item_embedding_table\.weight differs from .* damaged"):
        convert_state(state, _model())


def test_command_writes_a_folder_that_answers_alike(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(_state(), tmp_path / "pytorch_model.bin")
    _model().save(tmp_path / "empty")
    arguments = [str(tmp_path / name) for name in ("pytorch_model.bin", "empty", "full")]
    assert main(["checkpoint", *arguments]) == 1
    count = len(convert_state(_state(), _model()))
    printed = capsys.readouterr().out
    assert f"{count} tensors of {arguments[0]} are now in {arguments[2]}" in printed
    assert "not checked: nothing says what the old model answers; give its program by --old" in printed
    expected = load_weights(_model(), _state()).eval()
    found = mm.load(tmp_path / "full").eval()
    features = {
        "item_id": torch.tensor([[3, 4, 9]]),
        "category": torch.tensor([[1, 2, 2]]),
        "price": torch.tensor([[0.1, 0.2, 0.3]]),
        "age_days": torch.tensor([[0.4, 0.5, 0.6]]),
    }
    with torch.no_grad():
        assert torch.equal(found(mm.Batch(features)), expected(mm.Batch(features)))
    assert main(["checkpoint", *arguments]) == 2
    assert "exists and is not an empty folder" in capsys.readouterr().err


def test_command_that_fails_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"foreign": torch.zeros(1)}, tmp_path / "pytorch_model.bin")
    _model().save(tmp_path / "empty")
    arguments = [str(tmp_path / name) for name in ("pytorch_model.bin", "empty", "full")]
    assert main(["checkpoint", *arguments]) == 2
    assert "the weights belong to another model: no place for foreign" in capsys.readouterr().err
    assert not (tmp_path / "full").exists()
    assert main(["checkpoint", arguments[0], str(tmp_path / "none"), arguments[2]]) == 2
    assert "is not a folder" in capsys.readouterr().err
