"""Answers for a whole table: original ids, scores and the keys of the rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from merlin_models_torch.data import ParquetLoader

if TYPE_CHECKING:
    import pyarrow as pa

    from merlin_models_torch.training.model import Model


def predict_table(
    model: Model,
    data: ParquetLoader | pa.Table | str | Path,
    *,
    k: int,
    exclude_seen: bool | None = None,
    keys: Sequence[str] | None = None,
    batch_size: int = 512,
) -> pa.Table:
    """What :meth:`merlin_models_torch.training.Model.predict` does."""
    import pyarrow as pa

    model.check_answers("k", k)
    loader = data
    if not isinstance(loader, ParquetLoader):
        loader = ParquetLoader(loader, model.schema, batch_size=batch_size)
    scores, items, rows = _answers(model, loader, k, exclude_seen)
    order = rows.argsort()
    rows, scores, items = rows[order], scores[order], items[order]
    if keys is None:
        keys = [
            name
            for name in model.inputs.keys
            if all(name in schema.names for _, schema in loader.source.schemas())
        ]
    table = loader.keys(rows, keys)
    columns = {name: table[name] for name in table.column_names}
    vocabulary = model.item_vocabulary
    flat = items.flatten().numpy()
    # Row -1 stands where exclusions left fewer than k items; the vocabulary has no value for 0 either.
    ids = pa.array(flat, mask=flat < 0) if vocabulary is None else vocabulary.decode(flat.clip(min=0))
    columns[model.output.item_id or "item"] = pa.FixedSizeListArray.from_arrays(ids, k)
    columns["score"] = pa.FixedSizeListArray.from_arrays(pa.array(scores.flatten().float().numpy()), k)
    return pa.table(columns)


def _answers(
    model: Model, loader: ParquetLoader, k: int, exclude_seen: bool | None
) -> tuple[Tensor, Tensor, Tensor]:
    training = model.training
    model.eval()
    scores, items, rows = [], [], []
    try:
        with torch.inference_mode():
            for batch in loader:
                if batch.rows is None:
                    raise ValueError(
                        "the loader's batches carry no row numbers, so answers cannot be put in order"
                    )
                best, ids = model.topk(batch.to(model.device), k=k, exclude_seen=exclude_seen)
                scores.append(best.cpu())
                items.append(ids.cpu())
                rows.append(batch.rows.cpu())
    finally:
        model.train(training)
    return torch.cat(scores), torch.cat(items), torch.cat(rows)
