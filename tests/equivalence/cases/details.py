"""Details that programs meet: data without a schema, loops of one's own, odd arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from merlin.dataloader.torch import Loader
from merlin.io import Dataset
from merlin.schema import ColumnSchema, Tags
from merlin.schema import Schema as CoreSchema
from merlin_standard_lib import Schema
from transformers4rec import torch as tr
from transformers4rec.config.trainer import T4RecTrainingArguments
from transformers4rec.torch.utils import torch_utils

from tests.equivalence.cases._common import LENGTH, refuses, sessions
from tests.equivalence.cases.models import next_item_model
from tests.equivalence.cases.training import arguments, batches, build
from tests.equivalence.side import Side

TEXT = """
feature {{
  name: "{0}" type: INT value_count {{ max: 20 }} int_domain {{ min: 1 max: 9 is_categorical: true }}
  annotation {{ tag: "categorical" tag: "item_id" }}
}}
feature {{ name: "{1}" type: FLOAT value_count {{ max: 20 }} annotation {{ tag: "continuous" }} }}
"""


def frame() -> pd.DataFrame:
    """A column of every usual type."""
    columns = {
        "ids": [[1, 2], [3], [4, 5, 6]],
        "halves": [[0.5], [1.5, 2.5], [3.5]],
        "price": np.array([1.5, 2.5, 3.5], dtype="float32"),
        "word": ["x", "y", "z"],
        "words": [["x"], ["y", "z"], ["z"]],
        "seen": [True, False, True],
        "count": np.array([1, 2, 3], dtype="int32"),
        "kind": pd.Categorical(["q", "r", "q"]),
    }
    return pd.DataFrame(columns)


def types_of_data(side: Side) -> None:
    """Data without a schema file has names, types and lists, no tags, and no column is refused."""
    path = side.scratch / "types" / "deep" / "data.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    frame().to_parquet(path)
    for name, source in {"frame": frame(), "file": str(path)}.items():
        data = Dataset(source)
        kinds = [[one.name, one.dtype.name, one.is_list, one.is_ragged] for one in data.schema]
        side.value(name, kinds)
        side.value(f"{name}/properties", [one.properties for one in data.schema])
        side.value(f"{name}/tags", [len(one.tags) for one in data.schema])
        side.value(f"{name}/rows", [data.num_rows, len(data.to_ddf().compute())])
    tagged = data.schema["count"].with_tags([Tags.TARGET])
    side.value("tagged", sorted(tag.value for tag in tagged.tags))


def own_iterator(side: Side) -> None:
    """A loader of merlin-dataloader is its own iterator: ``next``, ``peek`` and a loop begun anew."""
    loader = Loader(Dataset(frame()[["ids", "count"]]), batch_size=1, shuffle=False)
    seen = [next(loader)[0]["count"], loader.peek()[0]["count"], next(loader)[0]["count"]]
    seen += [inputs["count"] for inputs, _ in loader]
    seen += [next(iter(loader))[0]["count"], next(loader)[0]["count"]]
    side.value("seen", [count.tolist() for count in seen])
    loader = iter(loader)
    for _ in range(3):
        next(loader)
    refuses(side, "after the last", StopIteration, lambda: next(loader))
    side.value("then", next(loader)[0]["count"].tolist())
    side.value("schema", loader.schema.column_names)


def read_after_the_step(side: Side) -> None:
    """Predictions are those of the weights before the step, also if they are read after it."""
    model = next_item_model(side)
    side.weights(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    side.seed(3)
    output = model(sessions(side), training=True)
    output["loss"].backward()
    optimizer.step()
    side.close("predictions", output["predictions"])
    side.same("labels", output["labels"])
    side.close(
        "metrics",
        torch.stack(list(model.calculate_metrics(output["predictions"], output["labels"]).values())),
    )


def as_a_dictionary(side: Side) -> None:
    """Whatever way a program reads the outputs of training."""
    model = next_item_model(side)
    side.weights(model)

    def output() -> Any:
        side.seed(3)
        return model(sessions(side), training=True)

    side.value("kind", isinstance(output(), dict))
    readings = {
        "joined": (output() | {"more": 1})["predictions"],
        "joined from the right": ({"more": 1} | output())["predictions"],
        "default": output().setdefault("predictions", 1),
        "last": dict([output().popitem()])["predictions"],
        "copied": dict(output())["predictions"],
        "spread": {**output()}["predictions"],
        "values": list(output().values())[-1],
    }
    for name, predictions in readings.items():
        side.close(name, predictions)


def known_columns(side: Side) -> None:
    """The columns of a model made of a schema of ``merlin_standard_lib``."""
    schema = Schema().from_proto_text(TEXT.format("item", "price"))
    inputs = tr.TabularSequenceFeatures.from_schema(
        schema, max_sequence_length=LENGTH, masking="clm", d_output=8, embedding_dim_default=8
    )
    body = tr.SequentialBlock(inputs, tr.Block(torch.nn.Linear(8, 8), [-1, LENGTH, 8]))
    model = tr.Model(tr.Head(body, tr.NextItemPredictionTask(), inputs=inputs))
    columns = model.input_schema
    side.value("types", [[one.name, one.dtype.name, one.is_list, one.is_ragged] for one in columns])
    side.value("properties", [one.properties for one in columns])
    side.value("tags", [sorted(tag.value for tag in one.tags) for one in columns])
    model.top_k = 3
    side.value("answers", [[one.name, one.dtype.name] for one in model.output_schema])


def without_training(side: Side) -> None:
    """A step of the Trainer outside of ``train``, and names that an own ``prediction_step`` asks for."""
    model = next_item_model(side)
    side.weights(model)
    given = arguments(side)
    side.value("run", given.run_name == given.output_dir)
    side.value("run of its own", T4RecTrainingArguments(str(side.scratch), run_name="mine").run_name)
    trainer = tr.Trainer(model=model, args=given)
    side.value("amp", trainer._use_cuda_amp)
    side.seed(3)
    side.close("loss", trainer.training_step(model, (sessions(side), None)))
    side.gradients(model)


class Listening(tr.Trainer):
    """Keeps what its log is told."""

    def log(self, logs: Any) -> None:
        self.__dict__.setdefault("told", []).append(dict(logs))
        super().log(logs)


def told_to_the_log(side: Side) -> None:
    """An override of ``log`` is told the loss and the next rate, and no more."""
    trainer = Listening(
        model=build(side), args=arguments(side, logging_steps=2), train_dataloader=batches(side, 5)
    )
    trainer.train()
    steps = trainer.told[:-1]
    side.value("names", [sorted(logs) for logs in steps])
    side.close("rates", [logs["learning_rate"] for logs in steps])
    side.curve("losses", [logs["loss"] for logs in steps])


class Plain(tr.TabularModule):
    """Its ``forward`` takes no arguments, its ``__call__`` those of every tabular module."""

    def forward(self, inputs: Any) -> Any:
        return inputs


def odd_arguments(side: Side) -> None:
    """What goes through a sequence of blocks, batches of arrays, and what is refused."""
    columns = side.given("columns", {"b": torch.rand(2, 3), "a": torch.rand(2, 1)})
    side.close("aggregated", tr.SequentialBlock(Plain())(columns, aggregation="concat"))
    filtered = tr.SequentialBlock(tr.FilterFeatures(["a", "b"]), Plain())(
        columns, post=tr.FilterFeatures(["a"])
    )
    side.value("filtered", sorted(filtered))
    layers = tr.MLPBlock([4]).build([-1, 3])
    refuses(side, "unknown argument", TypeError, lambda: layers(columns["b"], unknown=1))
    joined = torch_utils.nested_concat([np.ones((2, 3)), np.zeros(2)], [np.ones((1, 4)), np.ones(1)])
    for number, array in enumerate(joined):
        side.close(f"joined/{number}", array)
    join = torch_utils.nested_concat
    refuses(side, "two types", AssertionError, lambda: join([torch.ones(1)], (torch.ones(1),)))
    refuses(side, "numbers", TypeError, lambda: join(3, 3))
    refuses(side, "detached", AttributeError, lambda: torch_utils.nested_detach(3))
    refuses(side, "no function", AssertionError, lambda: torch_utils.LambdaModule(3))
    size = torch_utils.calculate_batch_size_from_input_size
    refuses(side, "sizes of another kind", IndexError, lambda: size({"a": [2, 3]}))
    refuses(side, "heads", ValueError, lambda: tr.XLNetConfig.build(9, 2, 1, 20))
    refuses(side, "width of a head", ValueError, lambda: tr.XLNetConfig.build(8, 2, 1, 20, d_head=3))
    refuses(side, "no class", IndexError, lambda: tr.T4RecConfig().transformers_config_cls)


def vectors_by_row(side: Side) -> None:
    """Vectors with and without positions: their sizes, and sequences beside a vector of each row."""
    count = {"value_count": {"min": 0, "max": LENGTH}}
    domain = {"domain": {"min": 0, "max": 9}}
    schema = CoreSchema(
        [
            ColumnSchema("row", dtype="float32", tags=[Tags.EMBEDDING], dims=(None, 5)),
            ColumnSchema("many", dtype="float32", tags=[Tags.EMBEDDING], dims=(None, (0, LENGTH), 6)),
            ColumnSchema("one", dtype="float32", tags=[Tags.CONTINUOUS]),
            ColumnSchema("ids", dtype="int64", tags=[Tags.CATEGORICAL], properties={**domain, **count}),
        ]
    )
    for name, options in {"any": {}, "given": {"batch_size": 3, "max_sequence_length": 4}}.items():
        sizes = torch_utils.get_output_sizes_from_schema(schema, **options)
        side.value(name, {column: list(size) for column, size in sizes.items()})
    together = schema.select_by_name(["row", "ids"])
    inputs = tr.TabularSequenceFeatures.from_schema(together, aggregation="concat", embedding_dim_default=4)
    side.value("together", list(inputs.output_size()))
    of_rows = tr.TabularFeatures.from_schema(schema.select_by_name(["row"]), aggregation="concat")
    side.value("of rows", list(of_rows.output_size()))


def columns_left_out(side: Side) -> None:
    """Columns of ``merlin_standard_lib`` are left out by a function, and come by ``*``."""
    schema = Schema().from_proto_text(TEXT.format("item", "price"))
    side.value("by function", schema.remove_by_name(lambda name: name.startswith("i")).column_names)
    side.value("by names", schema.remove_by_name(["price", "unknown"]).column_names)
    found: dict[str, Any] = {}
    exec("from merlin_standard_lib.schema.schema import *", found)  # how a program reads it
    names = ("Schema", "ColumnSchema", "IntDomain", "Tags", "categorical_cardinalities")
    side.value("starred", [name in found for name in names])


CASES = {
    "types-of-data": types_of_data,
    "own-iterator": own_iterator,
    "read-after-the-step": read_after_the_step,
    "as-a-dictionary": as_a_dictionary,
    "known-columns": known_columns,
    "without-training": without_training,
    "told-to-the-log": told_to_the_log,
    "odd-arguments": odd_arguments,
    "vectors-by-row": vectors_by_row,
    "columns-left-out": columns_left_out,
}
