"""What processes pass to each other about the rows of a sharded table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd import Function
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import DTensor, Replicate, Shard
from torch.distributed.tensor.placement_types import Placement


@dataclass(frozen=True)
class Span:
    """Which rows of a table a process holds: neighbouring ones, as many as the others, the last ones fewer.

    Over a mesh of several dimensions those along its last one share a table; the others hold its copies.

    Args:
        rows: of the whole table.
        rank: of this process among those that share the table.
        world: number of them.
        group: them.
        device: where they keep their rows.
    """

    rows: int
    rank: int
    world: int
    group: dist.ProcessGroup
    device: torch.device

    @classmethod
    def of(cls, weight: DTensor) -> Span:
        """The rows of a table sharded over the last dimension of its mesh.

        Raises:
            ValueError: if it is sharded in another way.
        """
        mesh = weight.device_mesh
        if tuple(weight.placements) != placements(mesh):
            raise ValueError(
                f"the table is placed as {tuple(weight.placements)} on a mesh of {mesh.ndim} dimensions, "
                f"expected {placements(mesh)}: shard it by shard_items()"
            )
        return cls.over(mesh, weight.shape[0], weight.device)

    @classmethod
    def over(cls, mesh: DeviceMesh, rows: int, device: torch.device) -> Span:
        """The rows of a table of so many over the last dimension of a mesh."""
        last = mesh.ndim - 1
        return cls(rows, mesh.get_local_rank(last), mesh.size(last), mesh.get_group(last), device)

    @property
    def each(self) -> int:
        """Rows of each process but the last ones."""
        return -(-self.rows // self.world)

    @property
    def start(self) -> int:
        """First row of this process."""
        return min(self.rank * self.each, self.rows)

    @property
    def stop(self) -> int:
        """The row after the last one of this process."""
        return min((self.rank + 1) * self.each, self.rows)

    def holds(self, rows: Tensor) -> Tensor:
        """Which rows this process has: bool, of the same shape."""
        return (rows >= self.start) & (rows < self.stop)

    def shares(self, rows: Tensor) -> list[int]:
        """How many of some rows, which rise, each process has."""
        edges = torch.arange(1, self.world + 1, device=rows.device) * self.each
        ends = torch.searchsorted(rows, edges)
        return cast(list[int], ends.diff(prepend=ends.new_zeros(1)).tolist())

    def counts(self, own: Sequence[int]) -> list[list[int]]:
        """Numbers of each process: as many of each."""
        numbers = torch.tensor(own, device=self.device)
        found = [torch.empty_like(numbers) for _ in range(self.world)]
        dist.all_gather(found, numbers, group=self.group)
        return cast(list[list[int]], torch.stack(found).tolist())

    def gathered(self, rows: Tensor, counts: Sequence[int]) -> Tensor:
        """The rows (n, ...) of all processes, of which each has as many as ``counts`` says: (N, ...)."""
        padded = rows.new_zeros(max(counts), *rows.shape[1:])
        padded[: len(rows)] = rows
        found = [torch.empty_like(padded) for _ in range(self.world)]
        dist.all_gather(found, padded, group=self.group)
        return torch.cat([part[:count] for part, count in zip(found, counts, strict=True)])

    def swapped(self, rows: Tensor, sent: Sequence[int], received: Sequence[int]) -> Tensor:
        """Gives each process its part of some rows (n, ...), and returns what the others gave: (m, ...)."""
        found = rows.new_empty(sum(received), *rows.shape[1:])
        dist.all_to_all_single(found, rows.contiguous(), list(received), list(sent), group=self.group)
        return found

    def summed(self, numbers: Tensor) -> Tensor:
        """Numbers (...) of all processes added up, in place."""
        dist.all_reduce(numbers, group=self.group)
        return numbers


def mesh_of_all(mesh: DeviceMesh | None, caller: str) -> DeviceMesh:
    """The mesh that was given, or one of the default group.

    Args:
        mesh: given or not.
        caller: who asks, for errors.

    Raises:
        RuntimeError: if there is no process group.
        ValueError: if the mesh leaves out processes.
    """
    if not dist.is_initialized():
        raise RuntimeError(
            f"{caller} needs a process group: start the program by torchrun and call init_process_group(), "
            "or give the Trainer strategy=ShardedStrategy()"
        )
    world = dist.get_world_size()
    if mesh is None:
        return init_device_mesh("cuda" if dist.get_backend() == "nccl" else "cpu", (world,))
    if mesh.size() != world:
        raise ValueError(
            f"the mesh has the shape {tuple(mesh.shape)}, expected one over all {world} processes: make "
            "it by init_device_mesh()"
        )
    return mesh


def placements(mesh: DeviceMesh) -> tuple[Placement, ...]:
    """How tables are placed on a mesh: rows along its last dimension, copies along the others."""
    return (*[Replicate()] * (mesh.ndim - 1), Shard(0))


def local(weight: Tensor) -> Tensor:
    """The rows of a sharded tensor that this process holds; gradients arrive at the sharded one.

    Those of the copies along the other dimensions of the mesh are averaged.
    """
    if not isinstance(weight, DTensor):
        raise TypeError(f"the table is a {type(weight).__name__} and not sharded: call shard_items() first")
    mesh, found = weight.device_mesh, weight.to_local()
    if mesh.ndim > 1 and found.requires_grad:
        found = _Averaged.apply(found, mesh)  # type: ignore[no-untyped-call]
    return found


class _Averaged(Function):
    """Passes rows on, and the mean of the gradients that the copies of these rows get."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, mesh: DeviceMesh) -> Tensor:
        ctx.mesh = mesh
        return rows.view_as(rows)

    @staticmethod
    def backward(ctx: Any, *above: Tensor) -> tuple[Tensor | None, ...]:
        mesh = ctx.mesh
        mean = above[0] / (mesh.size() // mesh.size(mesh.ndim - 1))
        for dimension in range(mesh.ndim - 1):
            dist.all_reduce(mean, group=mesh.get_group(dimension))
        return mean, None


def check_rows(rows: Tensor, size: int) -> None:
    """Raises IndexError for a row that is not in a table of so many."""
    if rows.numel():
        smallest, largest = torch.stack(torch.aminmax(rows)).tolist()
        if smallest < 0 or largest >= size:
            wrong = smallest if smallest < 0 else largest
            raise IndexError(f"row {wrong} is outside a table of {size} rows: encode the ids")


def is_sharded(tensor: Tensor) -> bool:
    """Whether a tensor has rows in other processes."""
    return isinstance(tensor, DTensor)
