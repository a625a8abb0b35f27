"""``tests/compat/programs/own_trainer.py`` as the codemod writes it, with its marks done by hand."""

import json
import logging
import os
import sys
from dataclasses import dataclass, field
from typing import Optional

import torch
import lightning
import merlin_models_torch as mm
import transformers
from transformers import HfArgumentParser, set_seed

logger = logging.getLogger(__name__)


@dataclass
class ModelArguments:
    d_model: int = field(default=32, metadata={"help": "width of the transformer"})
    n_layer: int = field(default=1)
    n_head: int = field(default=4)
    masking: str = field(default="clm")


@dataclass
class TrainingArguments:
    output_dir: str = "trainer_output"
    num_train_epochs: int = 3
    max_sequence_length: int | None = None
    per_device_train_batch_size: int = 8
    per_device_eval_batch_size: int = 8
    learning_rate: float = 5e-5
    seed: int = 42
    no_cuda: bool = False
    disable_tqdm: bool = False
    group_by_length: bool = False
    weight_decay: float = 0.0
    warmup_ratio: float = 0.0
    logging_steps: int = 500
    logging_dir: str = ""
    lr_scheduler_type: str = "linear"
    predict_top_k: int = 100
    save_strategy: str = "steps"
    report_to: str = "none"
    epochs: int = field(default=3, metadata={"help": "passes over the training data"})
    data_dir: Optional[str] = field(default=None)
    label_weight: float = field(default=1.0)


class LossLog(lightning.Callback):
    def __init__(self):
        self.losses = []
        self.waiting = []

    def on_train_batch_end(self, trainer, model, outputs, batch, batch_idx):
        self.waiting.append(float(outputs["loss"]))
        if len(self.waiting) == trainer.log_every_n_steps:
            self.losses.append(sum(self.waiting) / len(self.waiting))
            self.waiting = []


class WeightedModel(mm.Model):
    label_weight = 1.0
    also_logged = ("val_layers",)

    def training_step(self, batch, batch_idx):
        return self.label_weight * super().training_step(batch, batch_idx)

    def on_validation_epoch_end(self):
        super().on_validation_epoch_end()
        self.log("val_layers", 1.0 * len(list(self.modules())))


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
    schema = mm.Schema.load(train).select_by_name(["item_id", "category", "price"])
    inputs = mm.TabularInputBlock(
        schema,
        max_sequence_length=training_args.max_sequence_length,
        pad_to=training_args.max_sequence_length,
        continuous_projection=16,
        aggregation="concat",
        projection=mm.MLPBlock([model_args.d_model]),
        masking={
            "clm": mm.CausalMasking(
                attention="full",
                replace_padding=True,
                blank_last=True,
                attend_to_padding=True,
            ),
        }[model_args.masking],
    )
    config = mm.HuggingFaceBlock(
        transformers.GPT2Config(
            n_embd=model_args.d_model,
            n_inner=4 * model_args.d_model,
            n_layer=model_args.n_layer,
            n_head=model_args.n_head,
            activation_function="gelu",
            initializer_range=0.01,
            resid_pdrop=0.3,
            embd_pdrop=0.3,
            attn_pdrop=0.3,
            n_positions=training_args.max_sequence_length,
            vocab_size=1,
        ),
        ignore_plan=True,
    )
    body = mm.Block(inputs, config)
    task = mm.CategoricalOutput(
        weight_tying=True,
        metrics=["ndcg", "recall"],
        top_ks=(5, 10),
        exclude=(),
    )
    model = WeightedModel(body, task)
    model.label_weight = training_args.label_weight

    log = LossLog()
    trainer_options = dict(
        default_root_dir=training_args.output_dir,
        max_epochs=training_args.num_train_epochs,
        accelerator="cpu" if training_args.no_cuda else "auto",
        enable_progress_bar=not training_args.disable_tqdm,
        log_every_n_steps=training_args.logging_steps,
        enable_checkpointing=training_args.save_strategy != "no",
        logger=training_args.report_to not in ("none", [], ["none"]),
        gradient_clip_val=1.0,
        callbacks=[log],
    )
    os.makedirs(training_args.output_dir, exist_ok=True)
    lightning.seed_everything(training_args.seed, verbose=False)
    model.optimizer = mm.OptimizerConfig(
        torch.optim.AdamW(
            model.parameters(), lr=training_args.learning_rate, weight_decay=training_args.weight_decay
        ),
        schedule={
            "linear": "linear",
            "cosine": "cosine",
            "constant": "constant",
            "constant_with_warmup": "constant",
            "cosine_with_restarts": "cosine_restarts",
            "polynomial": "polynomial",
        }[training_args.lr_scheduler_type],
        cycles=1.25 * training_args.num_train_epochs,
        end=1e-7 / training_args.learning_rate,
    )
    trainer = lightning.Trainer(**trainer_options)
    train_loader = mm.ParquetLoader(
        train,
        schema,
        batch_size=training_args.per_device_train_batch_size,
        max_sequence_length=training_args.max_sequence_length,
        keep="oldest",
        shuffle=True,
    )
    eval_loader = mm.ParquetLoader(
        os.path.join(training_args.data_dir, "1", "valid.parquet"),
        schema,
        batch_size=training_args.per_device_eval_batch_size,
        max_sequence_length=training_args.max_sequence_length,
        keep="oldest",
    )
    trainer.fit(model, train_loader)
    results = trainer.validate(model, eval_loader, verbose=False)[0]
    answers = model.predict(eval_loader, k=training_args.predict_top_k)
    logger.info("predicted %s sessions", len(answers))
    results["predicted"] = len(answers)
    results["last_loss"] = log.losses[-1]
    print(results)
    with open(os.path.join(training_args.output_dir, "metrics.json"), "w") as out:
        json.dump(results, out)


if __name__ == "__main__":
    main()
