"""V1: features from a schema, a body, a binary task, Model.fit."""

import argparse
import json
import os

import merlin.models.torch as mm
import numpy as np
import torch
from merlin.schema import ColumnSchema, Schema, Tags

parser = argparse.ArgumentParser()
parser.add_argument("--output-dir")
args = parser.parse_args()
torch.manual_seed(0)
np.random.seed(0)


def cat(name, size):
    return ColumnSchema(
        name,
        tags=[Tags.CATEGORICAL],
        dtype=np.int64,
        properties={"domain": {"min": 0, "max": size, "name": name}},
    )


schema = Schema(
    [
        cat("item", 20),
        cat("store", 5),
        ColumnSchema("price", tags=[Tags.CONTINUOUS], dtype=np.float32),
        ColumnSchema("click", tags=[Tags.BINARY_CLASSIFICATION], dtype=np.int64),
    ]
)


def batch(rows=128):
    item = torch.randint(1, 21, (rows, 1))
    store = torch.randint(1, 6, (rows, 1))
    inputs = {"item": item, "store": store, "price": torch.rand(rows, 1)}
    return inputs, {"click": (item > 10).float().view(-1)}


train = [batch() for _ in range(8)]
inputs = mm.TabularFeatures.from_schema(
    schema.excluding_by_tag(Tags.BINARY_CLASSIFICATION), continuous_projection=16, aggregation="concat"
)
body = mm.SequentialBlock(inputs, mm.MLPBlock([32, 16]))
head = mm.Head(body, mm.BinaryClassificationTask("click"))
model = mm.Model(head)
losses = model.fit(train, optimizer=torch.optim.Adam, num_epochs=30, verbose=False)
model.eval()
x, y = batch(512)
scores = model(x)
metrics = {
    "first_loss": float(losses[0]),
    "loss": float(losses[-1]),
    "accuracy": float(((scores > 0.5).float() == y["click"]).float().mean()),
    "task": next(iter(model.heads[0].prediction_task_dict)),
}
os.makedirs(args.output_dir, exist_ok=True)
with open(os.path.join(args.output_dir, "metrics.json"), "w") as file:
    json.dump(metrics, file)
