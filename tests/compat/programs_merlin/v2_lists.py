"""Films with lists of genres; towers for each task before the outputs."""

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
from torch import nn
from torchmetrics import MeanAbsoluteError, MeanSquaredError

parser = argparse.ArgumentParser()
parser.add_argument("--output-dir", type=Path)
folder = parser.parse_args().output_dir
pl.seed_everything(11)

rng = np.random.default_rng(11)
genres = [rng.choice(np.arange(1, 9), rng.integers(1, 4), replace=False).tolist() for _ in range(1024)]
films = pd.DataFrame({"film": rng.integers(1, 51, 1024), "genres": genres})
films["rating"] = np.array([np.mean(one) / 8 for one in genres], dtype=np.float32)


def domain(name, largest):
    return {"domain": {"min": 0, "max": largest, "name": name}}


schema = Schema(
    [
        ColumnSchema("film", tags=[Tags.CATEGORICAL], dtype=np.int64, properties=domain("film", 50)),
        ColumnSchema(
            "genres",
            tags=[Tags.CATEGORICAL],
            dtype=np.int64,
            is_list=True,
            is_ragged=True,
            properties=domain("genres", 8),
        ),
        ColumnSchema("rating", tags=[Tags.TARGET, Tags.REGRESSION], dtype=np.float32),
    ]
)


@mm.TabularInputBlock.register_init("small")
def small(block):
    block.add_route(Tags.CATEGORICAL, mm.EmbeddingTables(8, seq_combiner="mean"))


rating = schema.select_by_name("rating").first
outputs = mm.RegressionOutput(rating, metrics=[MeanSquaredError(), MeanAbsoluteError()])
model = mm.Model(
    mm.TabularInputBlock(schema.excluding_by_tag(Tags.TARGET), init="small", agg="concat"),
    mm.MLPBlock([32, 16], activation=nn.LeakyReLU),
    outputs,
)
loader = Loader(Dataset(films, schema=schema), batch_size=64)
trainer = pl.Trainer(
    max_epochs=20,
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
    enable_model_summary=False,
    accelerator="cpu",
)
trainer.fit(model, loader)
metrics = trainer.test(model, loader, verbose=False)[0]
folder.mkdir(parents=True, exist_ok=True)
(folder / "metrics.json").write_text(json.dumps(metrics))
