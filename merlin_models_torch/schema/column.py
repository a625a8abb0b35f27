"""What is known of one column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from merlin_models_torch.schema.dtypes import UNKNOWN, DType, dtype
from merlin_models_torch.schema.shape import Dimension, DimensionLike, Shape
from merlin_models_torch.schema.tags import Tag, TagSet


@dataclass(frozen=True)
class Domain:
    """The values that a column has, or how many a row of it has.

    Args:
        min: smallest, None if not known.
        max: largest, None if not known.
        name: columns whose domains have the same name share their values (and an embedding table).

    Example:
        >>> column = mm.ColumnSchema("age", properties={"domain": {"min": 18, "max": 99}}, dtype="int64")
        >>> column.int_domain
        Domain(min=18, max=99, name=None)
    """

    min: int | float | None = None
    max: int | float | None = None
    name: str | None = None

    @property
    def is_bounded(self) -> bool:
        """Whether both ends are known."""
        return self.min is not None and self.max is not None


@dataclass(frozen=True, init=False, eq=True)
class ColumnSchema:
    """Name, tags, type, shape and further properties of a column. Never changed: ``with_...`` give a new one.

    Args:
        name: of the column.
        tags: what it is, see :class:`Tags`.
        properties: anything that JSON can hold. ``domain`` is ``{"min", "max", "name"}`` of the values;
            ``value_count`` is ``{"min", "max"}`` of the values in a row and makes a list column.
        dtype: of the values, see :func:`dtype`.
        is_list: whether a row holds several values; told by the shape where that is known.
        is_ragged: whether rows hold different numbers of values; told by the shape where that is known.
        dims: the shape, rows first: ``(None, (2, 20))`` are lists of 2 to 20 values.

    Raises:
        ValueError: if tags collide, or list, ragged and value count contradict each other.
        TypeError: if the dtype is not known.

    Example:
        >>> domain = {"domain": {"min": 0, "max": 9}}
        >>> column = mm.ColumnSchema("item_id", [mm.Tags.ITEM_ID], domain, "int64", is_list=True)
        >>> column.int_domain.max, column.is_ragged, mm.Tags.ITEM in column.tags
        (9, True, True)
    """

    name: str
    tags: TagSet
    properties: dict[str, Any]
    dtype: DType
    is_list: bool
    is_ragged: bool

    def __init__(
        self,
        name: str,
        tags: Tag | Iterable[Tag] | TagSet | None = None,
        properties: Mapping[str, Any] | None = None,
        dtype: object = None,
        is_list: bool | None = None,
        is_ragged: bool | None = None,
        dims: Sequence[DimensionLike] | Shape | None = None,
    ) -> None:
        try:
            tag_set = TagSet(tags)
        except ValueError as error:
            raise ValueError(f"column {name!r}: {error}") from None
        copied = {
            key: dict(value) if isinstance(value, dict) else value
            for key, value in (properties or {}).items()
        }
        shape = _shape(name, copied.get("value_count") or {}, is_list, is_ragged, dims)
        if shape.dims is not None and shape.is_list:
            copied["value_count"] = {"min": shape.dims[1].min, "max": shape.dims[1].max}
        # Frozen dataclasses are filled this way; everything else goes through __init__.
        for key, value in {
            "name": name,
            "tags": tag_set,
            "properties": copied,
            "dtype": _dtype(name, dtype).with_shape(shape),
            "is_list": shape.is_list,
            "is_ragged": shape.is_ragged,
        }.items():
            object.__setattr__(self, key, value)

    @property
    def shape(self) -> Shape:
        """Rows, then what a row holds."""
        return self.dtype.shape

    @property
    def dims(self) -> tuple[Any, ...] | None:
        """The shape in plain numbers, None if not known."""
        return self.shape.as_tuple

    @property
    def int_domain(self) -> Domain | None:
        """The whole numbers that the column has, None if they are not known or it has others."""
        return self._domain() if self.dtype.is_integer else None

    @property
    def float_domain(self) -> Domain | None:
        """The floating-point numbers that the column has, None if they are not known or it has others."""
        return self._domain() if self.dtype.is_float else None

    @property
    def value_count(self) -> Domain | None:
        """How many values a row has, None if the column is no list."""
        counts = self.properties.get("value_count")
        return Domain(counts.get("min"), counts.get("max")) if counts else None

    def with_name(self, name: str) -> ColumnSchema:
        """The same column under another name."""
        return self._replaced(name=name)

    def with_tags(self, tags: Tag | Iterable[Tag] | TagSet) -> ColumnSchema:
        """The same column with these tags added; tags that they exclude go."""
        return self._replaced(tags=self.tags.override(tags))

    def with_properties(self, properties: Mapping[str, Any]) -> ColumnSchema:
        """The same column with these properties added or replaced; a value count changes the shape.

        Raises:
            TypeError: if they are no mapping.
        """
        if not isinstance(properties, Mapping):
            raise TypeError(
                f"properties of column {self.name!r} are a dict such as {{'key': 1}}, "
                f"not {type(properties).__name__}"
            )
        merged = {**self.properties, **properties}
        counts = properties.get("value_count")
        if not counts:
            return self._replaced(properties=merged)
        inner = (self.shape.dims or ())[2:]
        return self._replaced(
            properties=merged, dims=(None, (counts.get("min") or 0, counts.get("max")), *inner)
        )

    def with_dtype(
        self, dtype: object, is_list: bool | None = None, is_ragged: bool | None = None
    ) -> ColumnSchema:
        """The same column with values of another type.

        Args:
            dtype: the new type.
            is_list: False makes a list column scalar, True a scalar one a list.
            is_ragged: as for the constructor; says nothing where the shape is known.
        """
        if is_list is False and self.is_list:
            return self.with_shape(None)._replaced(dtype=dtype)
        if self.shape.dims is not None:
            return self._replaced(dtype=dtype)
        return self._replaced(dtype=dtype, is_list=is_list, is_ragged=is_ragged)

    def with_shape(self, shape: Sequence[DimensionLike] | Shape | None) -> ColumnSchema:
        """The same column in another shape: ``(None, (2, 20))`` are lists of 2 to 20 values."""
        kept = {key: value for key, value in self.properties.items() if key != "value_count"}
        return self._replaced(properties=kept, dims=shape)

    def merged(self, other: ColumnSchema) -> ColumnSchema:
        """Both in one: the type, shape and name of the other, its tags and properties over these."""
        merged = self.with_name(other.name).with_dtype(other.dtype).with_tags(other.tags)
        return merged.with_properties(other.properties).with_shape(other.shape)

    def __str__(self) -> str:
        return self.name

    def _domain(self) -> Domain | None:
        domain = self.properties.get("domain")
        return Domain(domain.get("min"), domain.get("max"), domain.get("name")) if domain else None

    def _replaced(self, **changes: Any) -> ColumnSchema:
        kept = {"name": self.name, "tags": self.tags, "properties": self.properties, "dtype": self.dtype}
        return ColumnSchema(**{**kept, "dims": self.shape, **changes})


def _dtype(name: str, value: object) -> DType:
    try:
        return UNKNOWN if value is None else dtype(value)
    except TypeError as error:
        raise TypeError(f"column {name!r}: {error}") from None


def _shape(
    name: str,
    counts: Mapping[str, Any],
    is_list: bool | None,
    is_ragged: bool | None,
    dims: Sequence[DimensionLike] | Shape | None,
) -> Shape:
    if is_list is False and is_ragged is True:
        raise ValueError(
            f"column {name!r} is said to be ragged but no list: leave is_list out or make it True"
        )
    low, high = counts.get("min"), counts.get("max")
    if is_list and is_ragged is False:
        low, high = high if low is None else low, low if high is None else high
    if counts and is_ragged is not None and is_ragged != (low != high):
        raise ValueError(
            f"column {name!r} has is_ragged={is_ragged} but a value count of {low} to {high}: "
            "leave is_ragged out"
        )
    try:
        if dims is not None and Shape(dims).dims:
            return Shape(dims)
        if counts:
            return Shape((None, Dimension(low or 0, high)))
    except ValueError as error:
        raise ValueError(f"column {name!r}: {error}") from None
    return Shape((None, None)) if is_list else Shape()
