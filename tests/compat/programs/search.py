"""A search over settings that builds model and trainer anew for each trial, and keeps the best."""

import argparse
import gc
import json
import os

from merlin.io import Dataset
from transformers import EarlyStoppingCallback, set_seed

from transformers4rec import torch as tr
from transformers4rec.torch import masking as m
from transformers4rec.torch.ranking_metric import NDCGAt

TRIALS = [
    {"body": "gpt2", "masking": "clm", "d_model": 32, "heads": 2, "lr": 0.01},
    {"body": "albert", "masking": "mlm", "d_model": 32, "heads": 4, "lr": 0.01},
    {"body": "xlnet", "masking": "mlm", "d_model": 32, "heads": 4, "lr": 0.0001},
]
CONFIGS = {"gpt2": tr.GPT2Config, "albert": tr.AlbertConfig, "xlnet": tr.XLNetConfig}


def objective(trial, schema, options):
    set_seed(options.seed)
    assert trial["masking"] in m.masking_registry
    inputs = tr.TabularSequenceFeatures.from_schema(
        schema,
        max_sequence_length=20,
        aggregation="concat",
        d_output=trial["d_model"],
        masking=trial["masking"],
        embedding_dim_default=trial["d_model"],
    )
    config = CONFIGS[trial["body"]].build(
        d_model=trial["d_model"], n_head=trial["heads"], n_layer=1, total_seq_length=20, dropout=0.1
    )
    task = tr.NextItemPredictionTask(weight_tying=True, metrics=[NDCGAt(top_ks=[10], labels_onehot=True)])
    model = config.to_torch_model(inputs, task)
    args = tr.T4RecTrainingArguments(
        output_dir=os.path.join(options.output_dir, trial["body"]),
        overwrite_output_dir=True,
        max_sequence_length=20,
        num_train_epochs=options.epochs,
        per_device_train_batch_size=32,
        per_device_eval_batch_size=64,
        learning_rate=trial["lr"],
        lr_scheduler_type="linear",
        warmup_steps=5,
        evaluation_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model="eval_/next-item/ndcg_at_10",
        greater_is_better=True,
        report_to=[],
        predict_top_k=20,
        no_cuda=True,
        disable_tqdm=True,
        seed=options.seed,
    )
    trainer = tr.Trainer(
        model=model,
        args=args,
        schema=schema,
        train_dataset_or_path=os.path.join(options.data_dir, "1", "train.parquet"),
        eval_dataset_or_path=os.path.join(options.data_dir, "1", "valid.parquet"),
        compute_metrics=True,
        callbacks=[EarlyStoppingCallback(early_stopping_patience=2)],
    )
    trainer.train()
    value = trainer.evaluate(metric_key_prefix="eval")["eval_/next-item/ndcg_at_10"]
    del model, trainer
    gc.collect()
    return value


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--output-dir", required=True)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=42)
    options = parser.parse_args()
    schema = Dataset(os.path.join(options.data_dir, "1", "train.parquet")).schema
    schema = schema.select_by_name(["item_id", "category"])

    results = {}
    for trial in TRIALS:
        results[trial["body"]] = objective(trial, schema, options)
        print(trial, "->", results[trial["body"]])
    print("best:", max(results, key=results.get))
    with open(os.path.join(options.output_dir, "metrics.json"), "w") as out:
        json.dump(results, out)
