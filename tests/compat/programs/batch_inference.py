"""Trains, writes a checkpoint, then answers from it: the model is built anew and loaded by hand."""

import argparse
import glob
import json
import os

import numpy as np
import torch
from merlin.io import Dataset
from transformers import set_seed

from transformers4rec import torch as tr
from transformers4rec.config.trainer import T4RecTrainingArguments
from transformers4rec.torch.ranking_metric import RecallAt
from transformers4rec.torch.utils.data_utils import MerlinDataLoader

TOP_K = 10


def build(schema):
    inputs = tr.TabularSequenceFeatures.from_schema(
        schema,
        max_sequence_length=20,
        aggregation="concat",
        continuous_projection=16,
        d_output=32,
        masking="plm",
        plm_probability=0.3,
    )
    config = tr.XLNetConfig.build(d_model=32, n_head=4, n_layer=1, total_seq_length=20)
    body = tr.SequentialBlock(inputs, tr.TransformerBlock(config, masking=inputs.masking))
    task = tr.NextItemPredictionTask(
        weight_tying=True, metrics=[RecallAt(top_ks=[TOP_K], labels_onehot=True)]
    )
    return tr.Model(tr.Head(body, task, inputs=inputs))


def main(options):
    set_seed(options.seed)
    train, valid = (os.path.join(options.data_dir, "1", f"{part}.parquet") for part in ("train", "valid"))
    schema = Dataset(train).schema.select_by_name(["item_id", "category", "price"])

    args = T4RecTrainingArguments(
        output_dir=os.path.join(options.output_dir, "checkpoints"),
        overwrite_output_dir=True,
        max_sequence_length=20,
        num_train_epochs=options.epochs,
        per_device_train_batch_size=32,
        learning_rate=0.01,
        save_strategy="epoch",
        save_safetensors=False,
        report_to=[],
        no_cuda=True,
        disable_tqdm=True,
        seed=options.seed,
    )
    trainer = tr.Trainer(model=build(schema), args=args, schema=schema, train_dataset_or_path=train)
    trainer.train()

    checkpoints = glob.glob(os.path.join(options.output_dir, "checkpoints", "checkpoint-*"))
    newest = max(checkpoints, key=lambda path: int(path.rsplit("-", 1)[1]))
    model = build(schema)
    model.load_state_dict(torch.load(os.path.join(newest, "pytorch_model.bin"), map_location="cpu"))
    model.eval()

    loader = MerlinDataLoader.from_schema(
        schema, valid, batch_size=50, max_sequence_length=20, shuffle=False, drop_last=False
    )
    found, sessions, top = 0, 0, []
    with torch.no_grad():
        for batch, _ in loader:
            items = batch["item_id"]
            last = (items != 0).sum(1) - 1
            rows = torch.arange(len(items))
            targets = items[rows, last]
            for values in batch.values():
                values[rows, last] = 0
            logits = model(batch, training=False, testing=False)
            ids = torch.topk(logits, TOP_K).indices
            found += int((ids == targets[:, None]).any(1).sum())
            sessions += len(items)
            top.append(ids.numpy())
    np.save(os.path.join(options.output_dir, "top.npy"), np.concatenate(top))
    results = {"recall": found / sessions, "sessions": sessions}
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
