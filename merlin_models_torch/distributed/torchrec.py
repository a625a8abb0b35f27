"""Item tables whose rows torchrec looks up and learns, by the optimiser inside its kernels.

Torchrec is no dependency: it is imported when :func:`use_torchrec` is called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, Shard

from merlin_models_torch.distributed.catalogue import ShardedCatalogue
from merlin_models_torch.distributed.exchange import Span, check_rows, is_sharded, local
from merlin_models_torch.inputs import EmbeddingTable
from merlin_models_torch.outputs import CategoricalOutput, ContrastiveOutput
from merlin_models_torch.outputs.categorical import unit

if TYPE_CHECKING:
    from merlin_models_torch.training.model import Model

M = TypeVar("M", bound="Model")
_NAME = "rows"


def use_torchrec(model: M, fused: Mapping[str, Any] | None = None) -> M:
    """Gives the tables that :func:`shard_items` has shared out to torchrec, by rows as they are.

    Lookups become those of a row-wise ``ShardedEmbeddingCollection``. The rows looked up learn during the
    backward pass, so nothing as large as a share is made for their gradients, and neither the model's
    optimiser, nor its schedule, clipping of gradients or ``accumulate_grad_batches`` reach them. A step that
    looks rows up several times (input, target, negatives) updates them as many times; with SGD that is the
    same. The best items, checkpoints of weights and :func:`unshard_items` work as without torchrec; the state
    of torchrec's optimiser is in no checkpoint.

    Args:
        model: with shared-out tables; is changed. Its optimizer has to be made afterwards.
        fused: torchrec's ``fused_params``: "optimizer" (an ``EmbOptimType``), "learning_rate", "eps" and so
            on; its own defaults if not given.

    Returns:
        The model.

    Raises:
        ImportError: if torchrec is missing.
        ValueError: if no table is shared out, or there are copies of shares, or an output learns from all
            items at each step.

    Example:
        >>> from fbgemm_gpu.split_embedding_configs import EmbOptimType
        >>> output = mm.ContrastiveOutput(negatives=mm.UniformNegatives(4), weight_tying=True)
        >>> model = shard_items(mm.Model(model.inputs, mm.GRUBlock(8), output))
        >>> model = use_torchrec(model, {"optimizer": EmbOptimType.EXACT_SGD, "learning_rate": 0.05})
        >>> len(torchrec_optimizers(model))
        1
    """
    tables = [
        module
        for module in model.modules()
        if isinstance(module, EmbeddingTable) and is_sharded(module.weight)
    ]
    if not tables:
        raise ValueError("no table of the model is shared out: call shard_items(model) first")
    shape = tuple(cast(DTensor, tables[0].weight).device_mesh.shape)
    if len(shape) > 1:
        raise ValueError(
            f"the tables are on a mesh of the shape {shape}, and torchrec's kernels do not average what "
            "copies of a share learn: shard them on one dimension"
        )
    outputs = [
        module
        for module in model.modules()
        if isinstance(module, CategoricalOutput) and any(table in module._tied for table in tables)
    ]
    if any(not isinstance(output, ContrastiveOutput) for output in outputs):
        raise ValueError(
            "CategoricalOutput(weight_tying=True) gives every row a gradient, which torchrec's kernels do "
            "not take: use ContrastiveOutput, or an output with weights of its own"
        )
    for table in tables:
        store = _given_away(table, fused or {})
        for output in outputs:
            if table in output._tied:
                output.elsewhere = TorchrecCatalogue(table.weight, output.bias, output.normalized, store)
    return model


@dataclass(frozen=True)
class TorchrecRows:
    """A table of which each process holds some rows, looked up and learned by torchrec.

    Args:
        weight: (V, D) ``DTensor`` with placement ``Shard(0)``, on the memory of torchrec's share.
        collection: a ``ShardedEmbeddingCollection`` of one table.
        padding: a row that learns nothing by being looked up; None for no such row.
    """

    weight: Tensor
    collection: nn.Module
    padding: int | None = None

    def lookup(self, rows: Tensor) -> Tensor:
        """(..., D) vectors of (...) int64 rows; all processes have to ask at the same time.

        Raises:
            IndexError: if a row is not in the table.
        """
        from torchrec import KeyedJaggedTensor  # type: ignore[import-not-found, unused-ignore]

        check_rows(rows, self.weight.shape[0])
        # Its exchange fails where a process asks for nothing, so that it asks for one row then.
        asked = rows.reshape(-1) if rows.numel() else rows.new_zeros(1)
        lengths = torch.ones(len(asked), dtype=torch.int32, device=asked.device)
        found = self.collection(KeyedJaggedTensor(keys=[_NAME], values=asked, lengths=lengths))
        vectors: Tensor = found.wait()[_NAME].values()[: rows.numel()].view(*rows.shape, self.weight.shape[1])
        if self.padding is not None:
            vectors = vectors.masked_fill((rows == self.padding).unsqueeze(-1), 0)
        return vectors


@dataclass(frozen=True)
class TorchrecCatalogue(ShardedCatalogue):
    """Item vectors that torchrec looks up and learns; the best items are found on its shares.

    Args:
        weight: see :class:`ShardedCatalogue`.
        bias: see there; learned by the model's optimiser.
        normalized: see there.
        rows: what looks them up.
    """

    rows: TorchrecRows | None = None

    def lookup(self, rows: Tensor) -> Tensor:
        """(..., D) vectors of (...) int64 items."""
        if self.rows is None:
            return super().lookup(rows)
        found = self.rows.lookup(rows)
        return unit(found) if self.normalized else found

    def loss(
        self, queries: Tensor, targets: Tensor, *, temperature: float = 1.0, label_smoothing: float = 0.0
    ) -> Tensor:
        """The softmax over all items, where it is only measured.

        Raises:
            RuntimeError: if gradients are wanted.
        """
        if torch.is_grad_enabled() and queries.requires_grad:
            raise RuntimeError(
                "torchrec's kernels take no gradient for every row: train with negatives, by "
                "ContrastiveOutput"
            )
        return super().loss(queries, targets, temperature=temperature, label_smoothing=label_smoothing)


def _given_away(table: EmbeddingTable, fused: Mapping[str, Any]) -> TorchrecRows:
    """Makes torchrec's share of a table, with its weights, and puts it in the table's place."""
    weight = cast(DTensor, table.weight)
    span, own = Span.of(weight), local(weight).detach()
    collection = _collection(table.num_embeddings, table.embedding_dim, span, fused)
    held = collection.state_dict()[f"embeddings.{_NAME}.weight"].local_shards()
    share = held[0].tensor if held else own
    with torch.no_grad():
        if tuple(share.shape) != tuple(own.shape):
            raise ValueError(f"torchrec holds {tuple(share.shape)} where {tuple(own.shape)} was expected")
        share.copy_(own)
    shared = DTensor.from_local(
        share, weight.device_mesh, [Shard(0)], run_check=False, shape=weight.shape, stride=weight.stride()
    )
    # It learns in torchrec's kernels; no optimiser of the model may touch it.
    table.weight = nn.Parameter(shared, requires_grad=False)
    store = TorchrecRows(table.weight, collection, padding=0)
    table.elsewhere = store
    return store


def _collection(rows: int, width: int, span: Span, fused: Mapping[str, Any]) -> nn.Module:
    try:
        from torchrec import (  # type: ignore[import-not-found, unused-ignore]
            EmbeddingCollection,
            EmbeddingConfig,
        )
        from torchrec.distributed.embedding import (  # type: ignore[import-not-found, unused-ignore]
            EmbeddingCollectionSharder,
        )
        from torchrec.distributed.sharding_plan import (  # type: ignore[import-not-found, unused-ignore]
            construct_module_sharding_plan,
            row_wise,
        )
        from torchrec.distributed.types import (  # type: ignore[import-not-found, unused-ignore]
            ShardingEnv,
        )
    except ImportError as error:
        raise ImportError(
            "use_torchrec needs torchrec and the fbgemm-gpu that fits this torch: install both, see "
            "migration_guides/scale.md"
        ) from error
    config = EmbeddingConfig(name=_NAME, embedding_dim=width, num_embeddings=rows, feature_names=[_NAME])
    whole = EmbeddingCollection(tables=[config], device=torch.device("meta"))
    sharder = EmbeddingCollectionSharder(fused_params=dict(fused))
    plan = construct_module_sharding_plan(
        whole,
        {_NAME: row_wise(compute_kernel="fused")},
        sharder=sharder,
        local_size=span.world,
        world_size=span.world,
        device_type=span.device.type,
    )
    made: nn.Module = sharder.shard(whole, plan, ShardingEnv.from_process_group(span.group), span.device)
    return made


def torchrec_optimizers(model: Model) -> Sequence[Any]:
    """Torchrec's optimisers of the tables that :func:`use_torchrec` gave it, for rates that change.

    Args:
        model: whose tables torchrec has.

    Returns:
        One for each table.

    Example:
        >>> torchrec_optimizers(model)  # of a model without such tables
        []
    """
    stores = [m.elsewhere for m in model.modules() if isinstance(m, EmbeddingTable)]
    return [cast(Any, s.collection).fused_optimizer for s in stores if isinstance(s, TorchrecRows)]
