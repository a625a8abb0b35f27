"""Click-through rate by DLRM: a schema, a loader, a Trainer."""

import argparse
import json
from pathlib import Path

import merlin.models.torch as mm
import numpy as np
import pandas as pd
import pytorch_lightning as pl
from merlin.dataloader.torch import Loader
from merlin.io import Dataset
from merlin.schema import ColumnSchema, Schema, Tags

parser = argparse.ArgumentParser()
parser.add_argument("--output-dir", type=Path, required=True)
args = parser.parse_args()
pl.seed_everything(7)

rng = np.random.default_rng(7)
rows = 2048
df = pd.DataFrame({"user_id": rng.integers(1, 41, rows), "item_id": rng.integers(1, 31, rows)})
df["age"] = rng.random(rows).astype(np.float32)
df["price"] = rng.random(rows).astype(np.float32)
score = (df["user_id"] % 2 == df["item_id"] % 2) * 2.0 - 1 + df["price"] - 0.5
df["click"] = (score > 0).astype(np.int64)


def categorical(name, largest, *tags):
    properties = {"domain": {"min": 0, "max": largest, "name": name}}
    return ColumnSchema(name, tags=[Tags.CATEGORICAL, *tags], dtype=np.int64, properties=properties)


schema = Schema(
    [
        categorical("user_id", 40, Tags.USER_ID),
        categorical("item_id", 30, Tags.ITEM_ID),
        ColumnSchema("age", tags=[Tags.CONTINUOUS], dtype=np.float32),
        ColumnSchema("price", tags=[Tags.CONTINUOUS], dtype=np.float32),
        ColumnSchema("click", tags=[Tags.TARGET, Tags.BINARY_CLASSIFICATION], dtype=np.int64),
    ]
)
train = Loader(Dataset(df[:1792], schema=schema), batch_size=64, shuffle=True)
valid = Loader(Dataset(df[1792:].reset_index(drop=True), schema=schema), batch_size=256)

model = mm.DLRMModel(
    schema,
    dim=16,
    bottom_block=mm.MLPBlock([32, 16]),
    top_block=mm.MLPBlock([64, 32]),
    output_block=mm.BinaryOutput(schema.select_by_name("click").first),
)
trainer = pl.Trainer(
    max_epochs=20,
    accelerator="cpu",
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
    enable_model_summary=False,
)
trainer.fit(model, train)
metrics = trainer.validate(model, valid, verbose=False)[0]

args.output_dir.mkdir(parents=True, exist_ok=True)
(args.output_dir / "metrics.json").write_text(json.dumps(metrics))
