"""DCN with the outputs of its schema's targets: a click and a rating."""

import argparse
import json
import os

import merlin.models.torch as mm
import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from merlin.io import Dataset
from merlin.schema import ColumnSchema, Schema, Tags


def main(output_dir):
    torch.manual_seed(1)
    rng = np.random.RandomState(1)
    frame = pd.DataFrame(
        {
            "item": rng.randint(1, 21, 1024),
            "brand": rng.randint(1, 6, 1024),
            "price": rng.rand(1024).astype("float32"),
        }
    )
    frame["click"] = (frame["item"] > 10).astype("int64")
    frame["rating"] = (frame["brand"] / 5 + frame["price"]).astype("float32")
    columns = [
        ColumnSchema(
            name,
            tags=[Tags.CATEGORICAL],
            dtype=np.int64,
            properties={"domain": {"min": 0, "max": int(frame[name].max()), "name": name}},
        )
        for name in ("item", "brand")
    ]
    columns.append(ColumnSchema("price", tags=[Tags.CONTINUOUS], dtype=np.float32))
    columns.append(ColumnSchema("click", tags=[Tags.TARGET, Tags.BINARY_CLASSIFICATION], dtype=np.int64))
    columns.append(ColumnSchema("rating", tags=[Tags.TARGET, Tags.REGRESSION], dtype=np.float32))
    dataset = Dataset(frame, schema=Schema(columns))

    model = mm.DCNModel(dataset.schema, depth=2, deep_block=mm.MLPBlock([32, 16], dropout=0.1), stacked=False)
    model.initialize(dataset)
    trainer = pl.Trainer(
        max_epochs=12,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
    )
    loaders = mm.MultiLoader(dataset, valid=dataset, batch_size=64)
    trainer.fit(model, loaders)
    results = trainer.validate(model, loaders.val_dataloader(), verbose=False)[0]
    os.makedirs(output_dir, exist_ok=True)
    with open(os.path.join(output_dir, "metrics.json"), "w") as file:
        json.dump(results, file)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--output-dir")
    main(parser.parse_args().output_dir)
