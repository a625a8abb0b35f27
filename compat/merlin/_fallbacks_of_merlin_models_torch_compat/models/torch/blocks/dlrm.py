"""``merlin.models.torch.blocks.dlrm``: DLRM from a schema."""

from __future__ import annotations

from typing import Any

import torch
from merlin.models._legacy import legacy, served
from merlin.models.torch.batch import Batch
from merlin.models.torch.block import Block
from merlin.models.torch.container import step
from merlin.models.torch.inputs.embedding import EmbeddingTables
from merlin.models.torch.inputs.tabular import TabularInputBlock
from merlin.models.torch.transforms.agg import Stack
from merlin.schema import Tags
from torch import Tensor, nn


@legacy
class DLRMInteraction(nn.Module):
    """The dot product of each pair of vectors."""

    triu_indices: Tensor

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, F, D) to (B, F (F - 1) / 2)."""
        if not hasattr(self, "triu_indices"):
            # 23.12 kept the places of the pairs with the weights.
            count = inputs.shape[1]
            self.register_buffer("triu_indices", torch.triu_indices(count, count, offset=1))
        products = torch.bmm(inputs, inputs.transpose(1, 2))
        return products[:, self.triu_indices[0], self.triu_indices[1]]

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        if f"{prefix}triu_indices" in state_dict and not hasattr(self, "triu_indices"):
            self.register_buffer("triu_indices", torch.zeros_like(state_dict[f"{prefix}triu_indices"]))
        super()._load_from_state_dict(state_dict, prefix, *args)


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
class InteractionBlock(Block):
    """Modules over the vectors in one matrix, and the numbers' vector beside what they give.

    Args:
        *module: the modules.
        name: shown when the block is printed.
        prepend_agg: whether the matrix is made here.
    """

    def __init__(self, *module: nn.Module, name: str | None = None, prepend_agg: bool = True) -> None:
        super().__init__(*((Stack(dim=1), *module) if prepend_agg else module), name=name)

    def forward(self, inputs: Any, batch: Batch | None = None) -> Tensor:
        """(B, D + P) of vectors by name, of which "continuous" is put beside the products."""
        outputs = inputs
        for module in self.values:
            outputs = step(module, outputs, batch)
        if isinstance(inputs, dict) and "continuous" in inputs:
            return torch.cat((inputs["continuous"], outputs), dim=1)
        return outputs  # type: ignore[no-any-return]


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
        super().__init__(DLRMInputBlock(schema, dim, bottom_block))
        self.append(InteractionBlock(interaction or DLRMInteraction()))
        if top_block:
            self.append(top_block)


__getattr__ = served(__name__)
