"""How large a column is: rows first, then what one row holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Dimension:
    """The sizes that one dimension can have.

    Args:
        min: smallest size.
        max: largest size, None if not known.

    Raises:
        ValueError: if a size is negative, or the smallest above the largest.

    Example:
        >>> mm.schema.Dimension(2, 20)
        Dimension(min=2, max=20)
        >>> mm.schema.Dimension(5, 5).is_fixed, mm.schema.Dimension(0, None).is_fixed
        (True, False)
    """

    min: int = 0
    max: int | None = None

    def __post_init__(self) -> None:
        if not _whole(self.min) or self.min < 0:
            raise ValueError(
                f"the smallest size of a dimension is a whole number of 0 or more, not {self.min!r}"
            )
        if self.max is not None and (not _whole(self.max) or self.max < self.min):
            raise ValueError(
                f"the largest size of a dimension is None or a whole number of {self.min} (its smallest "
                f"size) or more, not {self.max!r}"
            )

    @property
    def is_bounded(self) -> bool:
        """Whether a largest size is known."""
        return self.max is not None

    @property
    def is_fixed(self) -> bool:
        """Whether there is only one size."""
        return self.min == self.max

    @property
    def is_variable(self) -> bool:
        """Whether sizes differ."""
        return not self.is_fixed

    @property
    def is_unknown(self) -> bool:
        """Whether nothing is known."""
        return self.min == 0 and self.max is None


DimensionLike = Dimension | int | tuple[int, "int | None"] | None
"""A size, (smallest, largest), or None where nothing is known."""


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _dimension(value: object) -> Dimension:
    if isinstance(value, Dimension):
        return value
    if value is None:
        return Dimension()
    if _whole(value):
        return Dimension(value, value)  # type: ignore[arg-type]
    if isinstance(value, (tuple, list)) and len(value) == 2:
        return Dimension(value[0], value[1])
    raise ValueError(
        f"a dimension is None, a whole number or a pair (smallest, largest), not {value!r}: "
        "write (None, (2, 20)) for lists of 2 to 20"
    )


class Shape:
    """The dimensions of a column, rows first; two are a list column. Unknown ones equal any other.

    Args:
        dims: one entry a dimension, None if nothing is known: ``(None, (2, 20))`` are lists of 2 to 20.

    Example:
        >>> lists = mm.schema.Shape((None, (2, 20)))
        >>> lists.is_list, lists.is_ragged
        (True, True)
        >>> lists[1]
        Dimension(min=2, max=20)
    """

    __slots__ = ("dims",)

    dims: tuple[Dimension, ...] | None

    def __init__(self, dims: Sequence[DimensionLike] | Shape | None = None) -> None:
        if isinstance(dims, Shape):
            self.dims = dims.dims
        else:
            self.dims = None if dims is None else tuple(_dimension(dim) for dim in dims)

    @property
    def is_list(self) -> bool:
        """Whether one row holds several values."""
        return self.dims is not None and len(self.dims) > 1

    @property
    def is_ragged(self) -> bool:
        """Whether rows hold different numbers of values."""
        return self.dims is not None and any(dim.is_variable for dim in self.dims[1:])

    @property
    def is_unknown(self) -> bool:
        """Whether nothing is known."""
        return self.dims is None

    @property
    def is_fixed(self) -> bool:
        """Whether each dimension has one size."""
        return self.dims is not None and all(dim.is_fixed for dim in self.dims)

    @property
    def is_variable(self) -> bool:
        """Whether sizes differ, or are not known."""
        return not self.is_fixed

    @property
    def is_bounded(self) -> bool:
        """Whether a largest size of each dimension is known."""
        return self.dims is not None and all(dim.is_bounded for dim in self.dims)

    @property
    def min(self) -> tuple[int, ...]:
        """The smallest size of each dimension."""
        return tuple(dim.min for dim in self)

    @property
    def max(self) -> tuple[int | None, ...]:
        """The largest size of each dimension, None where it is not known."""
        return tuple(dim.max for dim in self)

    def with_dim(self, index: int, value: DimensionLike) -> Shape:
        """The same dimensions, one replaced.

        Raises:
            IndexError: if there is none at ``index``.
        """
        dims: list[DimensionLike] = list(self)
        dims[index] = value
        return Shape(dims)

    def with_dim_min(self, index: int, value: int) -> Shape:
        """The same dimensions, one with another smallest size."""
        return self.with_dim(index, (value, self[index].max))

    def with_dim_max(self, index: int, value: int | None) -> Shape:
        """The same dimensions, one with another largest size."""
        return self.with_dim(index, (self[index].min, value))

    @property
    def as_tuple(self) -> tuple[int | tuple[int, int | None] | None, ...] | None:
        """Plain numbers: a size, or (smallest, largest) where they differ."""
        if not self.dims:
            return None
        return tuple(dim.max if dim.is_fixed else (dim.min, dim.max) for dim in self.dims)

    def __iter__(self) -> Iterator[Dimension]:
        return iter(self.dims or ())

    def __getitem__(self, index: int) -> Dimension:
        return (self.dims or ())[index]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Shape):
            return NotImplemented
        return self.dims is None or other.dims is None or self.dims == other.dims

    def __hash__(self) -> int:
        """One for all: an unknown shape equals every other."""
        return hash(Shape)

    def __repr__(self) -> str:
        return f"Shape({self.as_tuple})"
