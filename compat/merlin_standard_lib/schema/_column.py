"""Columns with the constructors, parts and copies of ``merlin_standard_lib``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from merlin.schema import Tags

from merlin_models_torch import schema as core
from merlin_standard_lib.proto._parts import (
    Annotation,
    FeatureType,
    FixedShape,
    FixedShapeDim,
    FloatDomain,
    IntDomain,
    ValueCount,
    ValueCountList,
)

_DTYPES = {FeatureType.INT: "int64", FeatureType.FLOAT: "float32", FeatureType.BYTES: "string"}
_FLAGS = ("disallow_nan", "disallow_inf", "is_embedding")


class ColumnSchema(core.ColumnSchema):
    """A column, as the core's, that can also be made of the parts of a schema file.

    Args:
        name: of the column.
        shape: of the values of a row.
        value_count: smallest and largest number of values of a row.
        value_counts: the same, inside a list.
        type: of the values.
        int_domain: whole numbers that it has.
        float_domain: floating-point numbers that it has.
        annotation: tags and properties.
        **kwargs: arguments of the core's column: tags, properties, dtype, is_list, is_ragged, dims.
    """

    def __init__(
        self,
        name: str,
        *,
        shape: Any = None,
        value_count: Any = None,
        value_counts: Any = None,
        type: Any = None,
        int_domain: Any = None,
        float_domain: Any = None,
        annotation: Annotation | None = None,
        **kwargs: Any,
    ) -> None:
        annotation = annotation or Annotation()
        tags = [*core.TagSet(kwargs.pop("tags", None)), *annotation.tag]
        properties = {**(kwargs.pop("properties", None) or {})}
        for more in annotation.extra_metadata:
            properties.update(more)
        domain = int_domain or float_domain
        if domain:
            properties["domain"] = _bounds(domain, name)
        if getattr(domain, "is_categorical", False):
            tags.append(Tags.CATEGORICAL)
        if value_counts is not None and value_counts.value_count:
            value_count = value_counts.value_count[0]
        if value_count:
            properties["value_count"] = {"min": value_count.min, "max": value_count.max}
        if shape is not None and shape.dim:
            kwargs.setdefault("dims", shape.as_tuple)
        kwargs.setdefault("dtype", _DTYPES.get(type))
        super().__init__(name, tags=tags, properties=properties, **kwargs)

    @classmethod
    def of(cls, column: Any) -> ColumnSchema:
        """A column of another class, or a name, as one of this."""
        if isinstance(column, ColumnSchema):
            return column
        given = core.Schema([column]).first if isinstance(column, str) else column
        given = core.as_schema([given]).first
        return cls(
            given.name,
            tags=given.tags,
            properties=given.properties,
            dtype=given.dtype,
            dims=given.shape,
        )

    @classmethod
    def create_categorical(
        cls,
        name: str,
        num_items: int,
        shape: Any = None,
        value_count: Any = None,
        min_index: int = 0,
        tags: Any = None,
        **kwargs: Any,
    ) -> ColumnSchema:
        """A column of ids.

        Args:
            name: of the column.
            num_items: the largest id.
            shape: of the values of a row.
            value_count: smallest and largest number of values of a row.
            min_index: the smallest id.
            tags: besides CATEGORICAL.
            **kwargs: of the column.
        """
        return cls(
            name,
            tags=[*core.TagSet(tags), Tags.CATEGORICAL],
            type=FeatureType.INT,
            int_domain=IntDomain(name, min_index, num_items, is_categorical=True),
            shape=_shape(shape),
            value_count=_counts(name, value_count),
            **kwargs,
        )

    @classmethod
    def create_continuous(
        cls,
        name: str,
        is_float: bool = True,
        min_value: float | None = None,
        max_value: float | None = None,
        disallow_nan: bool = False,
        disallow_inf: bool = False,
        is_embedding: bool = False,
        shape: Any = None,
        value_count: Any = None,
        tags: Any = None,
        **kwargs: Any,
    ) -> ColumnSchema:
        """A column of numbers.

        Args:
            name: of the column.
            is_float: whether they are floating-point numbers.
            min_value: the smallest.
            max_value: the largest.
            disallow_nan: kept as a property.
            disallow_inf: kept as a property.
            is_embedding: kept as a property.
            shape: of the values of a row.
            value_count: smallest and largest number of values of a row.
            tags: besides CONTINUOUS.
            **kwargs: of the column.
        """
        flags = dict(zip(_FLAGS, (disallow_nan, disallow_inf, is_embedding), strict=True))
        properties = {flag: True for flag, value in flags.items() if value}
        if min_value is not None and max_value is not None:
            kind = float if is_float else int
            properties["domain"] = {"name": name, "min": kind(min_value), "max": kind(max_value)}
        return cls(
            name,
            tags=[*core.TagSet(tags), Tags.CONTINUOUS],
            type=FeatureType.FLOAT if is_float else FeatureType.INT,
            properties={**properties, **kwargs.pop("properties", {})},
            shape=_shape(shape),
            value_count=_counts(name, value_count),
            **kwargs,
        )

    @property
    def type(self) -> FeatureType:
        """Type of the values."""
        if self.dtype.is_integer:
            return FeatureType.INT
        if self.dtype.is_float:
            return FeatureType.FLOAT
        return FeatureType.BYTES if self.dtype.name == "str" else FeatureType.TYPE_UNKNOWN

    @property
    def shape(self) -> FixedShape:
        """Rows, then what a row holds."""
        return FixedShape.of(super().shape)

    @property
    def int_domain(self) -> IntDomain:
        """The whole numbers that the column has; false if they are not known or it has others."""
        found = super().int_domain
        if found is None:
            return IntDomain()
        low, high = (int(bound or 0) for bound in (found.min, found.max))
        return IntDomain(found.name, low, high, Tags.CATEGORICAL in self.tags)

    @property
    def float_domain(self) -> FloatDomain:
        """The floating-point numbers that the column has; false if they are not known or it has others."""
        found = super().float_domain or core.Domain()
        flags = [bool(self.properties.get(flag)) for flag in _FLAGS]
        return FloatDomain(found.name, found.min or 0.0, found.max or 0.0, *flags)

    @property
    def value_count(self) -> ValueCount:
        """How many values a row has; false if the column is no list."""
        found = super().value_count or core.Domain()
        return ValueCount(int(found.min or 0), int(found.max or 0))

    @property
    def value_counts(self) -> ValueCountList:
        """The same inside a list."""
        return ValueCountList([self.value_count] if self.value_count else [])

    @property
    def annotation(self) -> Annotation:
        """Tags and properties."""
        own = {key: value for key, value in self.properties.items() if key not in ("domain", "value_count")}
        tags = [getattr(tag, "value", tag) for tag in self.tags]
        return Annotation(tag=tags, extra_metadata=[own] if own else [])

    def copy(self, **kwargs: Any) -> ColumnSchema:
        """This column with some arguments of the core's column replaced."""
        return self._replaced(**kwargs)

    def with_tags_based_on_properties(
        self, using_value_count: bool = True, using_domain: bool = True
    ) -> ColumnSchema:
        """This column with the tags that its value count and its domain speak for.

        Args:
            using_value_count: whether one that has a value count becomes LIST.
            using_domain: whether ids become CATEGORICAL and numbers CONTINUOUS.
        """
        tags = [Tags.LIST] if using_value_count and self.value_count else []
        if (using_domain and self.float_domain) or (
            using_domain and self.int_domain and Tags.CATEGORICAL not in self.tags
        ):
            tags.append(Tags.CONTINUOUS)
        return ColumnSchema.of(self.with_tags(tags))

    def to_proto_text(self) -> str:
        """The lines of a ``schema.pbtxt`` that are about this column, without its name around them."""
        from merlin_models_torch.schema.files import to_pbtxt

        lines = to_pbtxt(core.Schema([self])).splitlines()
        return "\n".join(line.removeprefix("  ") for line in lines[1:-1]) + "\n"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, core.ColumnSchema):
            return NotImplemented
        parts = ("name", "tags", "properties", "dtype", "is_list", "is_ragged")
        return all(getattr(self, part) == getattr(other, part) for part in parts)

    def __hash__(self) -> int:
        return hash(self.name)

    def _replaced(self, **changes: Any) -> ColumnSchema:
        kept = {"name": self.name, "tags": self.tags, "properties": self.properties, "dtype": self.dtype}
        return ColumnSchema(**{**kept, "dims": self.shape, **changes})


def _bounds(domain: Any, name: str) -> dict[str, Any]:
    return {"name": domain.name or name, "min": domain.min, "max": domain.max}


def _counts(name: str, value_count: Any) -> ValueCount | None:
    """Accepts a pair too.

    Raises:
        ValueError: if it is neither.
    """
    if not value_count:
        return None
    if isinstance(value_count, ValueCountList):
        return value_count.value_count[0]
    if isinstance(value_count, core.Domain):
        return ValueCount(int(value_count.min or 0), int(value_count.max or 0))
    if isinstance(value_count, Mapping):
        return ValueCount(**value_count)
    if isinstance(value_count, tuple | list) and len(value_count) == 2:
        return ValueCount(*value_count)
    raise ValueError(
        f"value_count of column {name!r} is a ValueCount or a pair of smallest and largest number of "
        f"values, got {value_count!r}"
    )


def _shape(shape: Any) -> FixedShape | None:
    return FixedShape([FixedShapeDim(size) for size in shape]) if shape else None
