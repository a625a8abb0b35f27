"""Parallel towers, a cross network from its module path, an output of its own loss."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from merlin.io import Dataset
from merlin.models.torch.block import Block, ParallelBlock, ShortcutBlock, repeat_parallel
from merlin.models.torch.blocks.cross import CrossBlock
from merlin.models.torch.blocks.mlp import MLPBlock
from merlin.models.torch.inputs.embedding import EmbeddingTable, infer_embedding_dim
from merlin.models.torch.inputs.tabular import TabularInputBlock
from merlin.models.torch.models.base import Model, compute_loss, create_optimizer
from merlin.models.torch.outputs.classification import BinaryOutput
from merlin.models.torch.transforms.agg import Concat, Stack
from merlin.schema import ColumnSchema, Schema, Tags
from torch import nn

target_folder = Path(sys.argv[-1])
torch.manual_seed(5)
values = np.random.default_rng(5)
frame = pd.DataFrame({"word": values.integers(1, 26, 512), "length": values.random(512).astype("float32")})
frame["is_late"] = (frame["word"] > 13).astype("int64")
word = ColumnSchema(
    "word",
    tags=[Tags.CATEGORICAL],
    dtype=np.int64,
    properties={"domain": {"min": 0, "max": 25, "name": "word"}},
)
features = Schema([word, ColumnSchema("length", tags=[Tags.CONTINUOUS], dtype=np.float32)])
label = ColumnSchema("is_late", tags=[Tags.TARGET, Tags.BINARY_CLASSIFICATION], dtype=np.int64)
data = Dataset(frame, schema=features + Schema([label]))

table = EmbeddingTable(schema=word)
assert table(torch.tensor([1, 2])).shape == (2, infer_embedding_dim(Schema([word])))

towers = ParallelBlock({"cross": CrossBlock.with_depth(2), "deep": MLPBlock([16, 8])})
towers.append(Concat())
experts = repeat_parallel(MLPBlock([8]), 3, agg=Stack(dim=1))
experts.append(nn.Flatten())
model = Model(
    TabularInputBlock(features, init="defaults"),
    Concat(),
    towers,
    experts,
    ShortcutBlock(nn.LazyLinear(4)),
    Block(Concat(), MLPBlock([8])),
    BinaryOutput(label, loss=nn.L1Loss()),
)
model.initialize(data)
optimizer = create_optimizer(model, "adam")
columns = {name: torch.tensor(frame[name].to_numpy()) for name in ("word", "length")}
targets = torch.tensor(frame["is_late"].to_numpy())
for _ in range(250):
    optimizer.zero_grad()
    results = compute_loss(model(columns), targets, model.model_outputs())
    results["loss"].backward()
    optimizer.step()
target_folder.mkdir(parents=True, exist_ok=True)
found = {"val_" + name: float(value) for name, value in results.items()}
(target_folder / "metrics.json").write_text(json.dumps(found))
