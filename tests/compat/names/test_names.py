"""Every frozen name of Merlin Models, and of what it stood on, is in the table and is what the table says."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from deprecation import DeprecatedWarning
from merlin_migrate.table import Entry, entries, find
from merlin_migrate.warnings import UnsupportedName

import merlin_models_torch

HERE = Path(__file__).parent
LISTS = (
    *("merlin_models_torch_v2", "merlin_models_torch_v1", "merlin_models_tf", "merlin_core"),
    "merlin_datasets",
)
GUIDES = HERE.parents[2] / "migration_guides"
pytestmark = pytest.mark.filterwarnings("ignore::deprecation.DeprecatedWarning")


def frozen(name: str) -> dict[str, list[str]]:
    return json.loads((HERE / f"{name}.json").read_text())


NAMES = {
    name: sorted(
        # A submodule that a package exports is a place of names, not one itself.
        f"{module}.{one}"
        for module, names in frozen(name).items()
        for one in names
        if f"{module}.{one}" not in frozen(name) and f"{module}.{one}" != "merlin.models.torch.schema"
    )
    for name in LISTS
}


def _entry(name: str) -> Entry:
    entry = find(name)
    assert entry is not None, name
    return entry


@pytest.mark.parametrize("name", LISTS)
def test_none_is_missing_from_the_table(name: str) -> None:
    assert len(NAMES[name]) > 12
    assert [one for one in NAMES[name] if find(one) is None] == []


@pytest.mark.parametrize("name", LISTS)
def test_each_says_what_to_do(name: str) -> None:
    for one in NAMES[name]:
        entry = _entry(one)
        page, _, anchor = entry.guide.partition("#")
        assert anchor, one
        assert (GUIDES / page).is_file(), one
        assert entry.replacement or entry.note, one
        if entry.kind == "unsupported":
            # Reason and alternative, or both in one sentence.
            assert entry.replacement or len(entry.note) > 20, one


def test_an_alias_is_the_cores_own_object() -> None:
    aliases = [e for e in entries() if e.name.startswith("merlin.models.torch.") and e.kind == "alias"]
    checked = 0
    for entry in aliases:
        for name in (entry.name, *entry.also):
            if entry.replacement.startswith("mm.") and not entry.guide.endswith("#v1"):
                module, _, last = name.rpartition(".")
                core = getattr(merlin_models_torch, entry.replacement.removeprefix("mm."))
                assert getattr(importlib.import_module(module), last) is core, name
                checked += 1
    assert checked >= 20


# Other in V1 than in the later Transformers4Rec: tests/compat/test_merlin_v1.py.
OWN_OF_V1 = {
    *("BinaryClassificationPrepareBlock", "BinaryClassificationTask", "Head", "LabelSmoothCrossEntropyLoss"),
    *("Model", "PredictionTask", "RegressionPrepareBlock", "RegressionTask", "StackFeatures"),
    *("StochasticSwapNoise", "TabularFeatures"),
}


def test_v1_is_the_drop_in_for_transformers4rec() -> None:
    ours = set()
    for module, names in frozen("merlin_models_torch_v1").items():
        if module == "merlin.models.torch":
            continue
        for name in names:
            if _entry(f"{module}.{name}").kind == "unsupported" or name in OWN_OF_V1:
                continue
            place = importlib.import_module(module.replace("merlin.models.torch", "transformers4rec.torch"))
            assert getattr(importlib.import_module(module), name) is getattr(place, name), (module, name)
            ours.add(name)
    assert len(ours) > 50


@pytest.mark.parametrize("name", ["merlin_models_torch_v2", "merlin_models_torch_v1", "merlin_datasets"])
def test_what_is_not_unsupported_can_be_imported(name: str) -> None:
    for one in NAMES[name]:
        module, _, last = one.rpartition(".")
        if _entry(one).kind == "unsupported":
            with pytest.raises(UnsupportedName, match=r"migration_guides/from-merlin-models-torch[.]md"):
                getattr(importlib.import_module(module), last)
        else:
            assert getattr(importlib.import_module(module), last) is not None, one


@pytest.mark.parametrize(
    "module", ["merlin.models.tf", "merlin.models.tf.inputs.base", "merlin.models.tf.models.retrieval"]
)
def test_tensorflow_names_say_what_to_do_instead(module: str) -> None:
    with pytest.raises(ImportError, match=r"from-merlin-models-tensorflow[.]md.*merlin-migrate"):
        importlib.import_module(module)
    with pytest.raises(UnsupportedName, match="PyTorch successors"):
        importlib.import_module(module)


@pytest.mark.filterwarnings("default")
def test_warnings_are_at_the_users_line(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import merlin.models.torch as mm\n"
        "block = mm.MLPBlock([4])\n"
        "schema = mm.target_schema(block)\n"
        "table = mm.TableConfig\n"
        "sampler = mm.InBatchSamplerV2\n"
    )
    command = [sys.executable, str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    told = [line for line in done.stderr.splitlines() if "DeprecatedWarning" in line]
    for line, name in ((2, "MLPBlock"), (3, "target_schema"), (4, "TableConfig"), (5, "InBatchSamplerV2")):
        (one,) = [text for text in told if f"program.py:{line}:" in text]
        assert f"merlin.models.torch.{name} is deprecated" in one
        assert "migration_guides/from-merlin-models-torch.md#" in one
    assert len(told) == 4


@pytest.mark.filterwarnings("default")
def test_a_name_of_v1_is_told_once(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "from merlin.models.torch.block.base import SequentialBlock\n"
        "import merlin.models.torch as mm\n"
        "from merlin.models.torch.model.prediction_task import RegressionTask\n"
        "tables = mm.EmbeddingFeatures({'a': mm.FeatureConfig(mm.TableConfig(5, 3))})\n"
        "numbers = mm.ContinuousFeatures.from_features(['b'], aggregation='concat')\n"
        "task = RegressionTask('x')\n"
        "for name in 'yz':\n"
        "    other = mm.BinaryClassificationTask(name)\n"
        "numbers.build({'b': [-1, 1]}); body = SequentialBlock(numbers); body.build({'b': [-1, 1]})\n"
        "head = mm.Head(body, task)\n"
        "model = mm.Model(head)\n"
    )
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stderr.splitlines() if "DeprecatedWarning" in line]
    found = [
        re.search(r"program[.]py:(\d+): DeprecatedWarning: merlin[.]models[.]torch[.]([\w.]+)", t)
        for t in told
    ]
    assert sorted((int(one[1]), one[2]) for one in found if one is not None) == [
        (1, "block.base.SequentialBlock"),
        (4, "EmbeddingFeatures"),
        (4, "FeatureConfig"),
        (4, "TableConfig"),
        (5, "ContinuousFeatures"),
        (6, "RegressionTask"),
        (8, "BinaryClassificationTask"),
        (10, "Head"),
        (11, "Model"),
    ]
    assert len(told) == 9


def test_a_head_of_v1_has_tasks_for_its_own_tags() -> None:
    """23.02 looked for BINARY_CLASSIFICATION, the later Transformers4Rec for BINARY and CLASSIFICATION."""
    import merlin.models.torch as mm
    from merlin.schema import ColumnSchema, Schema, Tags

    tags = {"a": Tags.REGRESSION, "b": Tags.BINARY_CLASSIFICATION, "c": Tags.BINARY}
    schema = Schema([ColumnSchema(name, tags=[tag]) for name, tag in tags.items()])
    numbers = mm.ContinuousFeatures.from_features(["d"], aggregation="concat")
    numbers.build({"d": [-1, 1]})
    body = mm.SequentialBlock(numbers)
    body.build({"d": [-1, 1]})
    head = mm.Head.from_schema(schema, body, task_weight_dict={"a": 2.0})
    assert list(head.prediction_task_dict) == ["b/binary_classification_task", "a/regression_task"]
    assert head._task_weights["a/regression_task"] == 2.0


def test_a_warning_is_a_deprecation() -> None:
    assert issubclass(DeprecatedWarning, DeprecationWarning)
