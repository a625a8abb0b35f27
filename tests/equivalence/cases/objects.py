"""What programs reach into at run time: parts, names and protocols of objects."""

from __future__ import annotations

import copy
import json
from functools import partial
from typing import Any

import torch
from merlin_standard_lib import ColumnSchema, Schema
from merlin_standard_lib.proto.schema_bp import Annotation, FeaturePresence, IntDomain, ValueCount
from torch import nn
from transformers4rec import torch as tr
from transformers4rec.torch.masking import masking_registry
from transformers4rec.torch.ranking_metric import AvgPrecisionAt, NDCGAt, ranking_metrics_registry
from transformers4rec.torch.tabular.base import tabular_aggregation_registry

from tests.equivalence.cases._common import LENGTH, read_schema, refuses, sessions, small_inputs
from tests.equivalence.cases.models import next_item_model
from tests.equivalence.cases.tasks import body_of
from tests.equivalence.side import Side


def note_parts(side: Side, name: str, module: nn.Module) -> None:
    """Names of all parts in their order, as hooks, optimisers by name and saved weights use them."""
    side.value(f"{name}/modules", [f"{part} {type(m).__name__}" for part, m in module.named_modules()])
    side.value(f"{name}/parameters", [part for part, _ in module.named_parameters()])
    side.value(f"{name}/state", list(module.state_dict()))
    side.value(f"{name}/printed", repr(module))


def parts(side: Side, kind: str) -> None:
    """Parts of an input block, a body's layers, tasks with and without block, and a whole model."""
    if kind == "items":
        note_parts(side, "model", next_item_model(side))
        return
    inputs = small_inputs(side, width=16)
    tasks = [
        tr.BinaryClassificationTask("click", summary_type="mean", task_block=tr.MLPBlock([4])),
        tr.RegressionTask("seconds"),
    ]
    model = tr.Model(tr.Head(body_of(inputs), tasks, inputs=inputs))
    note_parts(side, "inputs", inputs)
    for task in model.prediction_tasks:
        note_parts(side, task.task_name, task)


def own_summary(side: Side) -> None:
    """Modules of one's own in the places around the summary of a sequence."""
    inputs = small_inputs(side, width=16)
    model = tr.Model(
        tr.Head(body_of(inputs), tr.RegressionTask("seconds", summary_type="mean"), inputs=inputs)
    )
    summary = model.prediction_tasks[0].sequence_summary
    summary.summary = nn.Linear(16, 16)
    summary.activation = nn.Tanh()
    side.weights(model)
    model.eval()
    side.close("answers", model(sessions(side)))


class Constant(nn.Module):
    """A head of one's own: it needs nothing of ``Head``."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, inputs: Any, training: bool = False, testing: bool = False, **kwargs: Any) -> Any:
        scores = inputs["price"][:, :3] * self.weight
        if training or testing:
            return {"loss": scores.sum(), "labels": {"own": scores}, "predictions": {"own": scores}}
        return {"own": scores}


def own_head(side: Side) -> None:
    """A module of one's own as head."""
    model = tr.Model(Constant())
    side.weights(model)
    side.close("answers", model(sessions(side)))
    side.close("loss", model(sessions(side, name="again"), training=True)["loss"])


class Kept(tr.ConcatFeatures):
    """Overrides the checks of an aggregation, which are called by their names."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def _check_first_two_dims(self, seq_features_shapes: Any) -> None:
        self.seen.append(",".join(sorted(seq_features_shapes)))

    def _check_concat_shapes(self, inputs: Any) -> None:
        self.seen.append(str(len(inputs)))


class Sized(tr.TabularSequenceFeatures):
    """Overrides what is called on the way to a size and to the outputs."""

    def _check_post_output_size(self, input_size: Any) -> Any:
        self.sizes = [*getattr(self, "sizes", []), isinstance(input_size, dict)]
        return super()._check_post_output_size(input_size=input_size)

    def _maybe_apply_transformations(self, inputs: Any, transformations: Any = None) -> Any:
        self.applied = [*getattr(self, "applied", []), transformations is not None]
        return super()._maybe_apply_transformations(inputs, transformations=transformations)


def overrides(side: Side) -> None:
    """Methods of one underscore that subclasses override and call."""
    aggregation = Kept()
    columns = side.given("columns", {"a": torch.ones(2, 3, 4), "b": torch.ones(2, 3, 2)})
    side.close("concatenated", aggregation(columns))
    side.value("checked", aggregation.seen)
    block = Sized.from_schema(read_schema(side), max_sequence_length=LENGTH, embedding_dim_default=4)
    side.value("size", {name: list(size) for name, size in block.output_size().items()})
    block(sessions(side))
    side.value("applied", block.applied)
    side.value("asked for sizes", bool(block.sizes))
    side.value("untransformed", block._maybe_apply_transformations({"x": 1}))
    block._maybe_set_schema(aggregation, read_schema(side))
    side.value("schema passed on", aggregation.schema.column_names)


def registries(side: Side) -> None:
    """What registries hold, by name."""
    for name, registry in {
        "metrics": ranking_metrics_registry,
        "aggregations": tabular_aggregation_registry,
        "maskings": masking_registry,
    }.items():
        values = list(registry.values())
        side.value(f"{name}/names", sorted(registry.keys()))
        kinds = {value.__name__ if isinstance(value, type) else type(value).__name__ for value in values}
        side.value(f"{name}/kinds", sorted(kinds))
        side.value(f"{name}/items", sorted(key for key, _ in registry.items()))
        side.value(f"{name}/are classes", all(isinstance(value, type) for value in values))


def inner_metrics(side: Side) -> None:
    """Metrics hold the measure that they are made of, for subclasses."""
    side.seed(1)
    given = side.given("rows", {"scores": torch.rand(4, 9), "labels": (torch.rand(4, 9) > 0.6).float()})
    ks = torch.tensor([1, 3]).tolist()
    side.close("dcg", NDCGAt(top_ks=ks).dcg_at(ks, given["scores"], given["labels"]))
    side.close("precision", AvgPrecisionAt(top_ks=ks).precision_at(ks, given["scores"], given["labels"]))


def odd_calls(side: Side) -> None:
    """Inputs of another kind than a block takes, and sequences of nothing."""
    layers = tr.MLPBlock([4]).build([-1, 3])
    refuses(side, "a dictionary", TypeError, lambda: layers({"x": torch.ones(2, 3)}))
    refuses(side, "a list", TypeError, lambda: layers([1.0, 2.0, 3.0]))
    del layers[0]
    batch = sessions(side)
    side.value("nothing left", layers(batch) is batch)
    model = next_item_model(side).eval()
    side.weights(model)
    side.close("unknown argument", model.to_lightning()(batch, other=1))


def trainer_names(side: Side) -> None:
    """Attributes of the Trainer of transformers 4.30 that an own ``training_step`` asks for."""
    arguments = tr.T4RecTrainingArguments(str(side.scratch), max_sequence_length=LENGTH, no_cuda=True)
    trainer = tr.Trainer(model=next_item_model(side), args=arguments, schema=read_schema(side))
    names = ("do_grad_scaling", "use_apex", "use_cuda_amp", "use_cpu_amp", "tokenizer")
    side.value("names", [getattr(trainer, name) for name in names])


def columns_by_place(side: Side) -> None:
    """Columns of ``merlin_standard_lib`` whose fields are given by their places, and read from text."""
    domain = IntDomain("a", 1, 9, True)
    counts = ValueCount(1, 4)
    made = {
        "bare": ColumnSchema("a", False),
        "present": ColumnSchema("a", False, FeaturePresence(min_fraction=0.5)),
        "nothing": ColumnSchema("a", False, FeaturePresence()),
        "stale": ColumnSchema("a", True),
        "json": ColumnSchema().from_json('{"name": "b", "type": "INT", "intDomain": {"max": "7"}}'),
        "dict": ColumnSchema("c").from_dict({"type": "FLOAT", "annotation": {"tag": ["x"]}}),
    }
    for name, column in made.items():
        side.value(f"{name}/dict", column.to_dict())
        side.value(f"{name}/json", json.loads(column.to_json(indent=1)))
        side.value(f"{name}/bounds", [column.int_domain.min, column.int_domain.max, column.value_count.max])
    side.value("same as by name", ColumnSchema("a", False) == ColumnSchema("a"))
    side.value("same as deprecated", ColumnSchema("a", True) == ColumnSchema("a"))
    side.value("indented", Schema([ColumnSchema("a")]).to_json(2).count("\n") > 2)
    side.value("empty", Schema().to_json())
    side.value("printed", [repr(domain), repr(counts)])
    note = Annotation(tag=["x"])
    side.value("copied", [copy.deepcopy(note) == note, list(copy.deepcopy(note).tag)])


CASES = {
    "parts-of-items": partial(parts, kind="items"),
    "parts-of-tasks": partial(parts, kind="tasks"),
    "own-summary": own_summary,
    "own-head": own_head,
    "overrides": overrides,
    "registries": registries,
    "inner-metrics": inner_metrics,
    "odd-calls": odd_calls,
    "trainer-names": trainer_names,
    "columns-by-place": columns_by_place,
}
