"""Arguments of a class of one's own, a weight that grows with the epochs, figures in the log, two windows."""

import json
import os
import sys
from dataclasses import dataclass
from typing import Dict

from merlin.io import Dataset
from transformers import TrainerCallback

import transformers4rec.torch as tr
from transformers4rec.config.trainer import T4RecTrainingArguments
from transformers4rec.torch.ranking_metric import NDCGAt


@dataclass
class Settings(T4RecTrainingArguments):
    """Arguments, and what the program wants besides."""

    warm_epochs: float = 2.0
    widths: str = "32,16"

    def __post_init__(self):
        super().__post_init__()
        self.widths = self.widths.replace(";", ",")

    @property
    def width(self) -> int:
        return int(self.widths.split(",")[0])


class AnnealedTrainer(tr.Trainer):
    def compute_loss(self, model, inputs, return_outputs=False):
        result = super().compute_loss(model, inputs, return_outputs)
        if return_outputs:
            loss, outputs = result
            return loss * self.weight(), outputs
        return result * self.weight()

    def weight(self) -> float:
        return min(1.0, (1.0 + self.state.epoch) / self.args.warm_epochs)

    def log(self, logs: Dict[str, float]) -> None:
        if "eval_/loss" in logs:
            super().log({**logs, "eval_size": float(sum(p.numel() for p in self.model.parameters()))})
        else:
            super().log(logs)


class Losses(TrainerCallback):
    def __init__(self):
        self.training, self.evaluation = [], []

    def on_log(self, args, state, control, logs=None, **kwargs):
        if logs.get("loss") is not None:
            self.training.append(round(logs["loss"], 3))
        elif any(name.startswith("eval_") for name in logs):
            self.evaluation.append(round(logs["eval_/loss"], 3))

    def on_epoch_begin(self, args, state, control, **kwargs):
        if state.is_world_process_zero:
            self.training.append(f"{state.epoch:.1f} {args.warm_epochs}")


given = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
args = Settings(
    output_dir=given["--output-dir"],
    num_train_epochs=2,
    max_sequence_length=20,
    per_device_train_batch_size=96,
    per_device_eval_batch_size=40,
    predict_top_k=10,
    learning_rate=0.01,
    lr_scheduler_type="cosine",
    logging_steps=1,
    save_strategy="no",
    report_to=[],
    no_cuda=True,
    widths="32;8",
)
first = os.path.join(given["--data-dir"], "1", "train.parquet")
schema = Dataset(first).schema.select_by_name(["item_id", "category"])
inputs = tr.TabularSequenceFeatures.from_schema(
    schema, max_sequence_length=20, aggregation="concat", d_output=args.width, masking="clm"
)
config = tr.GPT2Config.build(d_model=args.width, n_head=4, n_layer=1, total_seq_length=20)
body = tr.SequentialBlock(inputs, tr.TransformerBlock(config, masking=inputs.masking))
task = tr.NextItemPredictionTask(weight_tying=True, metrics=[NDCGAt(top_ks=[10], labels_onehot=True)])
model = tr.Model(tr.Head(body, task, inputs=inputs))
trainer = AnnealedTrainer(model=model, args=args, schema=schema, compute_metrics=True)
losses = Losses()
trainer.add_callback(losses)
found = []
for window in (1, 2):
    trainer.train_dataset_or_path = os.path.join(given["--data-dir"], str(window), "train.parquet")
    trainer.eval_dataset_or_path = os.path.join(given["--data-dir"], str(window), "valid.parquet")
    trainer.reset_lr_scheduler()
    trainer.train()
    trainer.state.global_step += 1
    results = trainer.evaluate(metric_key_prefix="eval")
    found.append(results["eval_/loss"])
os.makedirs(given["--output-dir"], exist_ok=True)
with open(os.path.join(given["--output-dir"], "metrics.json"), "w") as out:
    json.dump({"found": found, "training": losses.training, "evaluation": losses.evaluation}, out)
