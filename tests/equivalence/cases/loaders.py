"""Data loaders: every engine, paddings, targets, helpers that pad."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from merlin.dag import BaseOperator
from merlin.dataloader.ops.embeddings import EmbeddingOperator
from merlin.dataloader.ops.padding import Padding
from merlin.schema import ColumnSchema, Schema, Tags
from transformers4rec.torch.utils.data_utils import MerlinDataLoader, PyarrowDataLoader, T4RecDataLoader
from transformers4rec.torch.utils.padding import pad_batch, pad_inputs

from tests.equivalence.cases._common import refuses
from tests.equivalence.side import Side

LENGTH = 6
ITEMS = 40


def schema_with_targets(*targets: str) -> Schema:
    """An item list, a price list, a user's country, and target columns of one number a session."""
    ids = {"domain": {"min": 0, "max": ITEMS}}
    countries = {"domain": {"min": 0, "max": 9}}
    return Schema(
        [
            ColumnSchema(
                "item_id",
                tags=[Tags.ITEM_ID, Tags.CATEGORICAL, Tags.LIST],
                dtype=np.int64,
                dims=(None, (0, 20)),
                properties=ids,
            ),
            ColumnSchema("price", tags=[Tags.CONTINUOUS, Tags.LIST], dtype=np.float32, dims=(None, (0, 20))),
            ColumnSchema("country", tags=[Tags.CATEGORICAL], dtype=np.int64, properties=countries),
            *(ColumnSchema(name, tags=[Tags.TARGET], dtype=np.float32) for name in targets),
        ]
    )


def write_with_targets(side: Side, rows: int = 11) -> Path:
    """Sessions of one to nine items with a country and the targets ``click`` and ``paid``."""
    side.seed(5)
    lengths = torch.randint(1, 10, (rows,))
    lengths[:2] = torch.tensor([1, 9])
    total = int(lengths.sum())
    drawn = side.given(
        "sessions",
        {
            "lengths": lengths,
            "item_id": torch.randint(1, ITEMS + 1, (total,)),
            "price": torch.rand(total),
            "country": torch.randint(1, 10, (rows,)),
            "click": torch.randint(0, 2, (rows,)).float(),
            "paid": torch.rand(rows),
        },
    )
    offsets = np.concatenate([[0], drawn["lengths"].numpy().cumsum()])
    lists = {
        name: pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(drawn[name].numpy()))
        for name in ("item_id", "price")
    }
    scalars = {name: pa.array(drawn[name].numpy()) for name in ("country", "click", "paid")}
    path = side.scratch / "sessions.parquet"
    pq.write_table(pa.table({**lists, **scalars}), path)
    return path


def note_batches(side: Side, loader: Any) -> None:
    """Every column of every batch, how the targets come, and the sizes that a trainer asks for."""
    side.value("length", [len(loader), len(loader.dataset)])
    side.value("batch size", [loader.batch_size, loader._batch_size, loader.drop_last])
    side.value("workers", [loader.num_workers, loader.pin_memory])
    for number, batch in enumerate(loader):
        side.value(f"{number}: batch", type(batch).__name__)
        inputs, targets = batch
        kind = "tensor" if isinstance(targets, torch.Tensor) else type(targets).__name__
        side.value(f"{number}: targets", kind)
        side.value(f"{number}: columns", sorted(inputs))
        named = targets if isinstance(targets, dict) else {"": targets}
        columns = {**inputs, **{f"target {name}": x for name, x in named.items() if x is not None}}
        for name, column in columns.items():
            side.same(f"{number}/{name}", column)


def engine(side: Side, name: str, targets: tuple[str, ...] = (), drop_last: bool = False) -> None:
    """The loader that a trainer makes for an engine: padded to the length, the oldest items kept."""
    schema, path = schema_with_targets(*targets), str(write_with_targets(side))
    loader = T4RecDataLoader.parse(name).from_schema(
        schema,
        path,
        4,
        max_sequence_length=LENGTH,
        drop_last=drop_last,
        shuffle=False,
        shuffle_buffer_size=0,
        global_rank=None,
        global_size=None,
        device=None,
    )
    note_batches(side, loader)


def rows(side: Side) -> None:
    """The dataset of the pyarrow loader has rows, which torch batches as the loader does."""
    schema, path = schema_with_targets("click"), str(write_with_targets(side))
    loader = PyarrowDataLoader.from_schema(schema, path, 4, LENGTH)
    again = torch.utils.data.DataLoader(loader.dataset, batch_size=loader.batch_size)
    for number, ((inputs, targets), others) in enumerate(zip(loader, again, strict=True)):
        for name, column in {**inputs, **targets}.items():
            side.same(f"{number}/{name}", column)
            side.value(f"{number}/{name} again", torch.equal({**others[0], **others[1]}[name], column))
    inputs, targets = loader.dataset[1]
    side.value("row", [sorted(inputs), float(targets["click"]), inputs["item_id"].tolist()])
    side.value("row's types", [type(inputs["price"]).__name__, str(inputs["price"].dtype)])


def ragged(side: Side) -> None:
    """Without a length the merlin loader leaves list columns as values and offsets."""
    schema, path = schema_with_targets(), str(write_with_targets(side))
    note_batches(side, MerlinDataLoader.from_schema(schema, path, 4, shuffle=False))


def chosen_columns(side: Side) -> None:
    """Columns by name instead of by tag, for both loaders."""
    schema, path = schema_with_targets("click", "paid"), str(write_with_targets(side))
    for name, cls in (("merlin", MerlinDataLoader), ("pyarrow", PyarrowDataLoader)):
        loader = cls.from_schema(
            schema,
            path,
            4,
            max_sequence_length=LENGTH,
            categorical_features=["item_id"],
            continuous_features=["price"],
            targets=["paid"],
            shuffle=False,
        )
        inputs, targets = next(iter(loader))
        for column, values in inputs.items():
            side.same(f"{name}/{column}", values)
        side.same(f"{name}/target", targets["paid"] if isinstance(targets, dict) else targets)


def shuffled(side: Side) -> None:
    """A shuffled epoch has every row once; the order differs, as the draws do."""
    schema, path = schema_with_targets(), str(write_with_targets(side))
    side.seed()
    loader = MerlinDataLoader.from_schema(schema, path, 4, max_sequence_length=LENGTH, shuffle=True)
    for epoch in range(2):
        rows = torch.cat([inputs["item_id"] for inputs, _ in loader])
        side.same(f"rows of epoch {epoch}", torch.tensor(sorted(rows.tolist())))


def padding(side: Side) -> None:
    """The functions that pad: ragged columns to a length or to the longest, dense ones cut and filled."""
    batch = {
        "ids__values": torch.arange(1, 11),
        "ids__offsets": torch.tensor([0, 3, 4, 10]),
        "vectors__values": torch.arange(20.0).reshape(10, 2),
        "vectors__offsets": torch.tensor([0, 3, 4, 10]),
        "dense": torch.arange(12).reshape(3, 4),
        "scalar": torch.arange(3),
    }
    # Vectors only at the length of the longest: for another, 23.12.0 pads or cuts their width.
    lengths = {"ids": 4, "vectors": 6, "dense": 6}
    for name, column in pad_batch(dict(batch), lengths).items():
        side.same(f"pad_batch/{name}", column)
    for limit in (None, 4, 20):
        given = {name: x for name, x in batch.items() if limit != 4 or "vectors" not in name}
        for name, column in pad_inputs(given, limit).items():
            side.same(f"pad_inputs {limit}/{name}", column)


class Halved(BaseOperator):
    """An operator of one's own, which changes a column of lists."""

    def transform(self, col_selector, transformable):
        column = transformable["price"]
        transformable["price"] = type(column)(column.values / 2, column.offsets)
        return transformable


def looked_up(side: Side, *, padded: bool, **options: Any) -> None:
    """Vectors that an operator looks up, of list items and of a row's country, beside an own operator.

    Padded to the longest session's length: for another, 23.12.0 changes the width of the vectors.
    """
    side.seed(6)
    vectors = side.given(
        "vectors", {"item": torch.randn(ITEMS + 1, 3), "country": torch.randn(10, 2).double()}
    )
    if isinstance(options.get("id_lookup_table"), int):
        vectors["item"] = vectors["item"][: options["id_lookup_table"]]
        options["id_lookup_table"] = np.arange(options["id_lookup_table"])[::-1].copy() + 3
    np.save(side.scratch / "vectors.npy", vectors["item"].numpy())
    operators = [
        EmbeddingOperator(
            str(side.scratch / "vectors.npy"), lookup_key="item_id", embedding_name="vectors", **options
        ),
        EmbeddingOperator(vectors["country"].numpy(), lookup_key="country", embedding_name="flag"),
        Halved(),
    ]
    schema, path = schema_with_targets("paid"), str(write_with_targets(side))
    rows = schema.select_by_name("country").first.with_shape((None,))  # without it 23.12.0 fails
    schema = schema.excluding_by_name(["country"]) + Schema([rows])
    loader = MerlinDataLoader.from_schema(
        schema, path, 11, max_sequence_length=9 if padded else None, shuffle=False, transforms=operators
    )
    note_batches(side, loader)
    side.value("schema", loader.output_schema.column_names)
    for column in loader.output_schema:
        tags = sorted(getattr(tag, "value", tag) for tag in column.tags)
        side.value(f"schema/{column.name}", [tags, column.dtype.name, column.is_list, column.is_ragged])


def lookup_errors(side: Side) -> None:
    """What the operator refuses."""
    vectors = np.ones((5, 2))
    refuses(side, "vectors", ValueError, lambda: EmbeddingOperator([[1.0]]))
    refuses(side, "ids", ValueError, lambda: EmbeddingOperator(vectors, id_lookup_table=[1, 2]))
    few = np.arange(3)
    refuses(side, "few ids", AssertionError, lambda: EmbeddingOperator(vectors, id_lookup_table=few))
    path = str(write_with_targets(side))
    operators = [EmbeddingOperator(vectors, lookup_key="item_id")]
    loader = MerlinDataLoader.from_schema(schema_with_targets(), path, 4, shuffle=False, transforms=operators)
    refuses(side, "no vector", IndexError, lambda: next(iter(loader)))


def padded_by_operator(side: Side) -> None:
    """Lists of an operator's length; with longer ones 23.12.0 fails."""
    schema = schema_with_targets().select_by_name(["item_id", "price"])
    path = str(write_with_targets(side))
    note_batches(
        side, MerlinDataLoader.from_schema(schema, path, 4, shuffle=False, transforms=[Padding(9, -1)])
    )


CASES = {
    **{f"engine-{name}": partial(engine, name=name) for name in ("merlin", "nvtabular", "pyarrow")},
    **{
        f"engine-{name}-{len(targets)}-targets": partial(engine, name=name, targets=targets)
        for name in ("merlin", "pyarrow")
        for targets in (("click",), ("click", "paid"))
    },
    **{
        f"engine-{name}-drop-last": partial(engine, name=name, drop_last=True)
        for name in ("merlin", "pyarrow")
    },
    "pyarrow-rows": rows,
    "ragged": ragged,
    "chosen-columns": chosen_columns,
    "shuffled": shuffled,
    "padding": padding,
    "operator-vectors-padded": partial(looked_up, padded=True),
    "operator-vectors-ragged": partial(looked_up, padded=False),
    "operator-vectors-by-id": partial(looked_up, padded=True, id_lookup_table=30, unknown_value=0.25),
    "operator-vectors-mapped": partial(looked_up, padded=False, mmap=True, unknown_value=np.ones(3)),
    "operator-vectors-errors": lookup_errors,
    "operator-padding": padded_by_operator,
}
