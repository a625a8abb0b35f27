"""``merlin.models.torch.blocks.dlrm``: DLRM from a schema."""

from __future__ import annotations

from typing import Any

from merlin.models._legacy import legacy, served
from merlin.models.torch.block import Block
from merlin.models.torch.inputs.embedding import EmbeddingTables
from merlin.models.torch.inputs.tabular import TabularInputBlock
from torch import nn

from merlin_models_torch import blocks as core
from merlin_models_torch.schema import Tags


@legacy
class DLRMInteraction(core.DotInteraction):
    """The dot product of each pair of vectors."""

    def __init__(self) -> None:
        super().__init__()


@legacy
class DLRMInputBlock(TabularInputBlock):
    """Embeddings of one width, and a tower for the numbers.

    Args:
        schema: the columns.
        dim: width of the embeddings and of what the tower gives.
        bottom_block: the tower.
    """

    def __init__(self, schema: Any, dim: int, bottom_block: nn.Module) -> None:
        super().__init__(schema)
        self.add_route(Tags.CATEGORICAL, EmbeddingTables(dim, seq_combiner="mean"))
        self.add_route(Tags.CONTINUOUS, bottom_block, required=False)


@legacy
class DLRMBlock(Block):
    """Embeddings and numbers, their pairwise products beside the numbers' vector, and a top block.

    Args:
        schema: the columns.
        dim: width of the embeddings and of the bottom block's output.
        bottom_block: from the numbers to this width.
        top_block: what follows the products.
        interaction: of (B, F, D) to (B, P); all dot products if not given.

    Raises:
        ValueError: if the schema has no categorical column.
    """

    def __init__(
        self,
        schema: Any,
        dim: int,
        bottom_block: nn.Module,
        top_block: nn.Module | None = None,
        interaction: nn.Module | None = None,
    ) -> None:
        super().__init__(DLRMInputBlock(schema, dim, bottom_block), core.DLRMBlock(interaction=interaction))
        if top_block is not None:
            self.append(top_block)


__getattr__ = served(__name__)
