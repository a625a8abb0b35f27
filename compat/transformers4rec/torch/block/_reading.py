"""Which positions of a transformer are read, so that its last layer need not compute the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from torch import Tensor, nn

from merlin_models_torch.blocks.packing import Packing, can_leave_out


class Reader(NamedTuple):
    """Who reads what a transformer gives.

    Args:
        transformer: the model, whose output nobody else gets.
        wanted: (B, T) bool, which positions are read of (B, T, D) inputs of the transformer.
    """

    transformer: nn.Module
    wanted: Callable[[Tensor], Tensor]


_READER: ContextVar[Reader | None] = ContextVar("reader of a transformer", default=None)


@contextmanager
def read_by(reader: Reader | None) -> Iterator[None]:
    """Inside, a transformer may leave 0 where its reader does not look."""
    token = _READER.set(reader)
    try:
        yield
    finally:
        _READER.reset(token)


def packing_of(transformer: nn.Module, inputs: Tensor) -> Packing | None:
    """How the last layer of a transformer leaves out what nobody reads of (B, T, D); None if it cannot."""
    reader = _READER.get()
    if reader is None or reader.transformer is not transformer or not can_leave_out(inputs):
        return None
    wanted = reader.wanted(inputs)
    if wanted.shape != inputs.shape[:2]:
        return None
    packing = Packing(*wanted.shape).narrowed(wanted)
    return None if packing.read is None else packing
