"""A session-based tutorial in two parts: a GRU over item ids, then XLNet with side information."""

import argparse
import json
import os

import torch
from merlin.schema import Schema, Tags
from merlin.io import Dataset
from transformers import set_seed

from transformers4rec import torch as tr
from transformers4rec.config.trainer import T4RecTrainingArguments
from transformers4rec.torch import Trainer
from transformers4rec.torch.ranking_metric import MeanReciprocalRankAt, NDCGAt, RecallAt
from transformers4rec.torch.utils.examples_utils import fit_and_evaluate, wipe_memory

D_MODEL = 32


def metrics():
    return [
        NDCGAt(top_ks=[10, 20], labels_onehot=True),
        RecallAt(top_ks=[10, 20], labels_onehot=True),
        MeanReciprocalRankAt(top_ks=[10], labels_onehot=True),
    ]


def gru_model(schema: Schema) -> tr.Model:
    inputs = tr.TabularSequenceFeatures.from_schema(
        schema,
        embedding_dims={"item_id": 32},
        max_sequence_length=20,
        masking="causal",
    )
    body = tr.SequentialBlock(
        inputs,
        tr.MLPBlock([D_MODEL]),
        tr.Block(torch.nn.GRU(input_size=D_MODEL, hidden_size=D_MODEL, num_layers=1), [None, 20, D_MODEL]),
    )
    head = tr.Head(
        body,
        tr.NextItemPredictionTask(weight_tying=True, metrics=metrics()),
        inputs=inputs,
    )
    return tr.Model(head)


def xlnet_model(schema: Schema) -> tr.Model:
    inputs = tr.TabularSequenceFeatures.from_schema(
        schema,
        embedding_dims={"item_id": 64, "category": 16},
        max_sequence_length=20,
        d_output=64,
        aggregation="concat",
        masking="mlm",
        continuous_projection=16,
        mlm_probability=0.3,
    )
    config = tr.XLNetConfig.build(d_model=64, n_head=4, n_layer=2, total_seq_length=20)
    body = tr.SequentialBlock(inputs, tr.MLPBlock([64]), tr.TransformerBlock(config, masking=inputs.masking))
    head = tr.Head(body, tr.NextItemPredictionTask(weight_tying=True, metrics=metrics()), inputs=inputs)
    return tr.Model(head)


def train(model, schema, options):
    args = T4RecTrainingArguments(
        data_loader_engine="nvtabular",
        dataloader_drop_last=True,
        gradient_accumulation_steps=1,
        per_device_train_batch_size=32,
        per_device_eval_batch_size=32,
        output_dir=options.output_dir,
        learning_rate=0.005,
        lr_scheduler_type="cosine",
        learning_rate_num_cosine_cycles_by_epoch=1.5,
        num_train_epochs=options.epochs,
        max_sequence_length=20,
        report_to=[],
        logging_steps=50,
        save_steps=0,
        predict_top_k=20,
        no_cuda=True,
        disable_tqdm=True,
        seed=options.seed,
    )
    trainer = Trainer(model=model, args=args, schema=schema, compute_metrics=True)
    return fit_and_evaluate(trainer, start_time_index=1, end_time_index=1, input_dir=options.data_dir)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--output-dir", required=True)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=42)
    options = parser.parse_args()
    set_seed(options.seed)

    schema = Dataset(os.path.join(options.data_dir, "1", "train.parquet")).schema
    schema = schema.select_by_tag(Tags.ITEM)

    gru = train(gru_model(schema.select_by_name(["item_id"])), schema.select_by_name(["item_id"]), options)
    wipe_memory()
    xlnet = train(xlnet_model(schema), schema, options)

    results = {}
    for name, windows in (("gru", gru), ("xlnet", xlnet)):
        for key, values in windows.items():
            print(name, key, values)
            results[f"{name} {key}"] = values[-1]
    with open(os.path.join(options.output_dir, "metrics.json"), "w") as out:
        json.dump(results, out)
