"""``merlin.models.torch.models.ranking``: DLRM and DCN from a schema."""

from __future__ import annotations

from typing import Any

from merlin.models._legacy import legacy
from merlin.models.torch.block import Block, ParallelBlock
from merlin.models.torch.blocks.cross import CrossBlock
from merlin.models.torch.blocks.dlrm import DLRMBlock
from merlin.models.torch.blocks.mlp import MLPBlock
from merlin.models.torch.inputs.tabular import TabularInputBlock
from merlin.models.torch.models.base import Model
from merlin.models.torch.outputs.tabular import TabularOutputBlock
from merlin.models.torch.transforms.agg import Concat, MaybeAgg
from torch import nn


@legacy
class DLRMModel(Model):
    """DLRM (Naumov et al. 2019).

    Args:
        schema: the columns and targets.
        dim: width of the embeddings.
        bottom_block: from the numbers to this width.
        top_block: what follows the products.
        interaction: of (B, F, D) to (B, P); all dot products if not given.
        output_block: by the schema's targets if not given.
    """

    def __init__(
        self,
        schema: Any,
        dim: int,
        bottom_block: nn.Module,
        top_block: nn.Module | None = None,
        interaction: nn.Module | None = None,
        output_block: nn.Module | None = None,
    ) -> None:
        super().__init__(
            DLRMBlock(schema, dim, bottom_block, top_block=top_block, interaction=interaction),
            output_block or TabularOutputBlock(schema, init="defaults"),
        )


@legacy
class DCNModel(Model):
    """DCN-v2 (Wang et al. 2021).

    Args:
        schema: the columns and targets.
        depth: cross layers.
        deep_block: the deep part; an MLP of 512 and 256 units if not given.
        stacked: whether the deep part follows the cross layers, or stands beside them.
        input_block: embeddings and numbers if not given.
        output_block: by the schema's targets if not given.
    """

    def __init__(
        self,
        schema: Any,
        depth: int = 1,
        deep_block: nn.Module | None = None,
        stacked: bool = True,
        input_block: nn.Module | None = None,
        output_block: nn.Module | None = None,
    ) -> None:
        deep = deep_block or MLPBlock([512, 256])
        cross = CrossBlock.with_depth(depth)
        both: list[nn.Module] = (
            [cross, deep] if stacked else [ParallelBlock({"cross": cross, "deep": deep}), MaybeAgg(Concat())]
        )
        super().__init__(
            input_block or TabularInputBlock(schema, init="defaults"),
            *Block(*both),
            output_block or TabularOutputBlock(schema, init="defaults"),
        )
