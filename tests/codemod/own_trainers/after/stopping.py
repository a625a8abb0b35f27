"""Callbacks that log by epoch and stop, an optimiser of groups and a schedule of one's own."""

import json
import os
import sys

import torch
import lightning
import merlin_models_torch as mm
import transformers
import types


class GroupedModel(mm.Model):
    def create_optimizer(self):
        decayed = [p for name, p in self.named_parameters() if "bias" not in name]
        spared = [p for name, p in self.named_parameters() if "bias" in name]
        groups = [
            {"params": decayed, "weight_decay": self.args.weight_decay},
            {"params": spared, "weight_decay": 0.0},
        ]
        return torch.optim.SGD(groups, lr=self.args.learning_rate, momentum=0.9)

    def create_scheduler(self, optimizer):
        num_training_steps = int(self.trainer.estimated_stepping_batches)
        return torch.optim.lr_scheduler.LambdaLR(
            optimizer,
            lambda step: 1.0 - 0.5 * step / num_training_steps,
        )


class EpochLog(lightning.Callback):
    """Keeps what is logged."""

    def __init__(self, kept):
        self.kept = kept

    def on_train_start(self, trainer, model):
        self.waiting = []

    def on_train_batch_end(self, trainer, model, outputs, batch, batch_idx):
        self.waiting.append(float(outputs["loss"]))

    def on_train_epoch_end(self, trainer, model):
        logs = {
            "loss": round(sum(self.waiting) / len(self.waiting), 4),
            "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
            "epoch": round(trainer.global_step / trainer.num_training_batches, 2),
        }
        self.waiting = []
        # One entry an epoch.
        self.kept.append([logs["loss"], logs["learning_rate"], logs["epoch"], trainer.global_step])


class StopWhenGood(lightning.Callback):
    def __init__(self, steps: int = 4):
        self.steps = steps
        self.best = 0.0

    def on_train_batch_end(self, trainer, model, outputs, batch, batch_idx):
        self.best = max(self.best, trainer.optimizers[0].param_groups[0]["lr"])
        if trainer.global_step >= self.steps:
            trainer.should_stop = True

    def on_train_end(self, trainer, model):
        self.stopped = trainer.global_step


given = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
train = os.path.join(given["--data-dir"], "1", "train.parquet")
schema = mm.Schema.load(train).select_by_name(["item_id", "category"])
inputs = mm.TabularInputBlock(
    schema,
    max_sequence_length=20,
    pad_to=20,
    aggregation="concat",
    projection=mm.MLPBlock([32]),
    masking=mm.CausalMasking(
        attention="full",
        replace_padding=True,
        blank_last=True,
        attend_to_padding=True,
    ),
)
config = mm.HuggingFaceBlock(
    transformers.GPT2Config(
        n_embd=32,
        n_inner=128,
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
task = mm.CategoricalOutput(weight_tying=True, metrics=["recall"], top_ks=(10,), exclude=())
model = GroupedModel(body, task)

args = dict(
    default_root_dir=given["--output-dir"],
    max_epochs=6,
    enable_checkpointing=False,
    logger=False,
    accelerator="cpu",
    gradient_clip_val=1.0,
)
kept = []
stop = StopWhenGood(steps=4)
callbacks = [EpochLog(kept), stop]
args["callbacks"] = callbacks
model.args = types.SimpleNamespace(learning_rate=0.05, weight_decay=0.1)
model.optimizer = mm.OptimizerConfig(
    model.create_optimizer(),
    schedule=mm.ScheduleConfig(model.create_scheduler, interval="step"),
)
trainer = lightning.Trainer(**args)
train_loader = mm.ParquetLoader(
    train,
    schema,
    batch_size=96,
    max_sequence_length=20,
    keep="oldest",
    shuffle=True,
)
eval_loader = mm.ParquetLoader(
    os.path.join(given["--data-dir"], "1", "valid.parquet"),
    schema,
    batch_size=40,
    max_sequence_length=20,
    keep="oldest",
)
trainer.fit(model, train_loader)
results = trainer.validate(model, eval_loader, verbose=False)[0]
found = {
    "loss": results["val_loss"],
    "recall": results["val_recall_at_10"],
    "kept": kept,
    "stopped": stop.stopped,
    "best": stop.best,
}
os.makedirs(given["--output-dir"], exist_ok=True)
with open(os.path.join(given["--output-dir"], "metrics.json"), "w") as out:
    json.dump(found, out)
