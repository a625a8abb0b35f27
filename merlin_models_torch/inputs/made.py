"""How the rows of a new table come to be, where a process makes only some of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

from torch import Tensor, nn

from merlin_models_torch.schema import Schema

if TYPE_CHECKING:
    from merlin_models_torch.outputs.catalogue import RowStore

Draw = Callable[[Tensor], object]
"""Fills a piece (n,) of new weights with random numbers, in place, from torch's generator."""


class RowMaker(Protocol):
    """Makes the tables of which a process keeps some rows: see :func:`distributed.sharded_tables`."""

    def shares(self, schema: Schema) -> bool:
        """Whether the table of some columns is one of them."""

    def made(
        self,
        rows: int,
        width: int,
        draws: Sequence[tuple[int, Draw]],
        given: Sequence[tuple[int, Tensor]] = (),
    ) -> nn.Parameter:
        """The weights of a table.

        Args:
            rows: of the whole table.
            width: of its vectors.
            draws: what fills the rows from some row on, one draw after the other, each with all its numbers.
            given: matrices (n, D) that stand from some row on afterwards.
        """

    def store(self, weight: nn.Parameter) -> RowStore:
        """What looks up the rows of such a table; row 0 is padding."""


# Like torch.device as a context: said once around what makes a model, and heard where its tables are made.
ROW_MAKER: ContextVar[RowMaker | None] = ContextVar("ROW_MAKER", default=None)
