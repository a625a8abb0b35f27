"""Models whose shared-out tables are never whole in any process, not even while they are made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor

from merlin_models_torch.distributed.exchange import Span, mesh_of_all, placements
from merlin_models_torch.distributed.lookup import ShardedRows
from merlin_models_torch.inputs.made import ROW_MAKER, Draw
from merlin_models_torch.schema import Schema, Tags

# Numbers drawn at a time. The normal generator of the CPU goes in steps of 16 and draws the last 16 of a call
# anew where it is no multiple of them, so that pieces are multiples and only the last piece is not.
_PIECE = 2**20
_STEP = 16


@contextmanager
def sharded_tables(mesh: DeviceMesh | None = None, *, domains: Iterable[str] = ()) -> Iterator[None]:
    """Around what makes or loads a model: its item tables, and item weights of the output, come in shares.

    Every process draws all random numbers, some at a time, and keeps those of its own rows: after the same
    ``torch.manual_seed`` in all of them the model is the one that would have been made without this, and no
    process holds more than its rows. Of a saved model (:func:`load`) each process reads its rows alone, but
    for the checksum of the file, which it goes through in small pieces. Call :func:`shard_items` afterwards,
    or use :class:`ShardedStrategy`; both leave what is shared out as it is. All processes make the model
    together.

    Args:
        mesh: see :func:`shard_items`.
        domains: see :func:`shard_items`; the same there.

    Raises:
        RuntimeError: if there is no process group.
        ValueError: if the mesh leaves out processes.

    Example:
        >>> with sharded_tables():  # in each process, after torch.distributed.init_process_group()
        ...     model = mm.SessionModel(files, dim=8, layers=1)
        >>> model = shard_items(model)
        >>> model.is_sharded
        True
    """
    token = ROW_MAKER.set(_ShareMaker(mesh_of_all(mesh, "sharded_tables"), tuple(domains)))
    try:
        yield
    finally:
        ROW_MAKER.reset(token)


class _ShareMaker:
    """Makes the rows of this process."""

    def __init__(self, mesh: DeviceMesh, domains: tuple[str, ...]) -> None:
        self._mesh = mesh
        self._domains = domains

    def shares(self, schema: Schema) -> bool:
        names = [schema.domain_name(column.name) for column in schema]
        return bool(len(schema.select(Tags.ITEM_ID))) or any(name in self._domains for name in names)

    def made(
        self,
        rows: int,
        width: int,
        draws: Sequence[tuple[int, Draw]],
        given: Sequence[tuple[int, Tensor]] = (),
    ) -> nn.Parameter:
        device = torch.device(self._mesh.device_type)
        span = Span.over(self._mesh, rows, device)
        own = torch.empty(span.stop - span.start, width)
        for first, draw in draws:
            _keep(own.view(-1), span.start * width, rows * width, first * width, draw)
        for first, matrix in given:
            start, stop = max(first, span.start), min(first + len(matrix), span.stop)
            if start < stop:
                own[start - span.start : stop - span.start] = matrix[start - first : stop - first]
        share = own.to(device)
        shape, stride = torch.Size((rows, width)), (width, 1)
        placed = placements(self._mesh)
        return nn.Parameter(
            DTensor.from_local(share, self._mesh, placed, run_check=False, shape=shape, stride=stride)
        )

    def store(self, weight: nn.Parameter) -> ShardedRows:
        return ShardedRows(weight, padding=0)


def _keep(own: Tensor, own_start: int, stop: int, start: int, draw: Draw) -> None:
    """Draws the numbers from one place to another, and keeps those that are this process's."""
    while start < stop:
        left = stop - start
        size = left if left < _PIECE + _STEP else _PIECE
        piece = own.new_empty(size)
        draw(piece)
        first, last = max(start, own_start), min(start + size, own_start + len(own))
        if first < last:
            own[first - own_start : last - own_start] = piece[first - start : last - start]
        start += size
