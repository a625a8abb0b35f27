"""``merlin.datasets.synthetic`` of 23.12: schemas, types and, from one seed, rows of every known data set."""

from __future__ import annotations

from functools import partial
from typing import Any

import merlin.models.torch as mm
import numpy as np
import torch
from merlin.dataloader.torch import Loader
from merlin.datasets.synthetic import KNOWN_DATASETS, generate_data, generate_user_item_interactions
from merlin.models.torch.batch import Batch
from merlin.models.torch.models.base import compute_loss
from merlin.models.torch.transforms.sequences import TabularPredictNext
from merlin.schema import ColumnSchema, Schema, Tags
from torch import nn

from tests.equivalence.cases._common import refuses
from tests.equivalence.cases.merlin_torch import column, losses, share
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


def first_batch(dataset: Any, rows: int) -> Batch:
    """The first rows as the loader gives them, numbers as float32."""
    features, targets = next(iter(Loader(dataset, batch_size=rows)))
    floats = {k: v.float() if v.is_floating_point() else v for k, v in features.items()}
    return Batch(floats, targets)


def learns(side: Side, model: Any, batch: Batch) -> None:
    """Answers, loss and metrics, and the losses of twenty steps, from the same weights."""
    model.initialize(batch)
    share(side, model)
    answers = model(batch.features, batch=batch)
    for name, tensor in (answers if isinstance(answers, dict) else {"all": answers}).items():
        side.close(f"answer/{name}", tensor)
    for name, value in compute_loss(answers, batch.targets, model.model_outputs()).items():
        side.close(f"result/{name}", value)
    side.curve("losses", losses(model, batch, batch.targets))


def shop(*names: str) -> tuple[Any, Schema]:
    """Rows of "e-commerce" with some of its columns and the click."""
    data = generate_data("e-commerce", ROWS)
    data.schema = data.schema.select_by_name([*names, "click"])
    return data, data.schema.select_by_name(list(names))


def ranking(side: Side, *, dlrm: bool) -> None:
    """A ranking model over generated rows, as programs write it."""
    side.seed()
    data, features = shop("user_id", "user_age", "item_id", "item_shop", "position")
    click = mm.BinaryOutput(data.schema["click"])
    if dlrm:
        layers = {"bottom_block": mm.MLPBlock([8, 4]), "top_block": mm.MLPBlock([6])}
        model = mm.DLRMModel(features, dim=4, output_block=click, **layers)
    else:
        model = mm.DCNModel(data.schema, depth=2, deep_block=mm.MLPBlock([6]))
    learns(side, model, first_batch(data, 50))


def towers(side: Side) -> None:
    """A tower for users and one for items, each of the columns with its tag."""
    side.seed()
    data, features = shop("user_id", "user_age", "item_id", "item_shop")

    def tower(tag: Tags) -> Any:
        inputs = mm.TabularInputBlock(features.select_by_tag(tag), init="defaults", agg="concat")
        return mm.Block(inputs, mm.MLPBlock([8, 4]))

    pair = mm.ParallelBlock({"user": tower(Tags.USER), "item": tower(Tags.ITEM)})
    batch = first_batch(data, 50)
    learns(side, mm.Model(pair, mm.Concat(), mm.MLPBlock([4]), mm.BinaryOutput(data.schema["click"])), batch)
    side.close("user", pair.branches["user"](batch.features))
    side.close("item", mm.EncoderBlock(pair.branches["item"])(batch.features))


def next_items(side: Side) -> None:
    """Sessions: what comes next at each position, and what a model answers there."""
    side.seed()
    data = generate_data("sequence-testing", ROWS)
    names = ["item_id_seq", "categories", "event_hour_sin", "user_country"]
    data.schema = schema = data.schema.select_by_name(names)
    shift = TabularPredictNext(schema=schema.select_by_tag(Tags.SEQUENCE), target="item_id_seq")
    batch = shift(Batch(first_batch(data, 50).features))
    for name, tensor in {**batch.features, "next": batch.targets["item_id_seq"]}.items():
        (side.close if tensor.is_floating_point() else side.same)(f"batch/{name}", tensor)
    inputs = mm.TabularInputBlock(schema, init="broadcast-context", agg="concat")
    model = mm.Model(inputs, mm.MLPBlock([8]), mm.CategoricalOutput(schema["item_id_seq"]))
    model.initialize(batch)
    parameters = share(side, model)
    answers = model(batch.features, batch=batch)
    side.close("answers", answers)
    loss = nn.functional.cross_entropy(answers.flatten(0, 1), batch.targets["item_id_seq"].flatten())
    side.close("loss", loss)
    loss.backward()
    for i, parameter in enumerate(parameters):
        side.close(f"gradient/{i:02}", torch.zeros(1) if parameter.grad is None else parameter.grad)


CASES = {
    **{f"known-{name}": partial(known, name=name) for name in sorted(KNOWN_DATASETS)},
    "own-schema": own,
    "one-item": one_item,
    "lists": lengths,
    "lists-of-lengths": partial(lengths, min_session_length=3, max_session_length=5),
    "errors": errors,
    "ranking-dlrm": partial(ranking, dlrm=True),
    "ranking-dcn": partial(ranking, dlrm=False),
    "towers": towers,
    "next-items": next_items,
}
