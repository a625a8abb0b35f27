"""Scores for a whole table, with the keys of its rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from merlin_models_torch.batch import Column, Ragged
from merlin_models_torch.data import ParquetLoader

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from merlin_models_torch.training.model import Model


def predict_scores(
    model: Model,
    data: ParquetLoader | pa.Table | str | Path,
    *,
    keys: Sequence[str] | None = None,
    batch_size: int = 512,
) -> pa.Table:
    """What :meth:`merlin_models_torch.training.Model.predict` does for outputs that give scores."""
    import pyarrow as pa

    from merlin_models_torch.retrieval.predict import original

    loader = data
    if not isinstance(loader, ParquetLoader):
        loader = ParquetLoader(loader, model.schema, batch_size=batch_size)
    scores, rows = _scores(model, loader)
    order = rows.argsort()
    if keys is None:
        keys = [
            name
            for name in dict.fromkeys(key for block in model.input_blocks for key in block.keys)
            if all(name in schema.names for _, schema in loader.source.schemas())
        ]
    table = loader.keys(rows[order], keys)
    columns = {name: original(model, name, table[name]) for name in table.column_names}
    items = getattr(model.output, "item_columns", {})
    for name, parts in scores.items():
        column = _arrow(parts).take(pa.array(order.numpy()))
        vocabulary = model.vocabularies.get(items.get(name) or "")
        if vocabulary is not None:
            ids = vocabulary.decode(column.flatten().to_numpy())
            column = pa.LargeListArray.from_arrays(column.offsets, ids)
        columns[name] = column
    return pa.table(columns)


def _arrow(parts: Sequence[Column]) -> pa.Array:
    import pyarrow as pa

    tensors = [part for part in parts if isinstance(part, Tensor)]
    if tensors:
        return pa.array(_plain(torch.cat(tensors)))
    ragged = [part for part in parts if isinstance(part, Ragged)]
    lengths = torch.cat([part.lengths for part in ragged])
    offsets = torch.nn.functional.pad(lengths.cumsum(0), (1, 0))
    values = _plain(torch.cat([part.values for part in ragged]))
    return pa.LargeListArray.from_arrays(pa.array(offsets.numpy()), pa.array(values))


def _plain(values: Tensor) -> NDArray[np.generic]:
    # numpy has no bfloat16.
    numbers: NDArray[np.generic] = (values.float() if values.is_floating_point() else values).numpy()
    return numbers


def _scores(model: Model, loader: ParquetLoader) -> tuple[dict[str, list[Column]], Tensor]:
    training = model.training
    model.eval()
    scores: dict[str, list[Column]] = {}
    rows = []
    try:
        with torch.inference_mode():
            for batch in loader:
                if batch.rows is None:
                    raise ValueError(
                        "the loader's batches carry no row numbers, so answers cannot be put in order"
                    )
                for name, values in model.scores(batch.to(model.device)).items():
                    scores.setdefault(name, []).append(values.to("cpu"))
                rows.append(batch.rows.cpu())
    finally:
        model.train(training)
    return scores, torch.cat(rows)
