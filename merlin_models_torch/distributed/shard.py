"""Item tables of a model over several processes, and back in one piece."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor

from merlin_models_torch.distributed.catalogue import ShardedCatalogue
from merlin_models_torch.distributed.exchange import Span, is_sharded, mesh_of_all, placements
from merlin_models_torch.distributed.lookup import ShardedRows
from merlin_models_torch.inputs import EmbeddingTable
from merlin_models_torch.outputs import CategoricalOutput

if TYPE_CHECKING:
    from merlin_models_torch.training.model import Model

M = TypeVar("M", bound="Model")

# What DistributedDataParallel reads: names of the parameters that it neither broadcasts nor averages.
_IGNORED = "_ddp_params_and_buffers_to_ignore"


def shard_items(model: M, mesh: DeviceMesh | None = None, *, domains: Iterable[str] = ()) -> M:
    """Leaves each process only its share of the rows of the item tables, and of the output's item weights.

    Every process keeps its own batches, as with data parallel. A lookup asks the processes that hold the
    rows; the loss and the best items are found on every share and put together. Names in the state dict stay,
    weights become ``DTensor``, and ``DistributedDataParallel`` leaves them alone: their gradients come
    complete. They are dense, also those of tables with ``sparse=True``, and any optimiser of
    :class:`OptimizerConfig` but LBFGS steps the shares as it would the whole. All processes have to call
    this, with the same model; the weights are those of the first. Tables that one host cannot hold are made
    in shares by :func:`sharded_tables`.

    Args:
        model: is changed. Its optimizer has to be made afterwards.
        mesh: over all processes, whose devices the shares are put on. The processes along its last dimension
            share the tables, and those along the others hold copies, of which gradients are averaged: of
            eight processes, ``init_device_mesh("cuda", (2, 4))`` makes two groups of four that exchange rows
            among themselves. All share them if it is not given.
        domains: of further tables to share out, such as "user_id".

    Returns:
        The model.

    Raises:
        RuntimeError: if there is no process group.
        ValueError: if there is nothing to share out, or no such domain, or the mesh does not fit.
        TypeError: if the items are embedded by a module that is no :class:`EmbeddingTable`.

    Example:
        >>> model = shard_items(model)  # in each process, after torch.distributed.init_process_group()
        >>> sharded_names(model)
        ['body.layers.0.tables.item_id.weight']
        >>> model = nn.parallel.DistributedDataParallel(model)
    """
    mesh = mesh_of_all(mesh, "shard_items")
    tables = [*_tables(model, domains)]
    outputs = [module for module in model.output.modules() if isinstance(module, CategoricalOutput)]
    if not tables and not outputs:
        raise ValueError("the model has neither a table of items nor an output that names them: leave it")
    for table in tables:
        _share_out(table, ("weight",), mesh)
        table.sparse = False
        table.elsewhere = ShardedRows(table.weight, padding=0)
    for output in outputs:
        _share_out(output, ("weight", "bias"), mesh)
        output.elsewhere = ShardedCatalogue(output._weight, output.bias, output.normalized)
    setattr(model, _IGNORED, [name for name, p in model.named_parameters() if is_sharded(p)])
    model._carried = ()
    return model


def unshard_items(model: M) -> M:
    """Puts the shares of :func:`shard_items` together again: a model that is saved and loaded anywhere.

    All processes have to call this, and all of them then hold everything.

    Args:
        model: is changed. Its optimizer has to be made afterwards.

    Returns:
        The model.

    Example:
        >>> sharded_names(unshard_items(shard_items(model)))
        []
    """
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if isinstance(parameter, DTensor):
                whole: Tensor = parameter.full_tensor().detach().clone()
                setattr(module, name, nn.Parameter(whole, requires_grad=parameter.requires_grad))
        if isinstance(module, (EmbeddingTable, CategoricalOutput)):
            module.elsewhere = None
        if isinstance(module, EmbeddingTable):
            module.weight.requires_grad_(module.trainable)
    setattr(model, _IGNORED, [])
    model._carried = ()
    return model


def sharded_names(model: nn.Module) -> list[str]:
    """Names of the parameters whose rows are in several processes.

    Args:
        model: any module.

    Returns:
        The names, as in the state dict.

    Example:
        >>> sharded_names(model)
        []
    """
    return [name for name, parameter in model.named_parameters() if is_sharded(parameter)]


def _tables(model: Model, domains: Iterable[str]) -> Iterator[EmbeddingTable]:
    wanted = list(domains)
    found: dict[int, EmbeddingTable] = {}
    for block in model.input_blocks:
        if block.item_id is not None and _has_table(block):
            table = block.item_table
            if not isinstance(table, EmbeddingTable):
                raise TypeError(
                    f"the items are embedded by a {type(table).__name__}, expected an EmbeddingTable: leave "
                    "it out of embeddings="
                )
            found[id(table)] = table
    known = set()
    for module in model.modules():
        if isinstance(module, EmbeddingTable):
            known.update(module.domains)
            if any(domain in module.domains for domain in wanted):
                found[id(module)] = module
    odd = [domain for domain in wanted if domain not in known]
    if odd:
        raise ValueError(f"domains names {odd[0]!r}, but the tables are of {sorted(known)}: check the name")
    yield from found.values()


def _has_table(block: Any) -> bool:
    """Whether the items have learned vectors at all; pretrained and one-hot ones stay where they are."""
    given = block.item_id in block.embeddings
    return not given or isinstance(block.embeddings[block.item_id], nn.Embedding)


def _share_out(module: nn.Module, names: Iterable[str], mesh: DeviceMesh) -> None:
    for name in names:
        parameter: Tensor | None = getattr(module, name)
        if parameter is None or is_sharded(parameter):
            continue
        shared = _sent_out(parameter.detach(), mesh)
        setattr(module, name, nn.Parameter(shared, requires_grad=parameter.requires_grad))


def _sent_out(whole: Tensor, mesh: DeviceMesh) -> DTensor:
    """The first process's tensor by rows; it is never whole on a device, which might not hold it."""
    device, own = torch.device(mesh.device_type), torch.distributed.get_rank()
    span = Span.over(mesh, len(whole), device)
    share = whole[span.start : span.stop].to(device, copy=True)
    first, *others = mesh.mesh.flatten().tolist()
    for place, process in enumerate(others, start=1):
        start = place % span.world * span.each
        part = whole[start : start + span.each]
        if own == first and len(part):
            torch.distributed.send(part.to(device), process)
        elif own == process and len(part):
            torch.distributed.recv(share, first)
    return DTensor.from_local(
        share, mesh, placements(mesh), run_check=False, shape=whole.shape, stride=whole.stride()
    )
