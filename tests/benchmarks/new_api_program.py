"""One side of the getting-started program in a fresh process.

``python -m tests.benchmarks.new_api_program SIDE DATA MASKING EPOCHS LENGTH K`` prints JSON: process seconds
from the first import to the last answer. Writes the (N, K) answers to the test sessions.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from pathlib import Path

import numpy as np


def legacy(data: Path, masking: str, epochs: int, length: int, k: int) -> np.ndarray:
    """Transformers4Rec: XLNet, and settings like those of its first example."""
    import torch
    from merlin.schema.io.tensorflow_metadata import TensorflowMetadata
    from transformers import set_seed
    from transformers4rec import torch as tr
    from transformers4rec.config.trainer import T4RecTrainingArguments

    torch.set_num_threads(1)
    set_seed(1)
    schema = TensorflowMetadata.from_proto_text_file(str(data), "schema.pbtxt").to_merlin_schema()
    inputs = tr.TabularSequenceFeatures.from_schema(
        schema, max_sequence_length=length, aggregation="concat", masking=masking, d_output=64
    )
    config = tr.XLNetConfig.build(d_model=64, n_head=4, n_layer=2, total_seq_length=length)
    body = tr.SequentialBlock(inputs, tr.MLPBlock([64]), tr.TransformerBlock(config, masking=inputs.masking))
    head = tr.Head(body, tr.NextItemPredictionTask(weight_tying=True), inputs=inputs)
    arguments = T4RecTrainingArguments(
        output_dir=str(data / "out"),
        max_sequence_length=length,
        data_loader_engine="merlin",
        num_train_epochs=epochs,
        per_device_train_batch_size=128,
        per_device_eval_batch_size=512,
        learning_rate=0.005,
        lr_scheduler_type="cosine",
        weight_decay=0.01,
        predict_top_k=k,
        save_strategy="no",
        report_to=[],
        no_cuda=True,
        disable_tqdm=True,
    )
    trainer = tr.Trainer(model=tr.Model(head), args=arguments, schema=schema, compute_metrics=False)
    trainer.train_dataset_or_path = str(data / "train.parquet")
    trainer.train()
    return np.asarray(trainer.predict(str(data / "test.parquet")).predictions[0])


def ours(data: Path, masking: str, epochs: int, length: int, k: int) -> np.ndarray:
    """The new API with its defaults, but for the masking."""
    import lightning
    import torch

    import merlin_models_torch as mm

    torch.set_num_threads(1)
    lightning.seed_everything(1, verbose=False)
    schema = mm.Schema.load(data / "schema.pbtxt")
    rows = mm.ParquetLoader(
        data / "train.parquet", schema, batch_size=128, shuffle=True, max_sequence_length=length
    )
    model = mm.SessionModel(schema, masking=masking, max_sequence_length=length)
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, rows)
    return np.array(model.predict(data / "test.parquet", k=k)["item_id"].to_pylist())


def main() -> None:
    start = time.process_time()
    side, data, masking, *numbers = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    found = {"legacy": legacy, "ours": ours}[side](Path(data), masking, *map(int, numbers))
    seconds = time.process_time() - start
    np.save(Path(data) / f"{side}.npy", found)
    answers.write(json.dumps({"seconds": seconds}) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
