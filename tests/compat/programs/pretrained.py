"""Item vectors from elsewhere, frozen, beside learned columns; every kind of vector the package takes."""

import argparse
import json
import os

import numpy as np
import torch
from merlin.io import Dataset
from transformers import set_seed

from transformers4rec import torch as tr
from transformers4rec.torch.ranking_metric import AvgPrecisionAt, NDCGAt


def item_vectors(items: int, width: int) -> np.ndarray:
    """As if another model had made them: items of one category are near each other."""
    rng = np.random.default_rng(7)
    centres = rng.normal(size=(4, width))
    vectors = centres[(np.arange(items + 1) - 1) % 4] + 0.5 * rng.normal(size=(items + 1, width))
    vectors[0] = 0
    return vectors.astype(np.float32)


def main(options):
    set_seed(options.seed)
    train, valid = (os.path.join(options.data_dir, "1", f"{part}.parquet") for part in ("train", "valid"))
    schema = Dataset(train).schema.select_by_name(["item_id", "category", "age_days", "price"])
    items = int(schema["item_id"].int_domain.max)

    initializer = tr.PretrainedEmbeddingsInitializer(item_vectors(items, 32), trainable=False)
    inputs = tr.TabularSequenceFeatures.from_schema(
        schema,
        max_sequence_length=20,
        embedding_dims={"item_id": 32, "category": 8},
        embeddings_initializers={"item_id": initializer},
        continuous_soft_embeddings=True,
        soft_embedding_cardinality_default=5,
        soft_embedding_dim_default=8,
        aggregation="concat",
        d_output=32,
        masking="mlm",
        post=["layer-norm"],
    )
    config = tr.XLNetConfig.build(d_model=32, n_head=4, n_layer=1, total_seq_length=20)
    body = tr.SequentialBlock(
        inputs,
        tr.MLPBlock([48, 32], activation=torch.nn.SiLU, dropout=0.1),
        tr.TransformerBlock(config, masking=inputs.masking),
    )
    task = tr.NextItemPredictionTask(
        weight_tying=True,
        loss=tr.LabelSmoothCrossEntropyLoss(smoothing=0.1),
        metrics=[NDCGAt(top_ks=[10], labels_onehot=True), AvgPrecisionAt(top_ks=[10], labels_onehot=True)],
    )
    model = tr.Model(tr.Head(body, task, inputs=inputs))
    before = inputs.item_embedding_table.weight.detach().clone()

    args = tr.T4RecTrainingArguments(
        output_dir=options.output_dir,
        max_sequence_length=20,
        num_train_epochs=options.epochs,
        per_device_train_batch_size=32,
        per_device_eval_batch_size=64,
        gradient_accumulation_steps=2,
        learning_rate=0.01,
        max_grad_norm=0.5,
        lr_scheduler_type="polynomial",
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
    results["moved"] = float((inputs.item_embedding_table.weight - before).abs().max())
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
