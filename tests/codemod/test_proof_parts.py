"""Parts of programs, rewritten: the same loss, answers and gradients from the same weights."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from deprecation import DeprecatedWarning
from merlin_migrate.checkpoint import convert_state
from merlin_migrate.codemod import rewrite_source
from torch import nn

import merlin_models_torch as mm
from tests.codemod import test_proof_programs as programs
from tests.equivalence.make_data import Sessions, write_windows

HEAD = """\
import numpy as np
import torchmetrics as tm
from merlin.io import Dataset
from transformers4rec import torch as tr

schema = Dataset(DATA).schema.select_by_name(["item_id", "category", "age_days", "price"])
ids = schema.select_by_name(["item_id", "category"])
"""
INPUTS = "inputs = tr.TabularSequenceFeatures.from_schema({}, max_sequence_length=20, {})\n"
BODY = """\
config = tr.XLNetConfig.build(16, 2, 1, 20)
body = tr.SequentialBlock(inputs, tr.MLPBlock([16]), tr.TransformerBlock(config, masking=inputs.masking))
"""
ITEMS = """\
task = tr.NextItemPredictionTask(weight_tying=True, metrics=[])
model = tr.Model(tr.Head(body, task, inputs=inputs))
"""
PARTS = {
    "soft embeddings, which alone are normalised": INPUTS.format(
        "schema", 'continuous_soft_embeddings=True, d_output=16, masking="mlm"'
    )
    + BODY
    + ITEMS,
    "soft embeddings without a norm": INPUTS.format(
        "schema", 'continuous_soft_embeddings=True, layer_norm=False, d_output=16, masking="mlm"'
    )
    + BODY
    + ITEMS,
    "a learned table with initial vectors": 'start = np.ones((61, 8), dtype="float32")\n'
    + INPUTS.format(
        "ids",
        'embeddings_initializers={"item_id": tr.PretrainedEmbeddingsInitializer(start, trainable=True)}, '
        'embedding_dims={"item_id": 8, "category": 4}, d_output=16, masking="clm"',
    )
    + BODY
    + ITEMS,
    "vectors are summed": INPUTS.format(
        "ids", 'aggregation="element-wise-sum", embedding_dim_default=24, d_output=16, masking="mlm"'
    )
    + BODY
    + ITEMS,
    "replaced tokens": INPUTS.format("ids", 'd_output=16, masking="rtd", mlm_probability=0.9') + BODY + ITEMS,
    "short spans": INPUTS.format("ids", 'd_output=16, masking="plm", max_span_length=2') + BODY + ITEMS,
    "one label, by the last position": INPUTS.format("schema", 'aggregation="concat", d_output=16')
    + BODY
    + 'task = tr.BinaryClassificationTask("bought", summary_type="last")\n'
    + "model = tr.Model(tr.Head(body, task, inputs=inputs))\n",
    "two labels, added up": INPUTS.format("schema", 'aggregation="concat", d_output=16')
    + BODY
    + """\
bought = tr.BinaryClassificationTask("bought", metrics=[tm.Recall(task="binary")])
tasks = [tr.RegressionTask("spent"), bought]
model = tr.Model(tr.Head(body, tasks, task_weights=[0.3, 2], loss_reduction="sum", inputs=inputs))
""",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sessions = Sessions(items=60, categories=6, longest=24, labels=True)
    return write_windows(tmp_path_factory.mktemp("data"), sessions, windows=1, train=8, valid=24)


def _pair(source: str, data: Path) -> tuple[Any, mm.Model, mm.Batch]:
    result = rewrite_source(source.encode())
    assert result.marks == ()
    old: dict[str, Any] = {"DATA": str(data / "1" / "valid.parquet")}
    new = dict(old)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecatedWarning)
        warnings.simplefilter("ignore", UserWarning)
        exec(source, old)
        exec(result.after.decode(), new)
    model, ours = old["model"], new["model"]
    torch.manual_seed(0)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.1)
    ours.load_state_dict(convert_state(model.state_dict(), ours), strict=False)
    for module in (*model.modules(), *ours.modules()):
        if type(module).__name__ == "Dropout":
            module.p = 0.0
    labels = mm.Schema.load(data).select_by_tag(mm.Tags.TARGET)
    schema = ours.schema if ours.output.needs_plan else ours.schema + labels
    loader = mm.ParquetLoader(old["DATA"], schema, batch_size=24, max_sequence_length=20, keep="oldest")
    return model, ours, next(iter(loader))


@pytest.mark.parametrize("part", PARTS)
def test_loss_answers_and_gradients_are_the_same(part: str, data: Path) -> None:
    pair = _pair(HEAD + PARTS[part], data)
    model, ours, batch = pair
    model.eval()
    ours.eval()
    with torch.no_grad():
        expected = programs._run_old(model, batch, training=False, testing=True)
        torch.testing.assert_close(mm.Step(ours, batch, "evaluate").loss, expected["loss"], atol=1e-5, rtol=0)
    programs.test_answers_to_what_comes_next_are_the_same([pair])
    programs.test_a_training_step_has_the_same_loss_and_gradients([pair])
