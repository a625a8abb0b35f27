"""``merlin.datasets.synthetic`` of 23.12: schemas, types and, from one seed, rows of every known data set."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from merlin.datasets.synthetic import KNOWN_DATASETS, generate_data, generate_user_item_interactions
from merlin.schema import ColumnSchema, Schema, Tags

from tests.equivalence.cases._common import refuses
from tests.equivalence.cases.merlin_torch import column
from tests.equivalence.side import Side

ROWS, MANY = 300, 3000


def note_schema(side: Side, name: str, schema: Any) -> None:
    """All that is known of each column, in the order of the columns."""
    said = [
        {
            "name": one.name,
            "dtype": one.dtype.name,
            "tags": sorted(getattr(tag, "value", tag) for tag in one.tags),
            "properties": one.properties,
            "dims": one.shape.as_tuple,
            "lists": [one.is_list, one.is_ragged],
        }
        for one in schema
    ]
    side.value(f"{name}/schema", said)


def ragged(schema: Any) -> bool:
    """Whether lists have several lengths, which the original draws by Python's ``random``."""
    lengths = [one.shape.dims[1] for one in schema if one.is_list]
    return any(one.max is not None and one.min != one.max for one in lengths)


def note_rows(side: Side, name: str, dataset: Any) -> None:
    """Every row, or where the lengths of lists differ, means and spreads of each column."""
    note_schema(side, name, dataset.schema)
    frame = dataset.to_ddf().compute()
    side.value(f"{name}/columns", list(frame.columns))
    for one in dataset.schema:
        values = frame[one.name]
        if one.dtype.name == "str":
            side.value(f"{name}/{one.name}/texts", all(isinstance(value, str) for value in values))
            continue
        tensor = torch.as_tensor(np.stack(values.to_numpy()))
        side.value(f"{name}/{one.name}/type", [str(tensor.dtype), list(tensor.shape)])
        if ragged(dataset.schema):
            inside = (tensor != 0).reshape(len(tensor), -1)
            side.value(f"{name}/{one.name}/lengths", sorted(inside.sum(1).unique().tolist()))
            means = tensor.double().reshape(len(tensor), -1).sum(1) / inside.sum(1).clamp(min=1)
            side.draws(f"{name}/{one.name}", torch.stack([inside.sum(1).double(), means], 1))
        else:
            side.same(f"{name}/{one.name}", tensor)


def known(side: Side, name: str) -> None:
    """One of the known data sets."""
    side.seed()
    rows = MANY if name in ("testing", "booking.com", "movielens-25m") else ROWS
    note_rows(side, name, generate_data(name, rows))


def own_schema() -> Schema:
    """Ids of sessions, users and items, what is known of them, and columns of neither."""
    return Schema(
        [
            column("visit", 500, Tags.SESSION_ID),
            column("day", 7, Tags.SESSION),
            column("user", 90, Tags.USER_ID),
            column("item", 60, Tags.ITEM_ID),
            column("brand", 20, Tags.ITEM),
            ColumnSchema("price", tags=[Tags.ITEM, Tags.CONTINUOUS], dtype=np.float32),
            column("place", 9),
            ColumnSchema("score", tags=[Tags.TARGET, Tags.REGRESSION], dtype=np.float32),
            ColumnSchema("click", tags=[Tags.TARGET, Tags.BINARY_CLASSIFICATION], dtype=np.int32),
        ]
    )


def own(side: Side) -> None:
    """A schema of a program's own, in three sets."""
    side.seed()
    sets = generate_data(own_schema(), ROWS, set_sizes=(0.5, 0.3, 0.2))
    side.value("sets", len(sets))
    for number, one in enumerate(sets):
        note_rows(side, f"set-{number}", one)


def one_item(side: Side) -> None:
    """Where all ids are the same, what follows from them lies in the middle."""
    schema = own_schema()
    schema["item"] = column("item", 1, Tags.ITEM_ID)
    side.seed()
    note_rows(side, "rows", generate_data(schema, ROWS))


def lengths(side: Side, **options: int) -> None:
    """Lists of other lengths than the schema says; items are lists without padding."""
    schema = own_schema().excluding_by_name(["brand", "price"])
    schema["item"] = column("item", 60, Tags.ITEM_ID, dims=((0, None), (2, 6)))
    schema["place"] = column("place", 9, dims=((0, None), (1, 3)))
    side.seed()
    note_rows(side, "rows", generate_data(schema, MANY, **options))
    note_schema(side, "given", schema)


def errors(side: Side) -> None:
    """What it does not take."""
    refuses(side, "unknown", ValueError, lambda: generate_data("ecommerce", 9))
    refuses(side, "no schema", ValueError, lambda: generate_data(3, 9))
    without = own_schema().excluding_by_name(["item"])
    refuses(side, "no item", ValueError, lambda: generate_user_item_interactions(without, 9))
    schema = own_schema()
    schema["brand"] = ColumnSchema("brand", tags=[Tags.ITEM], dtype=np.int64)
    refuses(side, "no domain", ValueError, lambda: generate_data(schema, 9))


CASES = {
    **{f"known-{name}": partial(known, name=name) for name in sorted(KNOWN_DATASETS)},
    "own-schema": own,
    "one-item": one_item,
    "lists": lengths,
    "lists-of-lengths": partial(lengths, min_session_length=3, max_session_length=5),
    "errors": errors,
}
