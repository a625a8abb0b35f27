"""What a model answers to a batch, as Arrow columns: items with their original ids, or scores."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from merlin_models_torch.batch import Batch, Column, Ragged
from merlin_models_torch.data import Vocabulary
from merlin_models_torch.outputs import CategoricalOutput, ItemOutput, TwoTowerOutput
from merlin_models_torch.outputs.answered import check_answered
from merlin_models_torch.outputs.seen import seen_items
from merlin_models_torch.retrieval.candidates import (
    Candidates,
    allowed,
    denied,
    encode_candidates,
    tower,
    two_tower_output,
)
from merlin_models_torch.retrieval.given import Given
from merlin_models_torch.retrieval.index import Index, ItemIndex
from merlin_models_torch.retrieval.keys import Keyed
from merlin_models_torch.schema import Schema

if TYPE_CHECKING:
    from merlin_models_torch.selection import ModelPart
    from merlin_models_torch.training.model import Model


class Best(Protocol):
    """Finds the k best items."""

    def __call__(
        self, batch: Batch, exclude: Tensor | None, candidates: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Scores (B, k) and item rows (B, k), -1 for none.

        Args:
            batch: of queries.
            exclude: (B, E) rows to be left out besides.
            candidates: (B, C) the only rows that may be answers, -1 where none; all for a row with none.
        """


IndexFactory = Callable[..., Index]
"""Makes an index of vectors, with ``bias=`` and ``temperature=``, such as :class:`ItemIndex`."""


@dataclass(frozen=True)
class Answers:
    """How a model answers.

    Args:
        schema: the columns that it reads for that.
        columns: makes the answers to a batch, by what is known of its rows.
        item_id: the column of items that ``seen`` holds.
        question: what the answers depend on besides the model and the data.
        given: what was given for each row beside the data, if something was.
    """

    schema: Schema
    columns: Callable[[Batch, Keyed], dict[str, pa.Array]]
    item_id: str
    question: dict[str, Any]
    given: Given | None = None


def answers_of(
    model: Model,
    *,
    k: int | None = None,
    candidates: Any = None,
    exclude: Any = None,
    exclude_seen: bool | None = None,
    seen: Any = None,
    index: IndexFactory | None = None,
) -> Answers:
    """How a model answers, by its output; arguments as for :meth:`Model.predict`.

    Raises:
        ValueError: if they do not fit the output.
    """
    question = {"k": k, "exclude_seen": exclude_seen, "index": None if index is None else repr(index)}
    output = model.output
    if isinstance(output, ItemOutput) or (k is not None and isinstance(output, TwoTowerOutput)):
        if k is None:
            raise ValueError("k is not given: say how many items to answer with, such as k=10")
        if isinstance(output, TwoTowerOutput) and exclude_seen and seen is None:
            raise ValueError(
                "exclude_seen is True, but rows of queries do not say what was seen: pass seen=, a table "
                f"with a key and {output.item_id!r}, such as the training events"
            )
        out = denied(model, exclude)
        question["exclude"] = hashlib.sha256(out.numpy().tobytes()).hexdigest() if len(out) else None
        schema, best = searching(
            model, k=k, candidates=candidates, exclude=out, exclude_seen=exclude_seen, index=index
        )
        item_id = getattr(output, "item_id", None) or "item"
        return Answers(schema, _items(model, best, k, item_id), item_id, question)
    if candidates is not None or exclude is not None or seen is not None or index is not None:
        raise ValueError(
            "candidates, exclude and seen are for the k best items, and this is "
            f"{type(output).__name__} with k={k}: leave them out, and index"
        )
    return Answers(model.schema, _scores(model, k, exclude_seen), "item", question)


def searching(
    model: Model,
    *,
    k: int,
    candidates: Any,
    exclude: Any,
    exclude_seen: bool | None,
    index: IndexFactory | None,
) -> tuple[Schema, Best]:
    """The columns that a question to a model of items has, and what finds the k best of them.

    Raises:
        TypeError: if the output names no items.
        ValueError: if there are fewer items, or the arguments do not fit the output.
    """
    output, factory = model.output, ItemIndex if index is None else index
    if isinstance(output, TwoTowerOutput):
        part = tower(model, output.query)
        return part.schema, _of_towers(model, part, k, candidates, denied(model, exclude), factory)
    if not isinstance(output, ItemOutput):
        raise TypeError(f"{type(output).__name__} does not answer with items: take a model that does")
    model.check_answers("k", k)
    if isinstance(output, CategoricalOutput):
        out = denied(model, exclude)
        return model.schema, _of_catalogue(model, output, k, candidates, out, exclude_seen, factory)
    if candidates is not None or index is not None or len(denied(model, exclude)):
        raise ValueError(
            f"{type(output).__name__} answers from its whole catalogue by itself: leave out candidates, "
            "exclude and index"
        )

    def best(batch: Batch, exclude: Tensor | None, candidates: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return model.topk(batch, k=k, exclude_seen=exclude_seen)

    return model.schema, best


def original_ids(vocabulary: Vocabulary | None, items: NDArray[np.int64]) -> pa.Array:
    """(N,) original ids of item rows; null for a negative one, and for padding and unknown."""
    # The vocabulary has no value for 0 either.
    return pa.array(items, mask=items < 0) if vocabulary is None else vocabulary.decode(items.clip(min=0))


def _items(model: Model, best: Best, k: int, item_id: str) -> Callable[[Batch, Keyed], dict[str, pa.Array]]:
    def columns(batch: Batch, own: Keyed) -> dict[str, pa.Array]:
        seen = None if own.seen is None else own.seen.to(model.device)
        scores, items = best(batch.to(model.device), seen)
        check_answered(items, batch)
        rows, numbers = items.flatten().cpu().numpy(), pa.array(scores.flatten().float().cpu().numpy())
        return {
            item_id: pa.FixedSizeListArray.from_arrays(original_ids(model.item_vocabulary, rows), k),
            "score": pa.FixedSizeListArray.from_arrays(numbers, k),
        }

    return columns


def _of_towers(
    model: Model, queries: ModelPart, k: int, candidates: Any, out: Tensor, factory: IndexFactory
) -> Best:
    """Queries are encoded batch by batch, candidates once."""
    output = two_tower_output(model)
    items = candidates if isinstance(candidates, Candidates) else encode_candidates(model, candidates)
    items = items.without(out)
    items.check_answers(k)
    index = factory(items.vectors, temperature=output.temperature)

    def best(batch: Batch, exclude: Tensor | None, candidates: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return items.best(index, output.scaled(queries(batch)), k=k, exclude=exclude, candidates=candidates)

    return best


def _of_catalogue(
    model: Model,
    output: CategoricalOutput,
    k: int,
    candidates: Any,
    out: Tensor,
    exclude_seen: bool | None,
    factory: IndexFactory,
) -> Best:
    """Answers of an output that scores a catalogue; its vectors are prepared once."""
    wanted = output.exclude_seen if exclude_seen is None else exclude_seen
    search = _search(model, output, k, candidates, out, factory)

    def best(batch: Batch, exclude: Tensor | None, candidates: Tensor | None = None) -> tuple[Tensor, Tensor]:
        planned = model.for_prediction(batch)
        queries = output.queries(model.hidden_states(planned), planned)
        check_answered(queries, batch)
        if wanted and planned.plan is not None and model.inputs.item_id is not None:
            shown = seen_items(batch, planned, model.inputs.item_id)
            exclude = shown if exclude is None else torch.cat([shown, exclude], 1)
        return search(queries, exclude, candidates)

    return best


def _search(
    model: Model, output: CategoricalOutput, k: int, candidates: Any, out: Tensor, factory: IndexFactory
) -> Callable[[Tensor, Tensor | None, Tensor | None], tuple[Tensor, Tensor]]:
    """Finds the best items of (B, D) queries, besides (B, E) rows that are left out, among (B, C) rows."""
    never = sorted({*output.exclude, *model.never_answered, *out.tolist()})
    if not 1 <= k <= output.cardinality - len(never):
        raise ValueError(
            f"k is {k}, but {output.cardinality - len(never)} items can be answers, those in exclude left "
            "out: choose within them"
        )
    if output.elsewhere is not None:
        if candidates is not None:
            raise ValueError(
                "candidates are for a model in one piece, and this one's items are shared out: leave them "
                "out, or call unshard_items(model) in all processes first"
            )
        shards, temperature = output.elsewhere, output.temperature
        return lambda queries, exclude, _: shards.topk(
            queries, k=k, temperature=temperature, exclude=exclude, never=never
        )
    with torch.inference_mode():
        vectors = output.item_vectors
    items = allowed(model, candidates, vectors)
    bias: Tensor | None = output.bias
    if items is None:
        index = factory(vectors, bias=bias, temperature=output.temperature)

        def whole(queries: Tensor, exclude: Tensor | None, some: Tensor | None) -> tuple[Tensor, Tensor]:
            within: dict[str, Any] = {} if some is None else {"candidates": some}
            return index.topk(queries, k=k, exclude=exclude, never=never, **within)

        return whole
    items = items.without(out)
    items.check_answers(k)
    some = factory(
        items.vectors, bias=None if bias is None else bias[items.ids], temperature=output.temperature
    )
    return lambda queries, exclude, among: items.best(some, queries, k=k, exclude=exclude, candidates=among)


def _scores(
    model: Model, k: int | None, exclude_seen: bool | None
) -> Callable[[Batch, Keyed], dict[str, pa.Array]]:
    items = getattr(model.output, "item_columns", {})
    given = f"k is {k}" if k is not None else "exclude_seen is True" if exclude_seen else None
    if given is not None and not items:
        raise ValueError(
            f"{given}, but {type(model.output).__name__} gives scores and no items: leave it out"
        )

    def columns(batch: Batch, own: Keyed) -> dict[str, pa.Array]:
        found: dict[str, pa.Array] = {}
        scores = model.scores(batch.to(model.device), k=k, exclude_seen=bool(exclude_seen))
        for name, values in scores.items():
            column = as_arrow(values.to("cpu"))
            if name in items:
                ids = original_ids(model.vocabularies.get(items[name] or ""), column.flatten().to_numpy())
                column = pa.LargeListArray.from_arrays(column.offsets, ids)
            found[name] = column
        return found

    return columns


def as_arrow(column: Column) -> pa.Array:
    """A column of a batch as an Arrow array: numbers, or lists of them."""
    if isinstance(column, Ragged):
        return pa.LargeListArray.from_arrays(pa.array(column.offsets.numpy()), _plain(column.values))
    if column.dim() > 1:
        return pa.FixedSizeListArray.from_arrays(_plain(column.flatten()), column.shape[1])
    return _plain(column)


def _plain(values: Tensor) -> pa.Array:
    # numpy has no bfloat16.
    return pa.array((values.float() if values.is_floating_point() else values).detach().cpu().numpy())
