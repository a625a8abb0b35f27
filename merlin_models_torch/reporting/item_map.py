"""The map of items in a report: where their vectors lie, coloured by popularity or by a column."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from merlin_models_torch.data.source import open_source
from merlin_models_torch.inputs import EmbeddingTable
from merlin_models_torch.outputs import CategoricalOutput
from merlin_models_torch.reporting.embeddings import most_common, principal_plane
from merlin_models_torch.reporting.groups import FIFTHS, Popularity
from merlin_models_torch.reporting.page import figure, legend
from merlin_models_torch.reporting.plots import scatter_chart
from merlin_models_torch.retrieval.answers import original_ids
from merlin_models_torch.retrieval.candidates import Candidates
from merlin_models_torch.retrieval.features import item_column
from merlin_models_torch.schema.facts import is_list
from merlin_models_torch.selection import extract

if TYPE_CHECKING:
    from merlin_models_torch.data import Vocabulary
    from merlin_models_torch.training.model import Model

_SHOWN = 1200
_OTHERS = "others"


def vectors_of(model: Model, output: Any, candidates: Candidates | None) -> tuple[Tensor, Tensor]:
    """The items that have a vector, by their rows (V,) int64, and the vectors (V, D).

    Args:
        model: any.
        output: of items, or any other, for which the embeddings of the item column count.
        candidates: of two towers.

    Raises:
        ValueError: if the model has no vectors of items in one place.
    """
    if candidates is not None:
        return candidates.ids.cpu(), candidates.vectors.detach().cpu()
    if isinstance(output, CategoricalOutput):
        if output.elsewhere is not None:
            raise ValueError("the item vectors are shared out to several processes")
        with torch.inference_mode():
            vectors = output.item_vectors
        never = torch.tensor(sorted({*output.exclude, *model.never_of(output)}), dtype=torch.int64)
        rows = torch.arange(len(vectors))
    else:
        column = item_column(model)
        table = extract(model, column.name)
        if not isinstance(table, EmbeddingTable):
            raise ValueError(f"the items of {column.name!r} have no embedding table of their own")
        with torch.inference_mode():
            vectors = table.vectors(column.name)
        vocabulary = model.vocabularies.get(model.schema.domain_name(column.name))
        never = torch.arange(1 if vocabulary is None else vocabulary.first)
        rows = torch.arange(len(vectors))
    rows = rows[~torch.isin(rows, never)]
    return rows, vectors.detach().cpu()[rows]


def item_map(
    items: Tensor,
    vectors: Tensor,
    *,
    vocabulary: Vocabulary | None,
    popularity: Popularity | None,
    categories: Mapping[int, str] | None,
    notes: Mapping[str, str],
    column: str = "",
) -> str:
    """The figure.

    Args:
        items: (V,) int64 rows of the catalogue.
        vectors: (V, D) float.
        vocabulary: original ids, if they are known.
        popularity: of the items; those that were never met are left out, since they have learned nothing.
        categories: of items, which colour them instead of their popularity.
        notes: a word about an item, by item.
        column: what the categories are.
    """
    if popularity is not None:
        met = popularity.counts[items] > 0
        items, vectors = (items[met], vectors[met]) if int(met.sum()) > 1 else (items, vectors)
    points, along = principal_plane(vectors)
    shown = torch.arange(len(items))
    if popularity is not None:
        shown = popularity.counts[items].argsort(descending=True, stable=True)
    shown = shown[:_SHOWN]
    names = [str(one) for one in original_ids(vocabulary, items[shown].numpy()).to_pylist()]
    words = [f"{name} {notes[name]}" if name in notes else name for name in names]
    groups, kind = _groups(items[shown].tolist(), popularity, categories)
    places = points[shown].tolist()
    series: dict[str, list[tuple[float, float, str]]] = {}
    for (x, y), word, group in zip(places, words, groups, strict=True):
        series.setdefault(group, []).append((x, y, word))
    order = [*dict.fromkeys(groups)] if categories is None else [*most_common(groups, most=len(series))]
    order.sort(key=lambda group: group == _OTHERS)
    series = {group: series[group] for group in order}
    told = f"{len(shown):,} of {len(items):,} items: " + ", ".join(
        f"{g}: {len(s)}" for g, s in series.items()
    )
    chart = scatter_chart(
        "Map of the items",
        told,
        series,
        x_label=f"first direction, {along[0]:.0%} of the variance",
        y_label=f"second, {along[1]:.0%}",
        kind=kind,
    )
    most = "first" if popularity is None else "most popular"
    which = f"the {len(shown):,} {most} of {len(items):,} items" if len(shown) < len(items) else "all items"
    by = f"coloured by {column}" if categories is not None else "coloured by popularity" if popularity else ""
    meaning = f"{which} in the plane in which vectors differ most{', ' if by else ''}{by}"
    below = legend(list(series), kind=kind) if len(series) > 1 else ""
    return figure("Map of the items", meaning, chart + below, wide=True)


def _groups(
    items: list[int], popularity: Popularity | None, categories: Mapping[int, str] | None
) -> tuple[list[str], str]:
    """The group of each item, and the style that colours them."""
    if categories is not None:
        named = [categories.get(item, _OTHERS) for item in items]
        common = {*most_common([name for name in named if name != _OTHERS])}
        return [name if name in common else _OTHERS for name in named], "series"
    if popularity is None:
        return ["items"] * len(items), "series"
    names = [f"fifth {n + 1} of events" for n in range(FIFTHS)]
    names[0] += " (most popular)"
    return [names[min(int(popularity.groups[item]), FIFTHS - 1)] for item in items], "level"


def categories_of(data: Any, item_id: str, column: str, vocabulary: Vocabulary | None) -> dict[int, str]:
    """What a column says of each item: of several values the first, of several rows the first.

    Args:
        data: a table of items, or rows with lists of items and lists as long of the column.
        item_id: its column of item rows.
        column: the other.
        vocabulary: original values of the column, if there are codes in it.

    Raises:
        ValueError: if one of the columns is missing, or the lists are of other lengths.
    """
    import pyarrow.compute as pc

    source = open_source(data)
    names = next(iter(source.schemas()))[1].names
    for name in (item_id, column):
        if name not in names:
            raise ValueError(
                f"the category of items is looked up by {item_id!r} in {column!r}, and the data has {names}: "
                "pass items=, a table that has both, or name another column"
            )
    found: dict[int, Any] = {}
    for part in getattr(source, "groups", source.parts):
        table = source.read(part, [item_id, column])
        items, values = table[item_id].combine_chunks(), table[column].combine_chunks()
        if is_list(items.type):
            if not is_list(values.type) or pc.list_value_length(items) != pc.list_value_length(values):
                raise ValueError(
                    f"column {column!r} of {part.name} has no lists as long as those of {item_id!r}: name a "
                    "column that says something of each item"
                )
            items, values = pc.list_flatten(items), pc.list_flatten(values)
        codes, places = np.unique(np.asarray(items.fill_null(0)), return_index=True)
        new = [
            (int(code), place) for code, place in zip(codes, places, strict=True) if int(code) not in found
        ]
        some = values.take([int(place) for _, place in new]).to_pylist()
        found |= {code: value for (code, _), value in zip(new, some, strict=True)}
    firsts = {code: (v[0] if v else None) if isinstance(v, list) else v for code, v in found.items()}
    if vocabulary is not None and all(isinstance(value, int) for value in firsts.values()):
        decoded = vocabulary.decode(list(firsts.values())).to_pylist()
        firsts = dict(zip(firsts, decoded, strict=True))
    return {code: "none" if value is None else str(value) for code, value in firsts.items()}
