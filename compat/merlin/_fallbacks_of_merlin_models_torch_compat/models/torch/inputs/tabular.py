"""``merlin.models.torch.inputs.tabular``: a router of the columns that a model reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from merlin.models._legacy import legacy, served
from merlin.models.torch.block import aggregation
from merlin.models.torch.inputs.embedding import EmbeddingTables
from merlin.models.torch.router import RouterBlock
from torch import nn
from transformers4rec._registry import Registry

from merlin_models_torch.inputs import BroadcastToSequence as CoreBroadcast
from merlin_models_torch.schema import Schema, Tags

Initializer = Callable[["TabularInputBlock"], Any]


@legacy
class TabularInputBlock(RouterBlock):
    """A router with a way to fill it.

    Args:
        schema: the columns; given later by the block that it is put in if None.
        init: function of the block that adds its routes, or the name of one: "defaults" gives numbers as they
            are and lists as the mean of their embeddings.
        agg: what follows the routes: a module, "concat", "stack" or "element-wise-sum".
    """

    initializers: ClassVar[Registry] = Registry("input-initializers")

    def __init__(
        self, schema: Any = None, init: str | Initializer | None = None, agg: str | nn.Module | None = None
    ) -> None:
        self._init = init
        super().__init__(schema)
        if agg:
            self.append(aggregation(agg))

    def initialize_from_schema(self, schema: Any) -> None:
        """Sets the columns, and adds the routes."""
        super().initialize_from_schema(schema)
        fill: Any = self.initializers.parse(self._init)
        if fill:
            fill(self)

    @classmethod
    def register_init(cls, name: str) -> Any:
        """As decorator of a function: ``init=name`` calls it."""
        return cls.initializers.register(name)


@TabularInputBlock.register_init("defaults")
def defaults(block: TabularInputBlock, seq_combiner: Any = "mean") -> None:
    """Numbers as they are; embeddings of ids, their mean for a list."""
    block.add_route(Tags.CONTINUOUS, required=False)
    block.add_route(Tags.CATEGORICAL, EmbeddingTables(seq_combiner=seq_combiner))


@TabularInputBlock.register_init("defaults-no-combiner")
def defaults_no_combiner(block: TabularInputBlock) -> None:
    """As :func:`defaults`, lists staying lists."""
    defaults(block, seq_combiner=None)


@TabularInputBlock.register_init("broadcast-context")
def defaults_broadcast_to_seq(
    block: TabularInputBlock,
    seq_selection: Any = Tags.SEQUENCE,
    feature_selection: Any = (Tags.CATEGORICAL, Tags.CONTINUOUS),
) -> None:
    """The columns without positions repeated at each position of the others."""
    context = context_of(block.schema, seq_selection, feature_selection)
    block.add_route(context, TabularInputBlock(init="defaults"), name="context")
    block.add_route(seq_selection, TabularInputBlock(init="defaults-no-combiner"), name="sequence")
    block.append(CoreBroadcast(context.column_names))


@legacy
def stack_context(
    model_dim: int,
    seq_selection: Any = Tags.SEQUENCE,
    projection_activation: Any = None,
    feature_selection: Any = (Tags.CATEGORICAL, Tags.CONTINUOUS),
) -> Initializer:
    """A way to fill an input block: each column of the context as one vector, beside the sequence.

    Args:
        model_dim: width of these vectors.
        seq_selection: the sequence.
        projection_activation: after the projection to this width.
        feature_selection: what is a feature.
    """

    def fill(block: TabularInputBlock) -> None:
        from merlin.models.torch.blocks.mlp import MLPBlock
        from merlin.models.torch.transforms.agg import Concat, Stack

        columns = context_of(block.schema, seq_selection, feature_selection)
        context = TabularInputBlock(columns)
        context.add_route(Tags.CATEGORICAL, EmbeddingTables())
        context.add_route(
            Tags.CONTINUOUS, MLPBlock([model_dim], activation=projection_activation), required=False
        )
        tables: Any = context["categorical"]
        tables[-1].append_for_each(_Projected(model_dim, projection_activation))
        context.append(Stack(dim=1))
        block.add_route(columns, context, name="context")
        block.add_route(
            seq_selection,
            TabularInputBlock(init="defaults-no-combiner", agg=Concat(dim=2)),
            name="sequence",
        )

    return fill


class _Projected(nn.Module):
    """One layer over a table's vectors by name of their columns."""

    def __init__(self, dim: int, activation: Any) -> None:
        from merlin.models.torch.blocks.mlp import MLPBlock

        super().__init__()
        self.layer = MLPBlock([dim], activation=activation)

    def forward(self, vectors: dict[str, Any]) -> dict[str, Any]:
        """The vectors projected."""
        return {name: self.layer(vector) for name, vector in vectors.items()}


def context_of(schema: Schema, seq_selection: Any, feature_selection: Any) -> Schema:
    """The features that are not part of the sequence."""
    sequence = schema.select(seq_selection)
    return schema.select(list(feature_selection)).excluding_by_name(sequence.column_names)


__getattr__ = served(__name__)
