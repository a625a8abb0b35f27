"""The getting-started program, unchanged, in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.equivalence.make_data import Sessions, write_windows

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "tests" / "compat" / "programs" / "getting_started.py"


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    folder = tmp_path_factory.mktemp("program")
    data = write_windows(folder / "data", Sessions(items=40), train=64, valid=20)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'compat'}:{ROOT}", "OMP_NUM_THREADS": "1"}
    given = [
        "--data-dir",
        str(data),
        "--output-dir",
        str(folder / "out"),
        "--masking",
        "causal",
        "--epochs",
        "1",
    ]
    command = [sys.executable, str(PROGRAM), *given]
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return process, json.loads((folder / "out" / "metrics.json").read_text())


def test_it_prints_the_metrics_of_both_windows_by_their_keys(ran):
    process, results = ran
    keys = {
        "eval_/loss",
        "eval_/next-item/ndcg_at_10",
        "eval_/next-item/ndcg_at_20",
        "eval_/next-item/recall_at_10",
        "eval_/next-item/recall_at_20",
        "eval_runtime",
        "eval_samples_per_second",
        "eval_steps_per_second",
    }
    assert set(results) == {"1", "2"}
    for metrics in results.values():
        assert set(metrics) == keys
        assert 0 < metrics["eval_/next-item/recall_at_20"] <= 1
        assert f"  eval_/loss = {metrics['eval_/loss']:.4f}" in process.stdout


def test_it_is_told_of_each_name_once_at_the_line_that_has_it(ran):
    process, _ = ran
    lines = PROGRAM.read_text().split("\n")
    told = {}
    for line in process.stderr.split("\n"):
        if "DeprecatedWarning" not in line:
            continue
        file, number, _, text = line.split(":", 3)
        assert Path(file) == PROGRAM
        name = text.split(" is deprecated")[0].strip()
        assert name not in told
        told[name] = lines[int(number) - 1]
        assert "as of 0.1.0 and will be removed in 1.0.0." in text
        assert "See migration_guides/from-transformers4rec.md#" in text
    assert (
        told["transformers4rec.torch.TabularSequenceFeatures.from_schema"]
        .strip()
        .startswith("inputs = tr.Tabular")
    )
    assert "tr.XLNetConfig.build(" in told["transformers4rec.torch.XLNetConfig.build"]
    assert "tr.Trainer(" in told["transformers4rec.torch.Trainer"]
    arguments = "transformers4rec.config.trainer.T4RecTrainingArguments(no_cuda=)"
    assert "T4RecTrainingArguments(" in told[arguments]
    assert all(
        name.startswith("transformers4rec.") for name in told
    )  # which -W ignore:transformers4rec takes
    short = {name.rpartition(".")[2] for name in told}
    assert {"MLPBlock", "TransformerBlock", "SequentialBlock", "NDCGAt", "RecallAt", "Head", "Model"} <= short


def test_it_is_told_of_the_leak_once(ran):
    process, _ = ran
    assert process.stderr.count("the target leaks") == 1
