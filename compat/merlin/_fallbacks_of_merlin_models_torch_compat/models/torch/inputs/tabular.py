"""``merlin.models.torch.inputs.tabular``: a router of the columns that a model reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from merlin.models._legacy import legacy, served
from merlin.models.torch.block import Block
from merlin.models.torch.inputs.embedding import EmbeddingTables
from merlin.models.torch.router import RouterBlock
from merlin.models.torch.schema import select, select_union
from merlin.models.torch.transforms.sequences import BroadcastToSequence
from merlin.models.utils.registry import Registry
from merlin.schema import Tags
from torch import nn

Initializer = Callable[["TabularInputBlock"], Any]
FEATURES = (Tags.CATEGORICAL, Tags.CONTINUOUS)


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
        # A plain attribute, which may be there before nn.Module's own.
        object.__setattr__(self, "init", init)
        super().__init__(schema)
        if agg:
            self.append(Block.parse(agg))

    def initialize_from_schema(self, schema: Any) -> None:
        """Sets the columns, and adds the routes.

        Raises:
            ValueError: if there is no way of that name.
        """
        super().initialize_from_schema(schema)
        self.schema = self.selectable.schema
        self.init = known(self.initializers, self.init)
        if self.init:
            self.init(self)

    @classmethod
    def register_init(cls, name: str) -> Any:
        """As decorator of a function: ``init=name`` calls it."""
        return cls.initializers.register(name)


def known(initializers: Registry, init: Any) -> Any:
    """The function of a name, or the function itself.

    Raises:
        ValueError: if there is none of that name.
    """
    if isinstance(init, str) and init not in initializers:
        raise ValueError(f"init is {init!r}, expected one of {sorted(initializers)} or a function")
    return initializers.parse(init)


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
    block: TabularInputBlock, seq_selection: Any = Tags.SEQUENCE, feature_selection: Any = FEATURES
) -> None:
    """The columns without positions repeated at each position of the others."""
    context = _not_seq(seq_selection, feature_selection)
    block.add_route(context, TabularInputBlock(init="defaults"), name="context")
    block.add_route(seq_selection, TabularInputBlock(init="defaults-no-combiner"), name="sequence")
    block.append(BroadcastToSequence(context, seq_selection, block.schema))


@legacy
def stack_context(
    model_dim: int,
    seq_selection: Any = Tags.SEQUENCE,
    projection_activation: Any = None,
    feature_selection: Any = FEATURES,
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

        def projection() -> MLPBlock:
            return MLPBlock([model_dim], activation=projection_activation)

        context = TabularInputBlock(select(block.schema, _not_seq(seq_selection, feature_selection)))
        context.add_route(Tags.CATEGORICAL, EmbeddingTables(seq_combiner=None))
        context.add_route(Tags.CONTINUOUS, projection())
        context["categorical"].append_for_each(projection())
        context.append(Stack(dim=1))
        block.add_route(context.schema, context, name="context")
        block.add_route(
            seq_selection,
            TabularInputBlock(init="defaults-no-combiner", agg=Concat(dim=2)),
            name="sequence",
        )

    return fill


def _not_seq(seq_selection: Any, feature_selection: Any = FEATURES) -> Any:
    sequences = seq_selection if isinstance(seq_selection, (tuple, list)) else (seq_selection,)

    def select_non_seq(schema: Any) -> Any:
        return select_union(*feature_selection)(schema) - select_union(*sequences)(schema)

    return select_non_seq


__getattr__ = served(__name__)
