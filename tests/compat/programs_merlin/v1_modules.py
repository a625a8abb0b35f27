"""V1: names from their own modules, inputs merged by hand, a shared table, a loop of one's own."""

import argparse
import json
from pathlib import Path

import torch
from merlin.models.torch.block.base import Block, SequentialBlock
from merlin.models.torch.block.mlp import MLPBlock
from merlin.models.torch.features.continuous import ContinuousFeatures
from merlin.models.torch.features.embedding import EmbeddingFeatures, FeatureConfig, TableConfig
from merlin.models.torch.model.base import Head, Model
from merlin.models.torch.model.prediction_task import RegressionTask
from merlin.models.torch.tabular.aggregation import ConcatFeatures
from merlin.models.torch.tabular.base import MergeTabular

parser = argparse.ArgumentParser()
parser.add_argument("--output-dir", type=Path)
folder = parser.parse_args().output_dir
torch.manual_seed(8)

city = TableConfig(vocabulary_size=13, dim=8, name="city")
embeddings = EmbeddingFeatures({"origin": FeatureConfig(city), "goal": FeatureConfig(city)})
numbers = ContinuousFeatures.from_features(["distance"])
inputs = MergeTabular(embeddings, numbers, aggregation=ConcatFeatures())
rows = 256
data = {
    "origin": torch.randint(1, 13, (rows, 1)),
    "goal": torch.randint(1, 13, (rows, 1)),
    "distance": torch.rand(rows, 1),
}
price = (data["distance"] + 0.1 * (data["origin"] == data["goal"])).view(-1)
inputs.build({name: column.shape for name, column in data.items()})
tower = Block(torch.nn.Sequential(torch.nn.Linear(17, 16), torch.nn.ReLU()), [-1, 16])
body = SequentialBlock(inputs, tower)
body.build({name: column.shape for name, column in data.items()})
model = Model(Head(body, RegressionTask("price", task_block=MLPBlock([8]))))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
losses = []
for _ in range(120):
    optimizer.zero_grad()
    loss = model.compute_loss(data, {"price": price})
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
metrics = {"first_loss": losses[0], "loss": losses[-1], "tables": len(embeddings.embedding_tables)}
folder.mkdir(parents=True, exist_ok=True)
(folder / "metrics.json").write_text(json.dumps(metrics))
