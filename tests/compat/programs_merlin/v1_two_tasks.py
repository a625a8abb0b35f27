"""V1: a head from the targets of a schema, with a tower for each task."""

import json
import sys
from pathlib import Path

import merlin.models.torch as mm
import numpy as np
import torch
from merlin.schema import ColumnSchema, Schema, Tags

out = Path(sys.argv[2])
torch.manual_seed(4)
schema = Schema(
    [
        ColumnSchema(
            "film",
            tags=[Tags.CATEGORICAL],
            dtype=np.int64,
            properties={"domain": {"min": 0, "max": 30, "name": "film"}},
        ),
        ColumnSchema("year", tags=[Tags.CONTINUOUS], dtype=np.float32),
        ColumnSchema("liked", tags=[Tags.BINARY_CLASSIFICATION], dtype=np.int64),
        ColumnSchema("minutes", tags=[Tags.REGRESSION], dtype=np.float32),
    ]
)
film = torch.randint(1, 31, (512, 1))
year = torch.rand(512, 1)
features = {"film": film, "year": year}
targets = {"liked": (film.view(-1) % 2).float(), "minutes": year.view(-1) * 2}

body = mm.SequentialBlock(
    mm.TabularFeatures.from_schema(
        schema.select_by_name(["film", "year"]), aggregation="concat", embedding_dim_default=16
    ),
    mm.MLPBlock([32], activation=torch.nn.ReLU, use_bias=True),
)
head = mm.Head.from_schema(schema, body, task_blocks=mm.MLPBlock([16]))
model = head.to_model()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
losses = model.fit([(features, targets)], optimizer=optimizer, num_epochs=150, verbose=False)
measured = model.evaluate([(features, targets)], verbose=False, mode="valid")
result = {"first_loss": float(losses[0]), "loss": float(losses[-1])}
for of_task in measured.values():
    result.update({name: float(value) for name, value in of_task.items()})
out.mkdir(parents=True, exist_ok=True)
(out / "metrics.json").write_text(json.dumps(result))
