"""Is the session a purchase, and for how much: two tasks on one body, trained by the model's own fit."""

import argparse
import json
import os

import torch
import torchmetrics as tm
from merlin.io import Dataset
from merlin.schema import Tags
from transformers import set_seed

from transformers4rec import torch as tr
from transformers4rec.torch.utils.data_utils import MerlinDataLoader

COLUMNS = ["item_id", "category", "price", "bought", "spent"]


def main(options):
    set_seed(options.seed)
    train, valid = (os.path.join(options.data_dir, "1", f"{part}.parquet") for part in ("train", "valid"))
    schema = Dataset(train).schema.select_by_name(COLUMNS)
    features = schema.remove_by_tag(Tags.TARGET)

    inputs = tr.TabularSequenceFeatures.from_schema(
        features,
        max_sequence_length=20,
        embedding_dim_default=16,
        continuous_projection=16,
        aggregation="concat",
        d_output=32,
        masking=None,
    )
    config = tr.XLNetConfig.build(d_model=32, n_head=2, n_layer=1, total_seq_length=20)
    body = tr.SequentialBlock(inputs, tr.MLPBlock([32]), tr.TransformerBlock(config))
    metrics = [tm.Accuracy(task="binary"), tm.AUROC(task="binary")]
    head = tr.Head(
        body,
        [
            tr.BinaryClassificationTask("bought", summary_type="mean", metrics=[metrics[0]]),
            tr.RegressionTask(
                "spent", summary_type="mean", metrics=[tm.regression.MeanSquaredError(squared=False)]
            ),
        ],
        task_weights=[1.0, 0.5],
        inputs=inputs,
    )
    model = tr.Model(head)

    def loader(path, shuffle):
        return MerlinDataLoader.from_schema(
            schema, path, batch_size=32, max_sequence_length=20, shuffle=shuffle
        )

    model.fit(
        loader(train, True),
        optimizer=torch.optim.Adam,
        num_epochs=options.epochs,
        eval_dataloader=None,
        amp=False,
        verbose=False,
    )
    results = {}
    losses = model.evaluate(loader(valid, False), targets=None, training=False, testing=True, verbose=False)
    for name, value in losses.items():
        if isinstance(value, dict):
            results.update({f"{name}/{key}": float(inner) for key, inner in value.items()})
        else:
            results[name] = float(value)
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
