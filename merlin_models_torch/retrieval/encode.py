"""Vectors of items, sessions and parts of a model, as tables with ids."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import torch
from torch import Tensor

from merlin_models_torch.batch import Batch, Ragged
from merlin_models_torch.data import ParquetLoader
from merlin_models_torch.inputs import EmbeddingTable
from merlin_models_torch.outputs import CategoricalOutput, TwoTowerOutput
from merlin_models_torch.outputs.answered import check_answered
from merlin_models_torch.retrieval.answers import as_arrow, original_ids
from merlin_models_torch.retrieval.candidates import encode_candidates, tower
from merlin_models_torch.retrieval.inference import evaluating, placed
from merlin_models_torch.retrieval.keys import RowKeys, key_names
from merlin_models_torch.schema import Schema, Selection, Tags
from merlin_models_torch.selection import ModelPart, extract, select

if TYPE_CHECKING:
    from merlin_models_torch.training.model import Model


def encode_items(model: Model, items: Any = None, *, batch_size: int = 4096) -> pa.Table:
    """What :meth:`merlin_models_torch.training.Model.encode_items` does."""
    output = model.output
    if isinstance(output, TwoTowerOutput):
        found = encode_candidates(model, items, batch_size=batch_size)
        return _vectors(
            output.item_id, original_ids(model.item_vocabulary, _numbers(found.ids)), found.vectors
        )
    if items is not None:
        raise ValueError(
            f"{type(output).__name__} has a vector for each item of its catalogue, whatever the item's "
            "features: leave out items"
        )
    if not isinstance(output, CategoricalOutput):
        return encode(model, Tags.ITEM_ID)
    with torch.inference_mode():
        vectors = output.item_vectors
    rows = torch.arange(len(vectors))
    never = torch.tensor(sorted({*output.exclude, *model.never_answered}), dtype=torch.int64)
    rows = rows[~torch.isin(rows, never)]
    return _vectors(str(output.item_id), original_ids(model.item_vocabulary, rows.numpy()), vectors[rows])


def encode_sessions(
    model: Model, data: Any, *, keys: Sequence[str] | None = None, batch_size: int = 512
) -> pa.Table:
    """What :meth:`merlin_models_torch.training.Model.encode_sessions` does."""
    output = model.output
    if isinstance(output, TwoTowerOutput):
        part = tower(model, output.query)
        return _encoded(
            model,
            lambda batch: output.scaled(part(batch)),
            part.schema,
            data,
            keys=keys,
            batch_size=batch_size,
        )
    if not isinstance(output, CategoricalOutput):
        raise TypeError(
            f"{type(output).__name__} compares no vector with those of items: use encode('*', data) for what "
            "the body gives"
        )

    def vectors(batch: Batch) -> Tensor:
        planned = model.for_prediction(batch)
        queries: Tensor = output.queries(model.hidden_states(planned), planned)
        check_answered(queries, batch)
        return queries

    return _encoded(model, vectors, model.schema, data, keys=keys, batch_size=batch_size)


def encode(
    model: Model,
    selection: Selection | ModelPart,
    data: Any = None,
    *,
    keys: Sequence[str] | None = None,
    batch_size: int = 512,
) -> pa.Table:
    """What :meth:`merlin_models_torch.training.Model.encode` does."""
    if data is None:
        part = selection if isinstance(selection, torch.nn.Module) else extract(model, selection)
        if not isinstance(part, EmbeddingTable) or len(part.schema) > len(part.domains) > 1:
            raise ValueError(f"{selection!r} is no table of ids by itself: pass data, the rows to encode")
        return _table_of_ids(model, part, selection)
    part = selection if isinstance(selection, ModelPart) else select(model, selection)
    if not isinstance(part, ModelPart):
        raise TypeError(
            f"{type(part).__name__} takes no batches: pass a selection of columns, or a ModelPart"
        )
    return _encoded(model, part, part.schema, data, keys=keys, batch_size=batch_size)


def _table_of_ids(model: Model, table: EmbeddingTable, selection: Any) -> pa.Table:
    chosen = table.schema
    if not isinstance(selection, torch.nn.Module):
        chosen = Schema([c for c in model.schema.select(selection) if c.name in table.schema])
    name = chosen.first.name
    with torch.inference_mode():
        vectors = table.vectors(name)
    rows = torch.arange(len(vectors))
    vocabulary = model.vocabularies.get(table.schema.domain_name(name))
    rows = rows[1 if vocabulary is None else vocabulary.first :]
    return _vectors(name, original_ids(vocabulary, rows.numpy()), vectors[rows])


def _encoded(
    model: Model,
    vectors: Callable[[Batch], Tensor | Mapping[str, Tensor]],
    schema: Schema,
    data: Any,
    *,
    keys: Sequence[str] | None,
    batch_size: int,
) -> pa.Table:
    loader = data
    if not isinstance(loader, ParquetLoader):
        loader = ParquetLoader(data, schema, batch_size=batch_size)
    if keys is None:
        known = [key for block in model.input_blocks for key in block.keys]
        known += [column.name for column in schema.select(Tags.ID) if not column.is_list]
        keys = key_names(loader, known)
    names = RowKeys(model, loader, keys)
    tables, rows = [], []
    for batch in loader:
        if batch.filler or batch.rows is None:
            continue
        own = names.of(batch.rows).keys
        columns: dict[str, Any] = {name: own[name] for name in own.column_names}
        with placed(loader, batch.rows), evaluating(model):
            found = vectors(batch.to(model.device))
            found = {"vector": found} if isinstance(found, Tensor) else found
            columns |= {name: _lists(part, batch, schema) for name, part in found.items()}
        tables.append(pa.table(columns))
        rows.append(batch.rows)
    return pa.concat_tables(tables).take(pa.array(torch.cat(rows).argsort().numpy())).combine_chunks()


def _lists(vectors: Tensor, batch: Batch, schema: Schema) -> pa.Array:
    """A vector for each row; of sequences a list of vectors, one for each position in use."""
    vectors = vectors.cpu()
    if vectors.dim() != 3:
        return as_arrow(vectors)
    lists = schema.select([Tags.ITEM_ID, Tags.SEQUENCE, Tags.LIST])
    names = [column.name for column in [*lists, *schema] if column.is_list]
    lengths = batch.lengths(names[0]).clamp(max=vectors.shape[1])
    ragged = Ragged.from_padded(vectors[:, : int(lengths.max())], lengths)
    return pa.LargeListArray.from_arrays(pa.array(ragged.offsets.numpy()), as_arrow(ragged.values))


def _vectors(name: str, ids: pa.Array, vectors: Tensor) -> pa.Table:
    return pa.table({name: ids, "vector": as_arrow(vectors.cpu())})


def _numbers(ids: Tensor) -> Any:
    return ids.cpu().numpy()
