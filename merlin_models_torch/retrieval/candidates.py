"""The items that may be answers, each encoded once by the candidate tower."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from merlin_models_torch.batch import Batch
from merlin_models_torch.blocks import Block, ParallelBlock
from merlin_models_torch.data import DataError, ParquetLoader
from merlin_models_torch.data.coding import check_codes
from merlin_models_torch.data.source import open_source
from merlin_models_torch.data.table import TensorTable
from merlin_models_torch.outputs import TwoTowerOutput
from merlin_models_torch.retrieval.index import Index
from merlin_models_torch.retrieval.inference import evaluating
from merlin_models_torch.schema import ColumnSchema, Schema, Tags
from merlin_models_torch.schema.facts import is_list
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

    @cached_property
    def _place(self) -> Tensor:
        """The place of each item row up to the last candidate's; -1 for others, and for one row more."""
        last = int(self.ids[-1]) if len(self) else -1
        table = self.ids.new_full((last + 2,), -1)
        table[self.ids] = torch.arange(len(self), device=table.device)
        return table

    def places(self, ids: Tensor) -> Tensor:
        """The place among the candidates of each of (...) item rows: int64, -1 where it is no candidate."""
        table = self._place
        outside = table.shape[0] - 1
        return table[torch.where((ids < 0) | (ids > outside), outside, ids)]

    def without(self, ids: Tensor) -> Candidates:
        """Those that are not among (N,) item rows.

        Raises:
            ValueError: if none is left.
        """
        kept = ~torch.isin(self.ids, ids.to(self.ids.device))
        if not bool(kept.any()):
            raise ValueError("exclude holds every candidate, so nothing can be answered: leave some out")
        return self if bool(kept.all()) else Candidates(self.ids[kept], self.vectors[kept])

    def check_answers(self, k: int) -> None:
        """Refuses a number of answers that there are no candidates for.

        Raises:
            ValueError: if k is less than 1 or larger than their number.
        """
        if not 1 <= k <= len(self):
            raise ValueError(f"k is {k}, but there are {len(self)} candidates: choose within them")

    def best(
        self,
        index: Index,
        queries: Tensor,
        *,
        k: int,
        exclude: Tensor | None = None,
        candidates: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The k best candidates of each query.

        Args:
            index: of ``vectors``.
            queries: (B, D) float.
            k: answers.
            exclude: (B, E) int64 item rows that are no answers for each query, -1 in places that hold none.
            candidates: (B, C) int64 the only item rows that may be answers to each query, -1 in places that
                hold none; a query with none has all of these.

        Returns:
            Scores (B, k) in falling order and item rows (B, k) int64; -inf and -1 where there are too few.
        """
        own = None if exclude is None else self.places(exclude)
        if candidates is None:
            scores, places = index.topk(queries, k=k, exclude=own)
        else:
            some = self.places(candidates)
            within: Any = {"candidates": some}
            scores, places = index.topk(queries, k=k, exclude=own, **within)
            # None of those that were named is here: that is not the same as naming none.
            foreign = ((candidates >= 0).any(1) & (some < 0).all(1))[:, None]
            scores = torch.where(foreign, -torch.inf, scores)
            places = torch.where(foreign, -1, places)
        return scores, torch.where(places < 0, -1, self.ids[places])


def encode_candidates(
    model: Model,
    items: ParquetLoader | pa.Table | str | Path | Sequence[int] | Tensor | None = None,
    *,
    batch_size: int = 4096,
) -> Candidates:
    """Vectors of items by a model's candidate tower.

    Args:
        model: with two towers and :class:`TwoTowerOutput`.
        items: loader, Arrow table or parquet path with the columns of the candidate tower and the item id,
            coded as in training. Of several rows of one item the first counts, so a table of events, the
            training data's, does as well as a table of items. Rows of items, or the whole catalogue if not
            given, need a tower that reads the item id alone.
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
    elif _are_rows(items):
        if part.schema.column_names != [item]:
            raise ValueError(
                f"candidates are rows of items, and the candidate tower reads {part.schema.column_names}: "
                "pass a table of items (or of the training events) with these columns"
            )
        batches = [Batch({item: _rows_within(model, items, output.size, "candidates")})]
    else:
        batches = (
            items if isinstance(items, ParquetLoader) else _loader(items, part.schema, output, batch_size)
        )
    known = torch.zeros(output.size, dtype=torch.bool)
    known[[0, *model.never_answered]] = True
    ids, vectors = [], []
    with evaluating(model):
        for batch in batches:
            new = first_of_each(output.targets(batch), known)
            if not len(new):
                continue
            rows = Batch(TensorTable(batch.features, torch.arange(len(batch))).take(new))
            ids.append(output.targets(rows))
            vectors.append(output.scaled(part(rows.to(model.device))))
    if not ids:
        raise ValueError("the candidates hold no item, but padding and unknown ones: give rows of items")
    order = torch.cat(ids).argsort()
    return Candidates(torch.cat(ids)[order].to(model.device), torch.cat(vectors)[order.to(model.device)])


def allowed(model: Model, candidates: Any, vectors: Tensor) -> Candidates | None:
    """The items that may be answers of a model which has a vector for each item of its catalogue.

    Args:
        model: with an output of items.
        candidates: item rows, as a sequence, array or tensor; a table or parquet path with the column of
            items; or what an earlier call gave. All items if None.
        vectors: (V, D) of the catalogue.

    Returns:
        The distinct items, but those that are never answered; None for all.

    Raises:
        ValueError: if an item is not in the catalogue, or none is left.
    """
    if candidates is None or isinstance(candidates, Candidates):
        return candidates
    ids = _rows_within(model, candidates, len(vectors), "candidates")
    never = torch.tensor(sorted({*model.output.exclude, *model.never_answered}), dtype=torch.int64)
    ids = ids[~torch.isin(ids, never)].to(vectors.device)
    if not len(ids):
        raise ValueError("the candidates hold no item, but padding and unknown ones: give rows of items")
    return Candidates(ids, vectors[ids])


def denied(model: Model, exclude: Any) -> Tensor:
    """The items that are no answers to any row.

    Args:
        model: with an output of items.
        exclude: item rows in any form that ``candidates`` have; none if None.

    Returns:
        (N,) int64 distinct item rows, rising.

    Raises:
        ValueError: if an item is not in the catalogue.
    """
    if exclude is None:
        return torch.empty(0, dtype=torch.int64)
    output: Any = model.output
    size = int(output.size if isinstance(output, TwoTowerOutput) else output.cardinality)
    return _rows_within(model, exclude, size, "exclude")


def _rows_within(model: Model, items: Any, size: int, name: str) -> Tensor:
    ids: Tensor = torch.unique(_item_rows(model, items, name))
    wrong = ids[(ids < 0) | (ids >= size)]
    if len(wrong):
        raise ValueError(
            f"{name} holds item {int(wrong[0])}, but the catalogue has rows 0 to {size - 1}: give items as "
            f"the data holds them, original ids as model.raw_ids({{{str(model.output.item_id)!r}: ids}})"
        )
    return ids


def _are_rows(items: Any) -> bool:
    """Whether items are given one by one, and not as a table or the files of one."""
    import numpy as np

    if isinstance(items, Tensor):
        return True
    if hasattr(items, "__array__") and not hasattr(items, "columns"):
        items = np.asarray(items)  # of Arrow, or a column of a data frame
    listed = isinstance(items, (Sequence, np.ndarray)) and not isinstance(items, str)
    return listed and not any(isinstance(one, (str, Path)) for one in items)


def _item_rows(model: Model, candidates: Any, name: str) -> Tensor:
    """(N,) int64 item rows of a list of items or of a table's column of items."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(candidates, Tensor):
        return candidates.reshape(-1).to("cpu", torch.int64)
    if hasattr(candidates, "__array__") and not hasattr(candidates, "columns"):
        candidates = np.asarray(candidates)  # of Arrow, or a column of a data frame
    numbers = isinstance(candidates, (Sequence, np.ndarray)) and not isinstance(candidates, str)
    if _are_rows(candidates):
        rows = np.asarray(candidates)
        if rows.size and rows.dtype.kind not in "iu":
            raise TypeError(f"{name} holds {rows.dtype} values, expected whole numbers: give rows of items")
        return torch.from_numpy(rows.astype(np.int64)).reshape(-1)
    item_id = str(model.output.item_id)
    try:
        source = open_source(candidates)
    except DataError as error:
        if not numbers:
            raise
        raise DataError(
            f"{name} holds {str(candidates[0])!r}, which is no parquet file ({error}); original ids are "
            f"given as model.raw_ids({{{item_id!r}: ids}})"
        ) from error
    names = next(iter(source.schemas()))[1].names
    if item_id not in names:
        raise ValueError(f"{name} has columns {names}, expected {item_id!r}: name the column of items so")
    column = pa.concat_tables([source.read(part, [item_id]) for part in source.parts])[item_id]
    check_codes(column, where=f"column {item_id!r} of {name}")
    flat = pc.list_flatten(column) if is_list(column.type) else column
    return torch.from_numpy(np.asarray(flat).astype(np.int64))


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


def first_of_each(ids: Tensor, known: Tensor) -> Tensor:
    """(N,) int64 places of ids that are not known yet, each once; they are known from now on."""
    distinct, place = torch.unique(ids, return_inverse=True)
    # The first place of each: going backwards, the last to be written stays.
    first = torch.empty_like(distinct)
    first[place.flip(0)] = torch.arange(len(ids) - 1, -1, -1)
    new = first[~known[distinct]]
    known[distinct] = True
    return new
