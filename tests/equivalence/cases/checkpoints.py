"""``merlin-migrate checkpoint``: models of the original become models of the new API that answer the same."""

from __future__ import annotations

import importlib.util
import runpy
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from tests.equivalence.cases.models import passed_on
from tests.equivalence.side import Side

COMPAT = Path(__file__).parents[3] / "compat"
SESSIONS = """\
from merlin.io import Dataset
from transformers4rec import torch as tr

schema = Dataset({data!r}).schema.select_by_name(["item_id", "category", "age_days", "price"])
inputs = tr.TabularSequenceFeatures.from_schema(
    schema,
    max_sequence_length=10,
    continuous_projection=8,
    aggregation="concat",
    d_output=16,
    masking={masking!r},
)
config = tr.{config}
body = tr.SequentialBlock(inputs, tr.MLPBlock([16]), tr.TransformerBlock(config, masking=inputs.masking))
task = tr.NextItemPredictionTask(weight_tying=True)
model = tr.Model(tr.Head(body, task, inputs=inputs))
"""
CLICKS = """\
import numpy as np
import pandas as pd
from merlin.io import Dataset
from merlin.schema import ColumnSchema, Schema, Tags

import merlin.models.torch as mm


def ids(name, largest, tag):
    domain = {{"domain": {{"min": 0, "max": largest, "name": name}}}}
    return ColumnSchema(name, tags=[Tags.CATEGORICAL, tag], dtype=np.int64, properties=domain)


schema = Schema(
    [
        ids("user", 9, Tags.USER_ID),
        ids("item", 12, Tags.ITEM_ID),
        ColumnSchema("price", tags=[Tags.CONTINUOUS], dtype=np.float32),
        ColumnSchema("click", tags=[Tags.TARGET, Tags.BINARY_CLASSIFICATION], dtype=np.int64),
        ColumnSchema("rating", tags=[Tags.TARGET, Tags.REGRESSION], dtype=np.float32),
    ]
)
model = mm.{model}
"""


def command(side: Side, text: str) -> None:
    """The original writes weights and answers, and the command makes a model of them by the program alone."""
    program = side.scratch / "program.py"
    program.write_text(text)
    made = side.scratch / "made"
    if side.is_original:
        side.seed()
        script = script_for_pickles()
        model = runpy.run_path(str(program))["model"]
        if not hasattr(model, "heads"):
            from merlin.models.torch.batch import Batch

            columns = {"user": 9, "item": 12, "price": None}
            facts = {name: {"largest": largest, "length": None} for name, largest in columns.items()}
            model.initialize(Batch(script.made_batch(facts)))
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
        script.write_folder(model, str(made))
    given = passed_on(side, "made", made)
    side.value("files", sorted(path.name for path in given.iterdir()))
    code = 0
    if not side.is_original:
        from merlin_migrate.cli import main

        code = main(["checkpoint", str(given), str(program), str(side.scratch / "new")])
    side.value("exit code", code)


def script_for_pickles() -> ModuleType:
    """The script that users copy to the old environment, from where merlin_migrate is not installed."""
    path = COMPAT / "merlin_migrate" / "unpickle_model.py"
    spec: Any = importlib.util.spec_from_file_location("unpickle_model", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def of_sessions(side: Side, masking: str, config: str) -> None:
    """A model of next items."""
    data = str(side.data / "1" / "train.parquet")
    command(side, SESSIONS.format(data=data, masking=masking, config=config))


def of_clicks(side: Side, model: str) -> None:
    """A ranking model of merlin.models.torch."""
    command(side, CLICKS.format(model=model))


XLNET, GPT2 = "XLNetConfig.build(16, 2, 2, 10)", "GPT2Config.build(16, 2, 1, 10)"
CASES = {
    "xlnet-mlm": partial(of_sessions, masking="mlm", config=XLNET),
    "xlnet-causal": partial(of_sessions, masking="causal", config=XLNET),
    "xlnet-plm": partial(of_sessions, masking="plm", config=XLNET),
    "gpt2-causal": partial(of_sessions, masking="causal", config=GPT2),
    "merlin-dlrm": partial(of_clicks, model="DLRMModel(schema, dim=4, bottom_block=mm.MLPBlock([4]))"),
    "merlin-dcn": partial(
        of_clicks, model="DCNModel(schema, depth=2, deep_block=mm.MLPBlock([6]), stacked=False)"
    ),
}
