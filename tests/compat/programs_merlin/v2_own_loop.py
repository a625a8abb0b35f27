"""Blocks put together by hand and trained by a loop of its own."""

import json
import sys
from pathlib import Path

import merlin.models.torch as mm
import numpy as np
import pandas as pd
import torch
from merlin.dataloader.torch import Loader
from merlin.io import Dataset
from merlin.models.torch.batch import Batch
from merlin.models.torch.models.base import compute_loss
from merlin.schema import ColumnSchema, Schema, Tags
from torch import nn

out = Path(sys.argv[sys.argv.index("--output-dir") + 1])
torch.manual_seed(3)
generator = np.random.default_rng(3)
data = pd.DataFrame({"user": generator.integers(1, 16, 1024), "shop": generator.integers(1, 9, 1024)})
data["hour"] = generator.random(1024).astype(np.float32)
data["bought"] = ((data["user"] + data["shop"]) % 2).astype(np.int64)


def ids(name, size, tag):
    return ColumnSchema(
        name,
        tags=[Tags.CATEGORICAL, tag],
        dtype=np.int64,
        properties={"domain": {"min": 0, "max": size, "name": name}},
    )


features = Schema(
    [
        ids("user", 15, Tags.USER),
        ids("shop", 8, Tags.ITEM),
        ColumnSchema("hour", tags=[Tags.CONTINUOUS, Tags.CONTEXT], dtype=np.float32),
    ]
)
target = ColumnSchema("bought", tags=[Tags.TARGET, Tags.BINARY], dtype=np.int64)
dataset = Dataset(data, schema=features + Schema([target]))


class Gate(nn.Module):
    """A layer of our own."""

    def __init__(self, width):
        super().__init__()
        self.linear = nn.LazyLinear(width)

    def forward(self, inputs):
        return torch.sigmoid(self.linear(inputs)) * inputs


inputs = mm.RouterBlock(features)
inputs.add_route(Tags.CATEGORICAL, mm.EmbeddingTables(8))
inputs.add_route(Tags.CONTINUOUS, mm.MLPBlock([4]), name="numbers")
inputs.append(mm.Concat())
body = mm.Block(mm.MLPBlock([32]), mm.ResidualBlock(Gate(32), nn.LazyLinear(32)), nn.ReLU())
model = mm.Model(inputs, body, mm.MLPBlock([16]), mm.BinaryOutput(target))
model.initialize(Batch.sample_from(dataset, batch_size=16))

optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
losses = []
for _ in range(15):
    for x, y in Loader(dataset, batch_size=64):
        optimizer.zero_grad()
        batch = Batch(x, {"bought": y})
        result = compute_loss(model(x, batch=batch), batch.targets, model.model_outputs())
        result["loss"].backward()
        optimizer.step()
        losses.append(result["loss"].item())

model.eval()
batch = Batch.sample_from(dataset, batch_size=1024)
with torch.no_grad():
    predictions = model(batch.features, batch=batch)
labels = torch.tensor(data["bought"].values)
metrics = {
    "first_loss": losses[0],
    "val_loss": float(np.mean(losses[-16:])),
    "val_binary_accuracy": float(((predictions.reshape(-1) > 0.5) == labels.bool()).float().mean()),
    "blocks": len(model),
}
out.mkdir(parents=True, exist_ok=True)
(out / "metrics.json").write_text(json.dumps(metrics))
