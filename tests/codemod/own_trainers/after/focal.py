"""A loss of one's own from the scores, a penalty, steps that are counted, figures of evaluation."""

import json
import math
import os
import sys

import torch
import torch.nn.functional as F
import lightning
import merlin_models_torch as mm
import numpy as np
import transformers
import types


class FocalModel(mm.Model):
    """Learns from what it does badly."""

    also_logged = ("val_gap", "val_perplexity")

    def __init__(self, *args, gamma=1.0, **kwargs):
        super().__init__(*args, **kwargs)
        self.gamma = gamma
        self.seen = 0
        self.norms = []

    def training_step(self, batch, batch_idx):
        outputs = mm.Step(self, batch, "train")
        # The logits of all items, one row a target.
        logits, labels = outputs.scores, outputs.targets
        nll = F.cross_entropy(logits, labels, reduction="none", label_smoothing=0.1)
        loss = ((1 - torch.exp(-nll)) ** self.gamma * nll).mean()
        loss = loss + self.penalty(0.001)
        self.log("train_loss", loss.detach(), prog_bar=True)
        return loss

    def penalty(self, weight):
        biases = [p for name, p in self.named_parameters() if "bias" in name]
        return weight * sum(p.pow(2).sum() for p in biases)

    def on_after_backward(self):
        norms = [p.grad.norm() for p in self.parameters() if p.grad is not None]
        self.norms.append(float(torch.stack(norms).norm()))
        self.seen += 1

    def on_validation_epoch_end(self):
        super().on_validation_epoch_end()
        metrics = {k: float(v) for k, v in self.trainer.callback_metrics.items() if k.startswith("val_")}
        metrics["val_gap"] = metrics["val_recall_at_10"] - metrics["val_recall_at_5"]
        self.log("val_gap", metrics["val_gap"])
        metrics["val_perplexity"] = math.exp(metrics["val_loss"])
        self.log("val_perplexity", metrics["val_perplexity"])


class History(lightning.Callback):
    """What happened when."""

    def __init__(self, wanted):
        self.wanted = wanted
        self.told = []

    def on_train_start(self, trainer, model):
        self.told.append(["begin", trainer.estimated_stepping_batches, trainer.max_epochs, model is not None])

    def on_train_epoch_end(self, trainer, model):
        self.told.append(["epoch", round(trainer.global_step / trainer.num_training_batches, 2), trainer.global_step])

    def on_train_batch_end(self, trainer, model, outputs, batch, batch_idx):
        self.told.append(["step", trainer.global_step, model.args.learning_rate])

    def on_validation_end(self, trainer, model):
        metrics = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("val_")}
        self.told.append([name for name in self.wanted if name in metrics])
        self.told.append(round(metrics["val_loss"], 3))


def main():
    given = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
    folder = given["--data-dir"]
    train = os.path.join(folder, "1", "train.parquet")
    schema = mm.Schema.load(train).select_by_name(["item_id", "category"])
    inputs = mm.TabularInputBlock(
        schema, max_sequence_length=20, pad_to=20, aggregation="concat", projection=mm.MLPBlock([32]), masking=mm.CausalMasking(
            attention="full",
            replace_padding=True,
            blank_last=True,
            attend_to_padding=True,
        )
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
    body = mm.Block(inputs, mm.MLPBlock([32]), config)
    metrics = ["ndcg", "recall"]
    task = mm.CategoricalOutput(weight_tying=True, metrics=metrics, top_ks=(5, 10), exclude=())
    model = FocalModel(body, task, gamma=2.0
    )

    args = dict(
        default_root_dir=given["--output-dir"],
        max_epochs=3,
        accelerator="cpu",
        enable_progress_bar=False,
        logger=False,
        enable_checkpointing=False,
        gradient_clip_val=1.0,
    )
    history = History(["val_ndcg_at_5"])
    args["callbacks"] = [history]
    model.args = types.SimpleNamespace(learning_rate=0.01)
    model.optimizer = mm.OptimizerConfig(lr=0.01, schedule="linear")
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
        os.path.join(folder, "1", "valid.parquet"),
        schema,
        batch_size=40,
        max_sequence_length=20,
        keep="oldest",
    )
    trainer.fit(model, train_loader)
    results = trainer.validate(model, eval_loader, verbose=False)[0]
    items, scores = tuple(np.array(c.to_pylist()) for c in model.predict(eval_loader, k=10).columns[-2:])
    found = {
        "loss": results["val_loss"],
        "ndcg": results["val_ndcg_at_10"],
        "gap": results["val_gap"],
        "perplexity": results["val_perplexity"],
        "told": history.told,
        "items": items[:, :3].tolist(),
        "best": float(scores.max()),
    }
    os.makedirs(given["--output-dir"], exist_ok=True)
    with open(os.path.join(given["--output-dir"], "metrics.json"), "w") as out:
        json.dump(found, out)


if __name__ == "__main__":
    main()
