"""V1: a model trained as a LightningModule."""

import argparse
import json
from pathlib import Path

import merlin.models.torch as mm
import numpy as np
import pytorch_lightning as pl
import torch
from merlin.schema import ColumnSchema, Schema, Tags
from torch.utils.data import DataLoader

parser = argparse.ArgumentParser()
parser.add_argument("--output-dir", type=Path)
out = parser.parse_args().output_dir
pl.seed_everything(6)


class Rows(torch.utils.data.Dataset):
    def __init__(self, count):
        self.word = torch.randint(1, 9, (count, 1))
        self.score = torch.rand(count, 1)

    def __len__(self):
        return len(self.word)

    def __getitem__(self, row):
        label = (self.word[row] > 4).float().view(())
        return {"word": self.word[row], "score": self.score[row]}, label


schema = Schema(
    [
        ColumnSchema(
            "word",
            tags=[Tags.CATEGORICAL],
            dtype=np.int64,
            properties={"domain": {"min": 0, "max": 8, "name": "word"}},
        ),
        ColumnSchema("score", tags=[Tags.CONTINUOUS], dtype=np.float32),
    ]
)
features = mm.TabularFeatures.from_schema(schema, aggregation="concat")
body = mm.SequentialBlock(features, mm.MLPBlock([16, 8], dropout=0.1))
model = mm.Model(mm.Head(body, mm.BinaryClassificationTask("label")), optimizer=torch.optim.Adam)
trainer = pl.Trainer(
    max_epochs=10,
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
    enable_model_summary=False,
    accelerator="cpu",
)
rows = Rows(1024)
trainer.fit(model.to_lightning(), DataLoader(rows, batch_size=32))
model.eval()
x = {"word": rows.word, "score": rows.score}
y = (rows.word > 4).float().view(-1)
accuracy = ((model(x) > 0.5).float() == y).float().mean().item()
out.mkdir(parents=True, exist_ok=True)
(out / "metrics.json").write_text(
    json.dumps({"accuracy": accuracy, "loss": float(trainer.callback_metrics["train_loss"])})
)
