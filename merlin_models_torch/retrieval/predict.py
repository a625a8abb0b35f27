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

    possible = model.output.cardinality - len({*model.output.exclude, *model.never_answered})
    if not 1 <= k <= possible:
        raise ValueError(
            f"k is {k}, but the catalogue holds {possible} items that can be answers: choose k within it"
        )
    loader = data
    if not isinstance(loader, ParquetLoader):
        loader = ParquetLoader(
            loader, model.schema, batch_size=batch_size, max_sequence_length=model.inputs.max_sequence_length
        )
    scores, items, rows = _answers(model, loader, k, exclude_seen)
    order = rows.argsort()
    rows, scores, items = rows[order], scores[order], items[order]
    columns = _keys(loader, keys, model.inputs.keys, rows)
    vocabulary = model.item_vocabulary
    flat = items.flatten().numpy()
    ids = pa.array(flat) if vocabulary is None else vocabulary.decode(flat)
    columns[model.inputs.item_id or "item"] = pa.FixedSizeListArray.from_arrays(ids, k)
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


def _keys(
    loader: ParquetLoader, wanted: Sequence[str] | None, tagged: Sequence[str], rows: Tensor
) -> dict[str, pa.Array]:
    import pyarrow as pa

    source = loader.source
    there = set.intersection(*(set(schema.names) for _, schema in source.schemas()))
    names = [name for name in tagged if name in there] if wanted is None else list(wanted)
    missing = [name for name in names if name not in there]
    if missing:
        raise ValueError(
            f"key column {missing[0]!r} is not in the data, which has {sorted(there)}: choose among these"
        )
    if not names:
        return {"row": pa.array(rows.numpy())}
    table = pa.concat_tables([source.read(part, names) for part in source.parts]).take(pa.array(rows.numpy()))
    return {name: table[name].combine_chunks() for name in names}
