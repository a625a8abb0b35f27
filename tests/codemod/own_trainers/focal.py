"""A loss of one's own from the scores, a penalty, steps that are counted, figures of evaluation."""

import json
import math
import os
import sys

import torch
import torch.nn.functional as F
from merlin.io import Dataset
from transformers import TrainerCallback

import transformers4rec.torch as tr
from transformers4rec.config.trainer import T4RecTrainingArguments
from transformers4rec.torch.ranking_metric import NDCGAt, RecallAt


class FocalTrainer(tr.Trainer):
    """Learns from what it does badly."""

    def __init__(self, *args, gamma=1.0, **kwargs):
        super().__init__(*args, **kwargs)
        self.gamma = gamma
        self.seen = 0
        self.norms = []

    def compute_loss(self, model, inputs, return_outputs=False):
        features, targets = inputs
        outputs = model(features, targets=targets, training=True)
        # The logits of all items, one row a target.
        logits, labels = outputs["predictions"], outputs["labels"]
        nll = F.cross_entropy(logits, labels, reduction="none", label_smoothing=0.1)
        loss = ((1 - torch.exp(-nll)) ** self.gamma * nll).mean()
        loss = loss + self.penalty(0.001)
        return (loss, outputs) if return_outputs else loss

    def penalty(self, weight):
        biases = [p for name, p in self.model.named_parameters() if "bias" in name]
        return weight * sum(p.pow(2).sum() for p in biases)

    def training_step(self, model, inputs):
        loss = super().training_step(model, inputs)
        norms = [p.grad.norm() for p in model.parameters() if p.grad is not None]
        self.norms.append(float(torch.stack(norms).norm()))
        self.seen += 1
        return loss

    def evaluate(self, *args, **kwargs):
        metrics = super().evaluate(*args, **kwargs)
        metrics["eval_gap"] = metrics["eval_/next-item/recall_at_10"] - metrics["eval_/next-item/recall_at_5"]
        metrics["eval_perplexity"] = math.exp(metrics["eval_/loss"])
        return metrics


class History(TrainerCallback):
    """What happened when."""

    def __init__(self, wanted):
        self.wanted = wanted
        self.told = []

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        self.told.append(["begin", state.max_steps, state.num_train_epochs, model is not None])

    def on_epoch_end(self, args, state, control, **kwargs):
        self.told.append(["epoch", round(state.epoch, 2), state.global_step])

    def on_step_end(self, args, state, control, **kwargs):
        self.told.append(["step", state.global_step, args.learning_rate])
        return control

    def on_evaluate(self, args, state, control, metrics, **kwargs):
        self.told.append([name for name in self.wanted if name in metrics])
        self.told.append(round(metrics["eval_/loss"], 3))


def main():
    given = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
    folder = given["--data-dir"]
    train = os.path.join(folder, "1", "train.parquet")
    schema = Dataset(train).schema.select_by_name(["item_id", "category"])
    inputs = tr.TabularSequenceFeatures.from_schema(
        schema, max_sequence_length=20, aggregation="concat", d_output=32, masking="clm"
    )
    config = tr.GPT2Config.build(d_model=32, n_head=4, n_layer=1, total_seq_length=20)
    body = tr.SequentialBlock(inputs, tr.MLPBlock([32]), tr.TransformerBlock(config, masking=inputs.masking))
    metrics = [NDCGAt(top_ks=[5, 10], labels_onehot=True), RecallAt(top_ks=[5, 10], labels_onehot=True)]
    task = tr.NextItemPredictionTask(weight_tying=True, metrics=metrics)
    model = tr.Model(tr.Head(body, task, inputs=inputs))

    args = T4RecTrainingArguments(
        output_dir=given["--output-dir"],
        num_train_epochs=3,
        max_sequence_length=20,
        per_device_train_batch_size=96,
        per_device_eval_batch_size=40,
        learning_rate=0.01,
        predict_top_k=10,
        no_cuda=True,
        disable_tqdm=True,
        report_to=[],
        save_strategy="no",
    )
    history = History(["eval_/next-item/ndcg_at_5"])
    trainer = FocalTrainer(
        model=model, args=args, schema=schema, compute_metrics=True, callbacks=[history], gamma=2.0
    )
    trainer.train_dataset_or_path = train
    trainer.eval_dataset_or_path = os.path.join(folder, "1", "valid.parquet")
    trainer.train()
    results = trainer.evaluate()
    items, scores = trainer.predict(trainer.eval_dataset_or_path).predictions
    found = {
        "loss": results["eval_/loss"],
        "ndcg": results["eval_/next-item/ndcg_at_10"],
        "gap": results["eval_gap"],
        "perplexity": results["eval_perplexity"],
        "told": history.told,
        "items": items[:, :3].tolist(),
        "best": float(scores.max()),
    }
    os.makedirs(given["--output-dir"], exist_ok=True)
    with open(os.path.join(given["--output-dir"], "metrics.json"), "w") as out:
        json.dump(found, out)


if __name__ == "__main__":
    main()
