"""Arguments of a class of one's own, a weight that grows with the epochs, figures in the log, two windows."""

import json
import os
import sys
from dataclasses import dataclass

import lightning
import merlin_models_torch as mm
import transformers


@dataclass
class Settings:
    """Arguments, and what the program wants besides."""
    output_dir: str = "trainer_output"
    num_train_epochs: int = 3
    max_sequence_length: int | None = None
    per_device_train_batch_size: int = 8
    per_device_eval_batch_size: int = 8
    learning_rate: float = 5e-5
    seed: int = 42
    no_cuda: bool = False
    logging_steps: int = 500
    lr_scheduler_type: str = "linear"
    predict_top_k: int = 100
    save_strategy: str = "steps"
    report_to: str = "none"

    warm_epochs: float = 2.0
    widths: str = "32,16"

    def __post_init__(self):
        self.widths = self.widths.replace(";", ",")

    @property
    def width(self) -> int:
        return int(self.widths.split(",")[0])


class AnnealedModel(mm.Model):
    also_logged = ("val_size",)

    def training_step(self, batch, batch_idx):
        result = super().training_step(batch, batch_idx)
        loss = result * self.weight()
        self.log("train_loss", loss.detach(), prog_bar=True)
        return loss

    def weight(self) -> float:
        return min(1.0, (1.0 + (self.global_step / self.trainer.num_training_batches)) / self.args.warm_epochs)

    def on_validation_epoch_end(self):
        super().on_validation_epoch_end()
        self.log("val_size", float(sum(p.numel() for p in self.parameters())))


class Losses(lightning.Callback):
    def __init__(self):
        self.training, self.evaluation = [], []

    def on_train_start(self, trainer, model):
        self.waiting = []

    def on_train_batch_end(self, trainer, model, outputs, batch, batch_idx):
        self.waiting.append(float(outputs["loss"]))
        if trainer.global_step % trainer.log_every_n_steps == 0:
            logs = {"loss": round(sum(self.waiting) / len(self.waiting), 4)}
            self.waiting = []
            self.training.append(round(logs["loss"], 3))

    def on_validation_end(self, trainer, model):
        logs = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("val_")}
        self.evaluation.append(round(logs["val_loss"], 3))

    def on_train_epoch_start(self, trainer, model):
        if trainer.is_global_zero:
            self.training.append(f"{trainer.global_step / trainer.num_training_batches:.1f} {model.args.warm_epochs}")


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
schema = mm.Schema.load(first).select_by_name(["item_id", "category"])
inputs = mm.TabularInputBlock(
    schema,
    max_sequence_length=20,
    pad_to=20,
    aggregation="concat",
    projection=mm.MLPBlock([args.width]),
    masking=mm.CausalMasking(
        attention="full",
        replace_padding=True,
        blank_last=True,
        attend_to_padding=True,
    ),
)
config = mm.HuggingFaceBlock(
    transformers.GPT2Config(
        n_embd=args.width,
        n_inner=4 * args.width,
        n_layer=1,
        n_head=4,
        activation_function="gelu",
        initializer_range=0.01,
        resid_pdrop=0.3,
        embd_pdrop=0.3,
        attn_pdrop=0.3,
        n_positions=20,
        vocab_size=1,
    ),
    ignore_plan=True,
)
body = mm.Block(inputs, config)
task = mm.CategoricalOutput(weight_tying=True, metrics=["ndcg"], top_ks=(10,), exclude=())
model = AnnealedModel(body, task)
trainer_options = dict(
    default_root_dir=args.output_dir,
    max_epochs=args.num_train_epochs,
    log_every_n_steps=args.logging_steps,
    enable_checkpointing=False,
    logger=False,
    accelerator="cpu",
    gradient_clip_val=1.0,
)
lightning.seed_everything(args.seed, verbose=False)
model.args = args
model.optimizer = mm.OptimizerConfig(
    lr=args.learning_rate,
    schedule="cosine",
    cycles=1.25 * args.num_train_epochs,
    carry_over=True,
)
losses = Losses()
trainer_options.setdefault("callbacks", []).append(losses)
found = []
for window in (1, 2):
    train_loader = mm.ParquetLoader(
        os.path.join(given["--data-dir"], str(window), "train.parquet"),
        schema,
        batch_size=args.per_device_train_batch_size,
        max_sequence_length=args.max_sequence_length,
        keep="oldest",
        shuffle=True,
    )
    eval_loader = mm.ParquetLoader(
        os.path.join(given["--data-dir"], str(window), "valid.parquet"),
        schema,
        batch_size=args.per_device_eval_batch_size,
        max_sequence_length=args.max_sequence_length,
        keep="oldest",
    )
    trainer = lightning.Trainer(**trainer_options)
    trainer.fit(model, train_loader)
    results = trainer.validate(model, eval_loader, verbose=False)[0]
    found.append(results["val_loss"])
os.makedirs(given["--output-dir"], exist_ok=True)
with open(os.path.join(given["--output-dir"], "metrics.json"), "w") as out:
    json.dump({"found": found, "training": losses.training, "evaluation": losses.evaluation}, out)
