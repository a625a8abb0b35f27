"""Shows on random items that evaluate() of "causal" over a bidirectional body sees its target.

``python -m tests.equivalence.leak FOLDER`` under either interpreter: trains on items drawn evenly, where
nothing can be learned, and prints recall at 10 as evaluate() reports it, and as predict() reaches it on the
same sessions without their last item. It prints JSON; nothing compares it, the figures are for people.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import pyarrow.parquet as pq
import torch

from tests.equivalence.make_data import Sessions, shortened, write_windows
from tests.equivalence.observe import MASKINGS, build_model, make_trainer, read_schema


def figures(data: Path, scratch: Path, masking: str, *, epochs: int) -> dict[str, float]:
    """Recall at 10 of one trained model, measured both ways."""
    schema = read_schema(data)
    torch.manual_seed(1)
    model, _ = build_model(schema, masking, dropout=0.3)
    trainer = make_trainer(model, schema, scratch)
    trainer.args.num_train_epochs = epochs
    trainer.args.learning_rate = 0.001
    trainer.args.lr_scheduler_type = "constant"
    trainer.args.weight_decay = 0.0
    trainer.train_dataset_or_path = str(data / "1" / "train.parquet")
    trainer.train()
    valid, cut = data / "1" / "valid.parquet", data / "1" / "shortened.parquet"
    trainer.eval_dataset_or_path = str(valid)
    evaluated = trainer.evaluate(metric_key_prefix="eval")["eval_/next-item/recall_at_10"]
    sessions = pq.read_table(valid)
    pq.write_table(shortened(sessions), cut)
    ids, _ = trainer.predict(str(cut)).predictions
    last = torch.tensor([row[-1] for row in sessions["item_id"].to_pylist()])
    found = (torch.as_tensor(ids)[:, :10] == last[:, None]).any(1)
    return {"evaluate": evaluated, "predict": found.double().mean().item()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--train", type=int, default=2000)
    given = parser.parse_args()
    sessions = Sessions(items=500, structure=0.0)
    data = write_windows(given.folder / "data", sessions, windows=1, train=given.train, valid=1000)
    found = {m: figures(data, given.folder / "scratch", m, epochs=given.epochs) for m in MASKINGS}
    json.dump({"chance": 10 / sessions.items, **found}, sys.stdout, indent=2)
    sys.stdout.write("\n")
