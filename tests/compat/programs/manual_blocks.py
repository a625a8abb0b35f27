"""A model put together by hand, and a training loop of one's own over the package's data loader."""

import argparse
import json
import os
import random

import numpy as np
import torch
from merlin.io import Dataset
from merlin.schema import Tags

from transformers4rec.config.transformer import XLNetConfig
from transformers4rec.torch import (
    Head,
    MLPBlock,
    Model,
    NextItemPredictionTask,
    SequentialBlock,
    TabularSequenceFeatures,
    TransformerBlock,
)
from transformers4rec.torch.block.base import Block
from transformers4rec.torch.features.continuous import ContinuousFeatures
from transformers4rec.torch.features.sequence import SequenceEmbeddingFeatures
from transformers4rec.torch.masking import MaskedLanguageModeling
from transformers4rec.torch.ranking_metric import NDCGAt, RecallAt
from transformers4rec.torch.tabular.aggregation import ConcatFeatures
from transformers4rec.torch.utils.data_utils import MerlinDataLoader

LENGTH, WIDTH = 20, 32


def make_loader(path, schema, batch_size, shuffle):
    return MerlinDataLoader.from_schema(
        schema, path, batch_size=batch_size, max_sequence_length=LENGTH, shuffle=shuffle, drop_last=False
    )


def make_model(schema):
    inputs = TabularSequenceFeatures(
        continuous_module=ContinuousFeatures.from_schema(schema, tags=[Tags.CONTINUOUS]),
        categorical_module=SequenceEmbeddingFeatures.from_schema(
            schema, tags=[Tags.CATEGORICAL], embedding_dim_default=32
        ),
        aggregation=ConcatFeatures(),
        schema=schema,
    )
    inputs.build({name: [-1, LENGTH] for name in schema.column_names})
    inputs.projection_module = MLPBlock([WIDTH]).build(inputs.output_size())
    inputs.set_masking(MaskedLanguageModeling(WIDTH, mlm_probability=0.25))

    config = XLNetConfig.build(WIDTH, 4, 1, LENGTH, dropout=0.1)
    body = SequentialBlock(
        inputs,
        Block(torch.nn.Sequential(torch.nn.Linear(WIDTH, WIDTH), torch.nn.GELU()), [None, LENGTH, WIDTH]),
        TransformerBlock(config, masking=inputs.masking),
    )
    task = NextItemPredictionTask(
        weight_tying=True,
        softmax_temperature=2,
        metrics=[NDCGAt(top_ks=[10], labels_onehot=True), RecallAt(top_ks=[10], labels_onehot=True)],
    )
    return Model(Head(body, task, inputs=inputs))


def main(options):
    random.seed(options.seed)
    np.random.seed(options.seed)
    torch.manual_seed(options.seed)
    train, valid = (os.path.join(options.data_dir, "1", f"{part}.parquet") for part in ("train", "valid"))
    schema = Dataset(train).schema.select_by_name(["item_id", "category", "age_days", "price"])
    model = make_model(schema)
    print(sum(parameter.numel() for parameter in model.parameters()), "parameters")

    optimizer = torch.optim.Adam(model.parameters(), lr=0.004)
    for epoch in range(options.epochs):
        model.train()
        total, steps = 0.0, 0
        for batch, _ in make_loader(train, schema, 32, True):
            output = model(batch, training=True)
            optimizer.zero_grad()
            output["loss"].backward()
            optimizer.step()
            total, steps = total + output["loss"].item(), steps + 1
        print(f"epoch {epoch}: loss {total / steps:.4f}")

    model.eval()
    model.reset_metrics()
    losses = []
    with torch.no_grad():
        for batch, _ in make_loader(valid, schema, 64, False):
            output = model(batch, training=False, testing=True)
            losses.append(output["loss"].item())
            model.calculate_metrics(output["predictions"], output["labels"])
    results = {name: float(value) for name, value in model.compute_metrics().items()}
    results["loss"] = float(np.mean(losses))
    print(results)
    with open(os.path.join(options.output_dir, "metrics.json"), "w") as out:
        json.dump(results, out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--output-dir", required=True)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=42)
    main(parser.parse_args())
