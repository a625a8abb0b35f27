"""Arguments from the command line by HfArgumentParser, a trainer and arguments of one's own, callbacks."""

import json
import logging
import os
import sys
from dataclasses import dataclass, field
from typing import Dict, Optional

import torch
from merlin.io import Dataset
from transformers import HfArgumentParser, TrainerCallback, set_seed

from transformers4rec import torch as tr
from transformers4rec.config.trainer import T4RecTrainingArguments
from transformers4rec.torch import Trainer
from transformers4rec.torch.ranking_metric import NDCGAt, RecallAt

logger = logging.getLogger(__name__)


@dataclass
class ModelArguments:
    d_model: int = field(default=32, metadata={"help": "width of the transformer"})
    n_layer: int = field(default=1)
    n_head: int = field(default=4)
    masking: str = field(default="clm")


@dataclass
class TrainingArguments(T4RecTrainingArguments):
    epochs: int = field(default=3, metadata={"help": "passes over the training data"})
    data_dir: Optional[str] = field(default=None)
    label_weight: float = field(default=1.0)


class LossLog(TrainerCallback):
    def __init__(self):
        self.losses = []

    def on_log(self, args, state, control, logs=None, **kwargs):
        if logs and "loss" in logs:
            self.losses.append(logs["loss"])


class WeightedTrainer(Trainer):
    def compute_loss(self, model, inputs, return_outputs=False):
        loss, outputs = super().compute_loss(model, inputs, return_outputs=True)
        loss = self.args.label_weight * loss
        return (loss, outputs) if return_outputs else loss

    def log(self, logs: Dict[str, float]) -> None:
        logs["layers"] = 1.0 * len(list(self.model.modules()))
        super().log(logs)

    def create_optimizer(self):
        if self.optimizer is None:
            self.optimizer = torch.optim.AdamW(
                self.model.parameters(), lr=self.args.learning_rate, weight_decay=self.args.weight_decay
            )
        return self.optimizer


def main():
    parser = HfArgumentParser((ModelArguments, TrainingArguments))
    given = [argument.replace("-dir", "_dir") for argument in sys.argv[1::2]]
    given = [word for pair in zip(given, sys.argv[2::2], strict=True) for word in pair]
    given += ["--no_cuda", "--report_to", "none", "--disable_tqdm", "true"]
    given += ["--learning_rate", "0.01", "--per_device_train_batch_size", "32", "--logging_steps", "5"]
    given += ["--per_device_eval_batch_size", "64", "--max_sequence_length", "20", "--save_strategy", "no"]
    given += ["--lr_scheduler_type", "constant_with_warmup", "--warmup_ratio", "0.1", "--predict_top_k", "5"]
    given += ["--logging_dir", "logs", "--group_by_length", "false", "--weight_decay", "0.01"]
    model_args, training_args = parser.parse_args_into_dataclasses(given)
    training_args.num_train_epochs = training_args.epochs
    set_seed(training_args.seed)

    train = os.path.join(training_args.data_dir, "1", "train.parquet")
    schema = Dataset(train).schema.select_by_name(["item_id", "category", "price"])
    inputs = tr.TabularSequenceFeatures.from_schema(
        schema,
        max_sequence_length=training_args.max_sequence_length,
        continuous_projection=16,
        aggregation="concat",
        d_output=model_args.d_model,
        masking=model_args.masking,
    )
    config = tr.GPT2Config.build(
        d_model=model_args.d_model,
        n_head=model_args.n_head,
        n_layer=model_args.n_layer,
        total_seq_length=training_args.max_sequence_length,
    )
    body = tr.SequentialBlock(inputs, tr.TransformerBlock(config, masking=inputs.masking))
    task = tr.NextItemPredictionTask(
        weight_tying=True,
        metrics=[NDCGAt(top_ks=[5, 10], labels_onehot=True), RecallAt(top_ks=[5, 10], labels_onehot=True)],
    )
    model = tr.Model(tr.Head(body, task, inputs=inputs))

    log = LossLog()
    trainer = WeightedTrainer(
        model=model, args=training_args, schema=schema, compute_metrics=True, callbacks=[log]
    )
    trainer.train_dataset_or_path = train
    trainer.eval_dataset_or_path = os.path.join(training_args.data_dir, "1", "valid.parquet")
    trainer.train()
    results = trainer.evaluate(metric_key_prefix="eval")
    prediction = trainer.predict(trainer.eval_dataset_or_path)
    ids, _ = prediction.predictions
    logger.info("predicted %s sessions", len(ids))
    results["predicted"] = len(ids)
    results["last_loss"] = log.losses[-1]
    print(results)
    with open(os.path.join(training_args.output_dir, "metrics.json"), "w") as out:
        json.dump(results, out)


if __name__ == "__main__":
    main()
