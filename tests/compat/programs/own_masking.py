"""A masking of one's own: the last items of a session are predicted, never the first ones."""

import argparse
import json
import os

import torch
from merlin.io import Dataset
from transformers import set_seed

from transformers4rec import torch as tr
from transformers4rec.torch.masking import MaskingInfo, MaskSequence, masking_registry
from transformers4rec.torch.ranking_metric import NDCGAt, RecallAt


class TailMasking(MaskSequence):
    """Hides one item of the second half of each session in training."""

    def _compute_masked_targets(self, item_ids, training=False, testing=False) -> MaskingInfo:
        non_padded = item_ids != self.padding_idx
        length = non_padded.sum(1)
        if training:
            place = (length - 1 - (torch.rand(len(length)) * (length // 2).clamp(min=1)).long()).clamp(min=0)
        else:
            place = length - 1
        schema = torch.zeros_like(item_ids, dtype=torch.bool)
        schema[torch.arange(len(length)), place] = True
        labels = torch.where(schema, item_ids, torch.full_like(item_ids, self.padding_idx))
        return MaskingInfo(schema, labels)


if "tail" not in masking_registry:  # a cell of a notebook may run twice
    masking_registry.register("tail")(TailMasking)


def main(options):
    set_seed(options.seed)
    train, valid = (os.path.join(options.data_dir, "1", f"{part}.parquet") for part in ("train", "valid"))
    schema = Dataset(train).schema.select_by_name(["item_id", "category"])

    inputs = tr.TabularSequenceFeatures.from_schema(
        schema, max_sequence_length=20, aggregation="concat", d_output=32, masking="tail"
    )
    config = tr.ElectraConfig.build(d_model=32, n_head=4, n_layer=1, total_seq_length=20, dropout=0.1)
    body = tr.SequentialBlock(inputs, tr.MLPBlock([32]), tr.TransformerBlock(config, masking=inputs.masking))
    task = tr.NextItemPredictionTask(
        weight_tying=True,
        metrics=[NDCGAt(top_ks=[10], labels_onehot=True), RecallAt(top_ks=[10], labels_onehot=True)],
    )
    model = tr.Model(tr.Head(body, task, inputs=inputs))

    batch = {"item_id": torch.tensor([[5, 6, 7, 0], [8, 9, 0, 0]]), "category": torch.ones(2, 4).long()}
    inputs(batch, training=False, testing=True)
    print("masked targets:", inputs.masking.masked_targets.tolist())

    args = tr.T4RecTrainingArguments(
        output_dir=options.output_dir,
        max_sequence_length=20,
        num_train_epochs=options.epochs,
        per_device_train_batch_size=16,
        per_device_eval_batch_size=64,
        learning_rate=0.005,
        data_loader_engine="pyarrow",
        save_strategy="no",
        report_to=[],
        predict_top_k=20,
        no_cuda=True,
        disable_tqdm=True,
        seed=options.seed,
    )
    trainer = tr.Trainer(model=model, args=args, schema=schema, compute_metrics=True)
    trainer.train_dataset_or_path = train
    trainer.eval_dataset_or_path = valid
    trainer.train()
    results = trainer.evaluate(metric_key_prefix="eval")
    print(results)
    with open(os.path.join(options.output_dir, "metrics.json"), "w") as out:
        json.dump(results, out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--output-dir", required=True)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=42)
    main(parser.parse_args())
