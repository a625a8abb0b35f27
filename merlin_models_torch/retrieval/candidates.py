"""The items that may be answers, each encoded once by the candidate tower."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from merlin_models_torch.batch import Batch
from merlin_models_torch.blocks import Block, ParallelBlock
from merlin_models_torch.data import ParquetLoader
from merlin_models_torch.data.table import TensorTable
from merlin_models_torch.outputs import TwoTowerOutput
from merlin_models_torch.retrieval.inference import evaluating
from merlin_models_torch.schema import ColumnSchema, Schema, Tags
from merlin_models_torch.selection import ModelPart

if TYPE_CHECKING:
    import pyarrow as pa

    from merlin_models_torch.training.model import Model


@dataclass(frozen=True)
class Candidates:
    """Items with a vector each, in order of their ids.

    Args:
        ids: (C,) int64 item rows of the catalogue, rising.
        vectors: (C, D) float.
    """

    ids: Tensor
    vectors: Tensor

    def __len__(self) -> int:
        return len(self.ids)

    def places(self, ids: Tensor) -> Tensor:
        """The place among the candidates of each of (...) item rows: int64, -1 where it is no candidate."""
        at = torch.searchsorted(self.ids, ids).clamp(max=max(len(self) - 1, 0))
        return torch.where(self.ids[at] == ids, at, -1) if len(self) else torch.full_like(ids, -1)


def encode_candidates(
    model: Model, items: ParquetLoader | pa.Table | str | Path | None = None, *, batch_size: int = 4096
) -> Candidates:
    """Vectors of items by a model's candidate tower.

    Args:
        model: with two towers and :class:`TwoTowerOutput`.
        items: loader, Arrow table or parquet path with the columns of the candidate tower and the item id,
            coded as in training. Of several rows of one item the first counts, so a table of events, the
            training data's, does as well as a table of items. If not given, the whole catalogue, which needs
            a tower that reads the item id alone.
        batch_size: items at a time; not used for a loader.

    Returns:
        The distinct items, but padding and unknown ones, on the model's device.

    Raises:
        ValueError: if the items are needed and not given, or none is left.
        TypeError: if the model's body does not end in two towers.
    """
    output = two_tower_output(model)
    part = tower(model, output.candidate)
    item = output.item_id
    if items is None:
        if part.schema.column_names != [item]:
            raise ValueError(
                f"the candidate tower reads {part.schema.column_names}, so the items have to be given: pass "
                "candidates=, a table of items (or of the training events) with these columns"
            )
        batches: Iterable[Batch] = _catalogue(item, output.size, batch_size)
    else:
        batches = (
            items if isinstance(items, ParquetLoader) else _loader(items, part.schema, output, batch_size)
        )
    known = torch.zeros(output.size, dtype=torch.bool)
    known[[0, *model.never_answered]] = True
    ids, vectors = [], []
    with evaluating(model):
        for batch in batches:
            new = _first_of_each(output.targets(batch), known)
            if not len(new):
                continue
            rows = Batch(TensorTable(batch.features, torch.arange(len(batch))).take(new))
            ids.append(output.targets(rows))
            vectors.append(output.scaled(part(rows.to(model.device))))
    if not ids:
        raise ValueError("the candidates hold no item, but padding and unknown ones: give rows of items")
    order = torch.cat(ids).argsort()
    return Candidates(torch.cat(ids)[order].to(model.device), torch.cat(vectors)[order.to(model.device)])


def two_tower_output(model: Model) -> TwoTowerOutput:
    """The model's output.

    Raises:
        TypeError: if it is not one of two towers.
    """
    if not isinstance(model.output, TwoTowerOutput):
        raise TypeError(f"{type(model.output).__name__} has no candidates: expected a model of two towers")
    return model.output


def tower(model: Model, name: str) -> ModelPart:
    """One of a model's towers, which takes batches of its own columns.

    Args:
        model: whose body is a :class:`ParallelBlock`.
        name: of the tower.

    Raises:
        TypeError: if the body has no branch of this name that reads columns by itself.
    """
    last: nn.Module = model.body
    while type(last) is Block and len(last) == 1:
        last = last[0]
    if isinstance(last, ParallelBlock) and name in last:
        part = ModelPart(last[name])
        if len(part.schema):
            return part
    raise TypeError(
        f"the body has no tower {name!r} that reads columns by itself: end it with a ParallelBlock of two "
        "towers, each with an input block of its own, as TwoTowerModel does"
    )


def _catalogue(item: str, size: int, batch_size: int) -> Iterator[Batch]:
    for start in range(0, size, batch_size):
        yield Batch({item: torch.arange(start, min(start + batch_size, size))})


def _loader(items: Any, schema: Schema, output: TwoTowerOutput, batch_size: int) -> ParquetLoader:
    item = output.item_id
    if item not in schema.column_names:
        domain = {"domain": {"min": 0, "max": output.size - 1, "name": output.domain}}
        tags = [Tags.CATEGORICAL, Tags.ITEM_ID]
        schema = schema + Schema([ColumnSchema(item, tags=tags, dtype="int64", properties=domain)])
    return ParquetLoader(items, schema, batch_size=batch_size)


def _first_of_each(ids: Tensor, known: Tensor) -> Tensor:
    """(N,) int64 places of ids that are not known yet, each once; they are known from now on."""
    distinct, place = torch.unique(ids, return_inverse=True)
    # The first place of each: going backwards, the last to be written stays.
    first = torch.empty_like(distinct)
    first[place.flip(0)] = torch.arange(len(ids) - 1, -1, -1)
    new = first[~known[distinct]]
    known[distinct] = True
    return new
