"""Answers for a whole table: original ids, scores and the keys of the rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from merlin_models_torch.batch import Batch
from merlin_models_torch.data import ParquetLoader
from merlin_models_torch.retrieval.candidates import Candidates, encode_candidates, tower, two_tower_output
from merlin_models_torch.retrieval.history import SeenItems
from merlin_models_torch.retrieval.index import ItemIndex
from merlin_models_torch.retrieval.inference import evaluating
from merlin_models_torch.schema import Schema

if TYPE_CHECKING:
    import pyarrow as pa

    from merlin_models_torch.training.model import Model

Data = Any
"""A :class:`ParquetLoader`, or what it reads."""


def predict_table(
    model: Model,
    data: ParquetLoader | pa.Table | str | Path,
    *,
    k: int,
    exclude_seen: bool | None = None,
    keys: Sequence[str] | None = None,
    batch_size: int = 512,
) -> pa.Table:
    """What :meth:`merlin_models_torch.training.Model.predict` does for outputs that answer with items."""
    model.check_answers("k", k)
    loader = _loader(data, model.schema, batch_size)

    def best(batch: Batch) -> tuple[Tensor, Tensor]:
        return model.topk(batch.to(model.device), k=k, exclude_seen=exclude_seen)

    names = _keys(loader, model.inputs.keys) if keys is None else keys
    return _table(model, loader, best, names, k=k, item_id=model.output.item_id or "item")


def predict_candidates(
    model: Model,
    data: ParquetLoader | pa.Table | str | Path,
    *,
    k: int,
    candidates: Candidates | ParquetLoader | pa.Table | str | Path | None = None,
    seen: Data | None = None,
    exclude_seen: bool | None = None,
    keys: Sequence[str] | None = None,
    batch_size: int = 512,
) -> pa.Table:
    """What :meth:`merlin_models_torch.training.Model.predict` does for two towers.

    Queries are encoded batch by batch, candidates once.
    """
    output = two_tower_output(model)
    queries = tower(model, output.query)
    if exclude_seen and seen is None:
        raise ValueError(
            "exclude_seen is True, but rows of queries do not say what was seen: pass seen=, a table with a "
            f"key and {output.item_id!r}, such as the training events"
        )
    loader = _loader(data, queries.schema, batch_size)
    if keys is None:
        keys = _keys(loader, [key for block in model.input_blocks for key in block.keys])
    known = None
    if seen is not None and exclude_seen is not False:
        known = SeenItems.matched(seen, loader.keys(None, keys), item_id=output.item_id)
    if not isinstance(candidates, Candidates):
        candidates = encode_candidates(model, candidates)
    if not 1 <= k <= len(candidates):
        raise ValueError(f"k is {k}, but there are {len(candidates)} candidates: choose within them")
    items = candidates

    index = ItemIndex(items.vectors, temperature=output.temperature)

    def best(batch: Batch) -> tuple[Tensor, Tensor]:
        own = None
        if known is not None and batch.rows is not None:
            own = items.places(known.of(batch.rows.cpu()).to(model.device))
        scores, places = index.topk(output.scaled(queries(batch.to(model.device))), k=k, exclude=own)
        return scores, torch.where(places < 0, -1, items.ids[places])

    return _table(model, loader, best, keys, k=k, item_id=output.item_id)


def _loader(data: Data, schema: Schema, batch_size: int) -> ParquetLoader:
    return data if isinstance(data, ParquetLoader) else ParquetLoader(data, schema, batch_size=batch_size)


def _keys(loader: ParquetLoader, names: Sequence[str]) -> list[str]:
    """Those of the columns that name a row which all files have."""
    files = [schema.names for _, schema in loader.source.schemas()]
    return [name for name in dict.fromkeys(names) if all(name in columns for columns in files)]


def _table(
    model: Model,
    loader: ParquetLoader,
    best: Callable[[Batch], tuple[Tensor, Tensor]],
    keys: Sequence[str],
    *,
    k: int,
    item_id: str,
) -> pa.Table:
    """The answers to all batches in the order of the data, beside the keys of its rows."""
    import pyarrow as pa

    scores, items, rows = _answers(model, loader, best)
    order = rows.argsort()
    rows, scores, items = rows[order], scores[order], items[order]
    table = loader.keys(rows, keys)
    columns = {name: original(model, name, table[name]) for name in table.column_names}
    vocabulary = model.item_vocabulary
    flat = items.flatten().numpy()
    # Row -1 stands where exclusions left fewer than k items; the vocabulary has no value for 0 either.
    ids = pa.array(flat, mask=flat < 0) if vocabulary is None else vocabulary.decode(flat.clip(min=0))
    columns[item_id] = pa.FixedSizeListArray.from_arrays(ids, k)
    columns["score"] = pa.FixedSizeListArray.from_arrays(pa.array(scores.flatten().float().numpy()), k)
    return pa.table(columns)


def original(model: Model, name: str, column: pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """A key that the model reads as codes of a vocabulary in its original form; any other as it is."""
    domains = [block.domains[name] for block in model.input_blocks if name in block.domains]
    vocabulary = model.vocabularies.get(domains[0]) if domains else None
    return column if vocabulary is None else vocabulary.decode(column)


def _answers(
    model: Model, loader: ParquetLoader, best: Callable[[Batch], tuple[Tensor, Tensor]]
) -> tuple[Tensor, Tensor, Tensor]:
    scores, items, rows = [], [], []
    with evaluating(model):
        for batch in loader:
            if batch.rows is None:
                raise ValueError(
                    "the loader's batches carry no row numbers, so answers cannot be put in order"
                )
            values, ids = best(batch)
            scores.append(values.cpu())
            items.append(ids.cpu())
            rows.append(batch.rows.cpu())
    return torch.cat(scores), torch.cat(items), torch.cat(rows)
