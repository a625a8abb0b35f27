"""Trains a session-based recommender window by window, in the manner of the getting-started notebook.

The folder given has one numbered folder for each time window, each with ``train.parquet`` and
``valid.parquet``, and ``schema.pbtxt`` beside them. Every window is trained on, then evaluated on its own
validation sessions.
"""

import argparse
import json
import os

from merlin.io import Dataset
from merlin.schema import Schema
from transformers import set_seed

from transformers4rec import torch as tr
from transformers4rec.config.trainer import T4RecTrainingArguments
from transformers4rec.torch.ranking_metric import NDCGAt, RecallAt

COLUMNS = ["item_id", "category", "age_days", "price"]


def read_schema(data_dir: str) -> Schema:
    schema = Dataset(os.path.join(data_dir, "1", "train.parquet")).schema
    return schema.select_by_name(COLUMNS)


def build_model(schema: Schema, masking: str) -> tr.Model:
    inputs = tr.TabularSequenceFeatures.from_schema(
        schema,
        max_sequence_length=20,
        continuous_projection=64,
        aggregation="concat",
        masking=masking,
        d_output=64,
    )
    config = tr.XLNetConfig.build(d_model=64, n_head=4, n_layer=2, total_seq_length=20)
    body = tr.SequentialBlock(
        inputs,
        tr.MLPBlock([64]),
        tr.TransformerBlock(config, masking=inputs.masking),
    )
    metrics = [
        NDCGAt(top_ks=[10, 20], labels_onehot=True),
        RecallAt(top_ks=[10, 20], labels_onehot=True),
    ]
    task = tr.NextItemPredictionTask(weight_tying=True, metrics=metrics)
    head = tr.Head(body, task, inputs=inputs)
    return tr.Model(head)


def main(
    data_dir: str,
    output_dir: str,
    masking: str = "mlm",
    epochs: int = 3,
    seed: int = 42,
    batch_size: int = 32,
    eval_batch_size: int = 64,
) -> dict:
    set_seed(seed)
    schema = read_schema(data_dir)
    model = build_model(schema, masking)

    training_args = T4RecTrainingArguments(
        output_dir=output_dir,
        max_sequence_length=20,
        data_loader_engine="merlin",
        num_train_epochs=epochs,
        per_device_train_batch_size=batch_size,
        per_device_eval_batch_size=eval_batch_size,
        learning_rate=0.005,
        lr_scheduler_type="cosine",
        learning_rate_num_cosine_cycles_by_epoch=1.5,
        weight_decay=0.01,
        predict_top_k=20,
        logging_steps=50,
        save_strategy="no",
        report_to=[],
        no_cuda=True,
        disable_tqdm=True,
        seed=seed,
    )
    trainer = tr.Trainer(model=model, args=training_args, schema=schema, compute_metrics=True)

    results = {}
    windows = sorted((name for name in os.listdir(data_dir) if name.isdigit()), key=int)
    for window in windows:
        train_path = os.path.join(data_dir, window, "train.parquet")
        valid_path = os.path.join(data_dir, window, "valid.parquet")

        print(f"Window {window}: training on {train_path}")
        trainer.train_dataset_or_path = train_path
        trainer.reset_lr_scheduler()
        trainer.train()
        trainer.state.global_step += 1

        trainer.eval_dataset_or_path = valid_path
        metrics = trainer.evaluate(metric_key_prefix="eval")
        for key in sorted(metrics):
            print(f"  {key} = {metrics[key]:.4f}")
        print("  recall at 20:", metrics["eval_/next-item/recall_at_20"])
        results[window] = metrics

    with open(os.path.join(output_dir, "metrics.json"), "w") as out:
        json.dump(results, out, indent=2)
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--output-dir", required=True)
    parser.add_argument("--masking", default="mlm", choices=["mlm", "causal"])
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--eval-batch-size", type=int, default=64)
    options = parser.parse_args()
    os.makedirs(options.output_dir, exist_ok=True)
    main(
        options.data_dir,
        options.output_dir,
        options.masking,
        options.epochs,
        options.seed,
        options.batch_size,
        options.eval_batch_size,
    )
