"""Where the ids of several domains stand in one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from merlin_models_torch.schema import Schema

Unknown = int | Literal["last"] | None


@dataclass(frozen=True)
class Span:
    """The rows of one domain.

    Args:
        offset: what is added to an id (but 0, padding) to find its row.
        size: largest id.
        unknown: row for ids outside of the domain, or None where those are an error.
        rows: rows of the domain in all, without padding.
    """

    offset: int
    size: int
    unknown: int | None
    rows: int

    def find(self, ids: Tensor, *, beyond: int) -> Tensor:
        """Rows of some ids, of any shape: 0 for 0; ``beyond``, which is no row, for one that is an error."""
        if self.unknown is None and self.size + 1 == beyond:
            return ids  # The table holds nothing else, so that ids outside are no rows.
        rows = torch.where(ids == 0, ids, ids + self.offset)
        outside = (ids < 0) | (ids > self.size)
        return torch.where(outside, beyond if self.unknown is None else self.unknown, rows)


def spans(schema: Schema, *, unknown: Unknown = None) -> dict[str, Span]:
    """The rows of each domain: row 0 is padding for all, then one domain after the other.

    Args:
        schema: categorical columns; a domain is as large as the largest of its columns needs.
        unknown: id within each domain that stands for those outside, or "last" for a row of its own after
            the domain's.

    Raises:
        ValueError: if the id for unknown ones is not in a domain.
    """
    sizes: dict[str, int] = {}
    for name in schema.column_names:
        domain = schema.domain_name(name)
        sizes[domain] = max(sizes.get(domain, 0), schema.cardinality(name) - 1)
    found: dict[str, Span] = {}
    offset = 0
    for domain, size in sizes.items():
        row, rows = _unknown(domain, offset, size, unknown)
        found[domain] = Span(offset, size, row, rows)
        offset += rows
    return found


def total(layout: Mapping[str, Span]) -> int:
    """Rows of the table, padding included."""
    return 1 + sum(span.rows for span in layout.values())


def _unknown(domain: str, offset: int, size: int, unknown: Unknown) -> tuple[int | None, int]:
    if unknown is None:
        return None, size
    if unknown == "last":
        return offset + size + 1, size + 1
    if isinstance(unknown, bool) or not isinstance(unknown, int) or not 0 < unknown <= size:
        raise ValueError(
            f"unknown is {unknown!r}, expected an id from 1 to {size} of the domain {domain!r}, or 'last' "
            "for a row of its own"
        )
    return offset + unknown, size
