"""The shortest way: schema, inputs, configuration, task, model, trainer, as a README would show it."""

import argparse
import json
import os

from merlin.io import Dataset
from transformers import set_seed

import transformers4rec.torch as tr
from transformers4rec.torch.ranking_metric import NDCGAt, RecallAt

parser = argparse.ArgumentParser()
parser.add_argument("--data-dir", required=True)
parser.add_argument("--output-dir", required=True)
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--seed", type=int, default=42)
options = parser.parse_args()

set_seed(options.seed)
train = os.path.join(options.data_dir, "1", "train.parquet")
valid = os.path.join(options.data_dir, "1", "valid.parquet")

# Create a schema or read one from disk
schema = Dataset(train).schema.select_by_name(["item_id", "category"])

max_sequence_length, d_model = 20, 64

# Define input module to process tabular input-features and to prepare masked inputs
input_module = tr.TabularSequenceFeatures.from_schema(
    schema,
    max_sequence_length=max_sequence_length,
    aggregation="concat",
    d_output=d_model,
    masking="mlm",
)

# Define one or multiple prediction-tasks
prediction_tasks = tr.NextItemPredictionTask(
    weight_tying=True,
    metrics=[NDCGAt(top_ks=[10, 20], labels_onehot=True), RecallAt(top_ks=[10], labels_onehot=True)],
)

# Define a transformer-config like the XLNet architecture
transformer_config = tr.XLNetConfig.build(
    d_model=d_model, n_head=4, n_layer=2, total_seq_length=max_sequence_length
)

# Get the end-to-end model
model = transformer_config.to_torch_model(input_module, prediction_tasks)

args = tr.T4RecTrainingArguments(
    data_loader_engine="merlin",
    dataloader_drop_last=False,
    report_to=[],
    num_train_epochs=options.epochs,
    learning_rate=0.005,
    per_device_train_batch_size=32,
    per_device_eval_batch_size=64,
    output_dir=options.output_dir,
    max_sequence_length=max_sequence_length,
    save_strategy="no",
    predict_top_k=20,
    no_cuda=True,
    disable_tqdm=True,
    seed=options.seed,
)
trainer = tr.Trainer(
    model=model,
    args=args,
    schema=schema,
    compute_metrics=True,
    train_dataset_or_path=train,
    eval_dataset_or_path=valid,
)
trainer.train()
results = trainer.evaluate(metric_key_prefix="eval")
print(results)

with open(os.path.join(options.output_dir, "metrics.json"), "w") as out:
    json.dump(results, out)
