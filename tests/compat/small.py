"""A small model of the getting-started kind, and sessions for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from merlin.schema import ColumnSchema, Schema, Tags
from transformers4rec import torch as tr
from transformers4rec.config.trainer import T4RecTrainingArguments
from transformers4rec.torch.ranking_metric import NDCGAt, RecallAt

ITEMS, LENGTH = 30, 6


def schema() -> Schema:
    """An item and a category column, and a price, each a list."""

    def categorical(name: str, largest: int, *tags: Tags) -> ColumnSchema:
        domain = {"domain": {"min": 0, "max": largest}}
        tagged = [*tags, Tags.CATEGORICAL, Tags.LIST]
        return ColumnSchema(name, tags=tagged, dtype=np.int64, properties=domain, dims=(None, (1, 20)))

    price = ColumnSchema("price", tags=[Tags.CONTINUOUS, Tags.LIST], dtype=np.float32, dims=(None, (1, 20)))
    return Schema([categorical("item_id", ITEMS, Tags.ITEM_ID), categorical("category", 5), price])


def sessions(rows: int, *, seed: int = 0, shortest: int = 2, longest: int = 9) -> pa.Table:
    """Random sessions, some longer than the model takes."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(shortest, longest + 1, rows)
    offsets = pa.array(np.concatenate([[0], lengths.cumsum()]), pa.int32())
    total = int(lengths.sum())
    columns = {
        "item_id": rng.integers(1, ITEMS + 1, total),
        "category": rng.integers(1, 6, total),
        "price": rng.random(total).astype(np.float32),
    }
    return pa.table({n: pa.ListArray.from_arrays(offsets, pa.array(v)) for n, v in columns.items()})


def write_sessions(path: Path, rows: int, **options: Any) -> str:
    """Sessions in a parquet file."""
    pq.write_table(sessions(rows, **options), path)
    return str(path)


def batch(rows: int = 4, *, seed: int = 0, length: int = LENGTH) -> dict[str, torch.Tensor]:
    """A padded batch."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(2, length + 1, (rows, 1), generator=generator)
    inside = torch.arange(length) < lengths
    return {
        "item_id": torch.randint(1, ITEMS + 1, (rows, length), generator=generator) * inside,
        "category": torch.randint(1, 6, (rows, length), generator=generator) * inside,
        "price": torch.rand(rows, length, generator=generator) * inside,
    }


def model(
    masking: str = "mlm", *, dropout: float = 0.0, seed: int = 0, attn_type: str | None = None, **task: Any
) -> tr.Model:
    """Inputs, a layer of XLNet (one that looks back only under "causal") and the next item."""
    torch.manual_seed(seed)
    attn_type = attn_type or ("uni" if masking == "causal" else "bi")
    inputs = tr.TabularSequenceFeatures.from_schema(
        schema(),
        max_sequence_length=LENGTH,
        continuous_projection=8,
        aggregation="concat",
        masking=masking,
        d_output=8,
        embedding_dim_default=8,
    )
    config = tr.XLNetConfig.build(
        d_model=8, n_head=2, n_layer=1, total_seq_length=LENGTH, dropout=dropout, attn_type=attn_type
    )
    body = tr.SequentialBlock(inputs, tr.MLPBlock([8]), tr.TransformerBlock(config, masking=inputs.masking))
    metrics = [NDCGAt(top_ks=[5, 10], labels_onehot=True), RecallAt(top_ks=[5, 10], labels_onehot=True)]
    return tr.Model(tr.Head(body, tr.NextItemPredictionTask(weight_tying=True, metrics=metrics, **task)))


def arguments(folder: Path, **changes: Any) -> T4RecTrainingArguments:
    """Quiet arguments on the CPU."""
    given = {
        "output_dir": str(folder),
        "max_sequence_length": LENGTH,
        "num_train_epochs": 1,
        "per_device_train_batch_size": 4,
        "per_device_eval_batch_size": 4,
        "learning_rate": 0.01,
        "predict_top_k": 3,
        "save_strategy": "no",
        "report_to": [],
        "use_cpu": True,
        "disable_tqdm": True,
    }
    return T4RecTrainingArguments(**{**given, **changes})


def trainer(folder: Path, cls: type = tr.Trainer, **changes: Any) -> Any:
    """A trainer of the small model; arguments of training among the changes go there."""
    masking = changes.pop("masking", "mlm")
    own = ("callbacks", "incremental_logging", "processing_class")
    keywords = {name: changes.pop(name) for name in own if name in changes}
    built = changes.pop("model", None) or model(masking)
    return cls(
        model=built, args=arguments(folder, **changes), schema=schema(), compute_metrics=True, **keywords
    )
