"""Callbacks that log by epoch and stop, an optimiser of groups and a schedule of one's own."""

import json
import os
import sys

import torch
from merlin.io import Dataset
from transformers import TrainerCallback

from transformers4rec import torch as tr
from transformers4rec.config.trainer import T4RecTrainingArguments
from transformers4rec.torch import Trainer
from transformers4rec.torch.ranking_metric import RecallAt


class GroupedTrainer(Trainer):
    def create_optimizer(self):
        decayed = [p for name, p in self.model.named_parameters() if "bias" not in name]
        spared = [p for name, p in self.model.named_parameters() if "bias" in name]
        groups = [
            {"params": decayed, "weight_decay": self.args.weight_decay},
            {"params": spared, "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.SGD(groups, lr=self.args.learning_rate, momentum=0.9)
        return self.optimizer

    def create_scheduler(self, num_training_steps, optimizer=None):
        if self.lr_scheduler is None:
            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
                self.optimizer if optimizer is None else optimizer,
                lambda step: 1.0 - 0.5 * step / num_training_steps,
            )
        return self.lr_scheduler


class EpochLog(TrainerCallback):
    """Keeps what is logged."""

    def __init__(self, kept):
        self.kept = kept

    def on_log(self, args, state, control, logs=None, **kwargs):
        if logs is None or "loss" not in logs:
            return
        # One entry an epoch.
        self.kept.append([logs["loss"], logs["learning_rate"], logs["epoch"], state.global_step])


class StopWhenGood(TrainerCallback):
    def __init__(self, steps: int = 4):
        self.steps = steps
        self.best = 0.0

    def on_step_end(self, args, state, control, **kwargs):
        self.best = max(self.best, kwargs["optimizer"].param_groups[0]["lr"])
        if state.global_step >= self.steps:
            control.should_training_stop = True
        return control

    def on_train_end(self, args, state, control, **kwargs):
        self.stopped = state.global_step


given = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
train = os.path.join(given["--data-dir"], "1", "train.parquet")
schema = Dataset(train).schema.select_by_name(["item_id", "category"])
inputs = tr.TabularSequenceFeatures.from_schema(
    schema, max_sequence_length=20, aggregation="concat", d_output=32, masking="clm"
)
config = tr.GPT2Config.build(d_model=32, n_head=4, n_layer=1, total_seq_length=20)
body = tr.SequentialBlock(inputs, tr.TransformerBlock(config, masking=inputs.masking))
task = tr.NextItemPredictionTask(weight_tying=True, metrics=[RecallAt(top_ks=[10], labels_onehot=True)])
model = tr.Model(tr.Head(body, task, inputs=inputs))

args = T4RecTrainingArguments(
    given["--output-dir"],
    num_train_epochs=6,
    max_sequence_length=20,
    per_device_train_batch_size=96,
    per_device_eval_batch_size=40,
    predict_top_k=10,
    learning_rate=0.05,
    weight_decay=0.1,
    logging_strategy="epoch",
    save_strategy="no",
    report_to=[],
    no_cuda=True,
)
kept = []
stop = StopWhenGood(steps=4)
callbacks = [EpochLog(kept), stop]
trainer = GroupedTrainer(model=model, args=args, schema=schema, callbacks=callbacks, compute_metrics=True)
trainer.train_dataset_or_path = train
trainer.eval_dataset_or_path = os.path.join(given["--data-dir"], "1", "valid.parquet")
trainer.train()
results = trainer.evaluate(metric_key_prefix="eval")
found = {
    "loss": results["eval_/loss"],
    "recall": results["eval_/next-item/recall_at_10"],
    "kept": kept,
    "stopped": stop.stopped,
    "best": stop.best,
}
os.makedirs(given["--output-dir"], exist_ok=True)
with open(os.path.join(given["--output-dir"], "metrics.json"), "w") as out:
    json.dump(found, out)
