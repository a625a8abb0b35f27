"""Corners that a thorough test of each feature looks into: messages, random batches, metrics, overrides."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch
from merlin.schema import Tags
from merlin_standard_lib import ColumnSchema, Schema
from merlin_standard_lib.proto.schema_bp import (
    Annotation,
    FeaturePresence,
    FeatureType,
    FixedShape,
    FixedShapeDim,
    FloatDomain,
    IntDomain,
    ValueCount,
    ValueCountList,
)
from transformers4rec import torch as tr
from transformers4rec.config.schema import SchemaMixin
from transformers4rec.config.schema import requires_schema as needs_schema
from transformers4rec.torch.block.base import BuildableBlock
from transformers4rec.torch.ranking_metric import DCGAt, MeanReciprocalRankAt, NDCGAt, RankingMetric
from transformers4rec.torch.trainer import process_metrics
from transformers4rec.torch.utils.data_utils import MerlinDataLoader, to_core_schema
from transformers4rec.torch.utils.schema_utils import random_data_from_schema
from transformers4rec.torch.utils.torch_utils import LambdaModule, numpy_pad_and_concatenate

from tests.equivalence.cases._common import refuses
from tests.equivalence.cases.loaders import schema_with_targets, write_with_targets
from tests.equivalence.cases.training import LENGTH, arguments, build
from tests.equivalence.side import Side

PARTS: dict[str, Any] = {
    "whole": lambda: IntDomain(min=1, max=5, is_categorical=True),
    "named": lambda: IntDomain("n"),
    "float": lambda: FloatDomain("n", 0.5, 2.0, disallow_inf=True),
    "unbounded": FloatDomain,
    "counts": lambda: ValueCount(1, 4),
    "nested": lambda: ValueCountList([ValueCount(max=3)]),
    "shape": lambda: FixedShape([FixedShapeDim(3), FixedShapeDim(2)]),
    "tags": lambda: Annotation(tag=["a"], comment=["c"]),
}


def columns() -> dict[str, ColumnSchema]:
    """Columns made in every way."""
    counts = ValueCount(2, 20)
    return {
        "ids": ColumnSchema.create_categorical("a", 9, min_index=1, value_count=counts, tags=[Tags.USER]),
        "vector": ColumnSchema.create_continuous("b", min_value=0, max_value=3, shape=[4]),
        "plain": ColumnSchema("p"),
        "kept": ColumnSchema("q", presence=FeaturePresence(min_fraction=0.5), type=FeatureType.BYTES),
    }


def snake(name: str) -> str:
    """Keys as fields are named."""
    return name


def messages(side: Side) -> None:
    """Parts, columns and schemas as dictionaries, text and bytes."""
    for name, make in PARTS.items():
        one, kind = make(), type(make())
        side.value(f"{name}/dict", one.to_dict())
        side.value(f"{name}/cased", one.to_dict(casing=snake))
        side.value(f"{name}/defaults", one.to_dict(include_default_values=True))
        side.value(f"{name}/json", [one.to_json(), one.to_json(indent=2)])
        side.value(f"{name}/bytes", [bytes(one).hex(), one.SerializeToString().hex()])
        back = [kind().from_dict(one.to_dict()), kind().from_json(one.to_json()), kind.FromString(bytes(one))]
        side.value(f"{name}/back", [read == make() for read in [*back, one.copy(), kind().parse(bytes(one))]])
        side.error(f"{name}/no such field", lambda one=one: one.HasField("bogus"))
    side.value("printed", [repr(IntDomain()), repr(FloatDomain()), repr(FixedShape([FixedShapeDim(3)]))])
    side.value("flags differ", FloatDomain(disallow_nan=True) == FloatDomain())
    side.value("types", [FeatureType.from_string("INT").name, str(FeatureType.INT)])
    for name, column in columns().items():
        side.value(f"{name}/keys", sorted(column.to_dict(casing=snake)))
        whole = column.to_dict(include_default_values=True)
        known = ("presence", "valueCount", "intDomain", "lifecycleStage", "inEnvironment", "deprecated")
        side.value(f"{name}/defaults", {key: whole[key] for key in known})
        fields = ("value_count", "int_domain", "float_domain", "annotation", "shape", "presence")
        side.value(f"{name}/set", [column.HasField(field) for field in fields])
        side.error(f"{name}/scalar", lambda column=column: column.HasField("name"))
        read = [ColumnSchema().from_json(column.to_json()), ColumnSchema().parse(bytes(column))]
        side.value(f"{name}/back", [one == column for one in read])
    schema = Schema(list(columns().values()))
    read = [Schema().from_dict(schema.to_dict()), Schema().from_json(schema.to_json())]
    side.value("schema/back", [one == schema for one in [*read, Schema().parse(bytes(schema))]])
    added = Schema([ColumnSchema("first")])
    side.value("schema/in place", [added.from_dict(schema.to_dict()) is added, added.column_names])
    side.error("schema/of a tuple", lambda: Schema.create(("a",)))
    side.value("widths", [[one.name, one.dtype.name] for one in to_core_schema(schema)])


def random_batches(side: Side) -> None:
    """One seed gives one batch, and the generator's state is what counts without one."""
    text = side.data / "schema.pbtxt"
    schema = Schema().from_proto_text(str(text))
    vectors = Schema(
        [
            ColumnSchema.create_continuous("e", shape=[4], min_value=0, max_value=1),
            ColumnSchema.create_categorical("c", 5),
            ColumnSchema("n"),
        ]
    )
    asked: dict[str, tuple[Schema, dict[str, Any]]] = {
        "seed": (schema, {"num_rows": 3, "max_session_length": 7, "seed": 3}),
        "short": (schema, {"num_rows": 3, "max_session_length": 4, "min_session_length": 2}),
        "ragged": (schema, {"num_rows": 2, "max_session_length": 7, "ragged": True}),
        "as long as may be": (schema, {"num_rows": 2, "seed": 1}),
        "vectors": (vectors, {"num_rows": 3, "seed": 1}),
    }
    for name, (of, arguments_) in asked.items():
        side.seed()
        for column, values in random_data_from_schema(of, **arguments_).items():
            side.same(f"{name}/{column}", values)


class Sums(RankingMetric):
    """A metric of one's own."""

    def _metric(self, ks, preds, target):
        return torch.stack([preds.topk(k).values.sum(-1) for k in ks], -1)


class Unfinished(RankingMetric):
    """A metric that measures nothing."""


def metrics(side: Side) -> None:
    """Bases of logarithms, own metrics, unfinished ones."""
    side.seed()
    scores, labels = torch.rand(4, 6), (torch.rand(4, 6) > 0.6).float()
    for kind in (DCGAt, NDCGAt, MeanReciprocalRankAt):
        side.close(kind.__name__, kind()._metric([1, 3], scores, labels, log_base=10))
    side.close("own", Sums([1, 2])(scores, labels))
    side.error("base", RankingMetric)
    side.error("unfinished", Unfinished)
    joined = numpy_pad_and_concatenate(np.ones((2, 3), "float32"), np.ones((1, 2)))
    side.value("joined", [str(joined.dtype), joined.tolist()])
    side.error("several", lambda: process_metrics({"a": torch.ones(2)}))
    refuses(side, "no function", AssertionError, lambda: LambdaModule(torch.nn.ReLU()))


@needs_schema
class Sum(tr.TabularAggregation):
    """An aggregation of one's own that cannot do without a schema."""

    def forward(self, inputs):
        return sum(inputs.values())


@needs_schema
class Named(SchemaMixin, torch.nn.Module):
    """A module of one's own likewise."""

    def forward(self, x):
        return x + len(self.schema)


class Halves(BuildableBlock):
    """Leaves it to the base class."""

    def build(self, input_size):
        return super().build(input_size)


def without_schema(side: Side) -> None:
    """What needs a schema says so when called, and works with one."""
    schema = Schema([ColumnSchema("a")])
    side.error("aggregation", lambda: Sum()({"a": torch.ones(2)}))
    side.error("module", lambda: Named()(torch.ones(2)))
    side.same("with", Sum().set_schema(schema)({"a": torch.ones(2), "b": torch.ones(2)}))
    side.same("module with", Named().set_schema(schema)(torch.ones(2)))
    side.error("nothing to add", lambda: tr.ElementwiseSum()({}))
    side.error("not built", lambda: Halves().build([1]))
    config = tr.TransfoXLConfig.build(d_model=8, n_head=2, n_layer=1, total_seq_length=6)
    names = ("cutoffs", "tie_projs", "sample_softmax", "adaptive", "eos_token_id", "max_position_embeddings")
    side.value("Transformer-XL", [json.loads(json.dumps(getattr(config, name))) for name in names])


class Told(tr.Trainer):
    """Overrides what logs predictions, with the arguments of 23.12.0."""

    def _maybe_log_predictions(self, labels, pred_item_ids, pred_item_scores, metrics, metric_key_prefix):
        told = [list(labels.shape), list(pred_item_ids.shape), list(pred_item_scores.shape)]
        self.__dict__.setdefault("told", []).append([*told, sorted(metrics), metric_key_prefix])


def trainer(side: Side) -> None:
    """An override of the logging of predictions, the order of a loader's columns, steps of a warm-up."""
    schema, path = schema_with_targets(), str(write_with_targets(side))
    told = Told(
        model=build(side),
        args=arguments(side),
        schema=schema,
        eval_dataset_or_path=path,
        compute_metrics=True,
    )
    told.evaluate()
    side.value("told", told.told)
    given = MerlinDataLoader.from_schema(
        schema_with_targets("click"), path, 4, max_sequence_length=LENGTH, shuffle=False
    )
    side.value("columns", given.output_schema.column_names)
    for steps, ratio in ((0, 0.1), (5, 0.1), (0, 1.0), (0, 0.0)):
        args = arguments(side, warmup_steps=steps, warmup_ratio=ratio)
        side.value(f"warm-up {steps} {ratio}", [args.get_warmup_steps(n) for n in (7, 100)])


CASES = {
    "messages": messages,
    "random-batches": random_batches,
    "metrics": metrics,
    "without-schema": without_schema,
    "trainer": trainer,
}
