"""V1: numbers as soft embeddings, summed with the others element by element; noise in training."""

import json
import sys
from pathlib import Path

import merlin.models.torch as ml
import numpy as np
import torch
from merlin.schema import ColumnSchema, Schema, Tags

target = Path(sys.argv[sys.argv.index("--output-dir") + 1])
torch.manual_seed(2)
schema = Schema(
    [
        ColumnSchema(
            "product",
            tags=[Tags.CATEGORICAL],
            dtype=np.int64,
            properties={"domain": {"min": 0, "max": 12, "name": "product"}},
        ),
        ColumnSchema("price", tags=[Tags.CONTINUOUS], dtype=np.float32),
        ColumnSchema("stock", tags=[Tags.CONTINUOUS], dtype=np.float32),
    ]
)
inputs = ml.TabularFeatures.from_schema(
    schema,
    continuous_soft_embeddings=True,
    soft_embedding_cardinality_default=6,
    soft_embedding_dim_default=8,
    embedding_dim_default=8,
    aggregation="element-wise-sum",
    post="layer-norm",
)
task = ml.BinaryClassificationTask("sold", task_block=ml.MLPBlock([8]))
body = ml.SequentialBlock(inputs, ml.MLPBlock([16]))
model = body.to_model(task)
rows = 400
x = {"product": torch.randint(1, 13, (rows, 1)), "price": torch.rand(rows, 1), "stock": torch.rand(rows, 1)}
y = (x["price"] > 0.5).float().view(-1)
losses = model.fit([(x, y)], num_epochs=200, verbose=False)
with torch.no_grad():
    right = ((model(x) > 0.5).float() == y).float().mean().item()
target.mkdir(parents=True, exist_ok=True)
(target / "metrics.json").write_text(
    json.dumps({"first_loss": float(losses[0]), "loss": float(losses[-1]), "accuracy": right})
)
