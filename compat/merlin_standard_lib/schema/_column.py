"""Columns with the constructors, parts and copies of ``merlin_standard_lib``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from merlin.schema import Tags

from merlin_models_torch import schema as core
from merlin_models_torch.schema.codec import features_to_schema
from merlin_standard_lib.proto._message import Message
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
from merlin_standard_lib.schema._places import in_order
from merlin_standard_lib.schema._text import (
    as_json,
    feature_of,
    field_of,
    other_fields,
    others_of,
    said,
    spelled,
    text_of,
)

_DTYPES = {
    FeatureType.INT: "int64",
    FeatureType.FLOAT: "float64",
    FeatureType.BYTES: "string",
}
_FLAGS = ("disallow_nan", "disallow_inf", "is_embedding")
_PARTS = ("shape", "value_count", "value_counts", "type", "int_domain", "float_domain", "annotation")


class ColumnSchema(Message, core.ColumnSchema):
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
        **kwargs: arguments of the core's column: tags, properties, dtype, is_list, is_ragged, dims; further
            fields of a feature of tensorflow-metadata, such as ``presence``, which are kept and written.

    Its parts can be changed in place, as messages can: ``column.int_domain.max = 9``.
    """

    _proto = "Feature"
    others: dict[str, Any]

    @in_order
    def __init__(
        self,
        name: str = "",
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
        others = dict(kwargs.pop("others", None) or {})
        for field, key in other_fields().items():
            # What says nothing is left out, as betterproto did.
            if field in kwargs and (value := as_json(kwargs.pop(field))):
                others[key] = value
        annotation = annotation or Annotation()
        if annotation.tag:
            others["_tags"] = list(annotation.tag)
        if shape is not None and shape.dim:
            others["_shape"] = True
        object.__setattr__(self, "others", others)
        tags = [*core.TagSet(kwargs.pop("tags", None)), *annotation.tag]
        properties = {**(kwargs.pop("properties", None) or {})}
        for more in annotation.extra_metadata:
            properties.update(more)
        domain = int_domain or float_domain
        if domain:
            properties["domain"] = _bounds(domain, name)
        for flag in _FLAGS:
            if getattr(domain, flag, False):
                properties[flag] = True
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
    def of_feature(cls, feature: Mapping[str, Any]) -> ColumnSchema:
        """A column in the JSON form of a feature of tensorflow-metadata."""
        (column,) = features_to_schema({"feature": [feature]})
        domain = feature.get("floatDomain") or feature.get("float_domain") or {}
        flags = {flag: True for flag in _FLAGS if domain.get(flag) or domain.get(_camel(flag))}
        made = cls.of(column)
        tags = list((feature.get("annotation") or {}).get("tag") or ())
        others = {**others_of(feature), "_tags": tags, "_shape": "shape" in feature}
        return made._replaced(properties={**made.properties, **flags}, others=others)

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
        properties: dict[str, Any] = {flag: True for flag, value in flags.items() if value}
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
            return IntDomain().of(self, "int_domain")
        low, high = (int(bound or 0) for bound in (found.min, found.max))
        return IntDomain(found.name, low, high, Tags.CATEGORICAL in self.tags).of(self, "int_domain")

    @property
    def float_domain(self) -> FloatDomain:
        """The floating-point numbers that the column has; false if they are not known or it has others."""
        found = super().float_domain or core.Domain()
        flags = [bool(self.properties.get(flag)) for flag in _FLAGS]
        return FloatDomain(found.name, found.min or 0.0, found.max or 0.0, *flags).of(self, "float_domain")

    @property
    def value_count(self) -> ValueCount:
        """How many values a row has; false if the column is no list."""
        found = super().value_count or core.Domain()
        return ValueCount(int(found.min or 0), int(found.max or 0)).of(self, "value_count")

    @property
    def value_counts(self) -> ValueCountList:
        """The same inside a list."""
        return ValueCountList([self.value_count] if self.value_count else [])

    @property
    def annotation(self) -> Annotation:
        """Tags and properties."""
        apart = ("domain", "value_count", *_FLAGS)
        own = {key: value for key, value in self.properties.items() if key not in apart}
        tags = spelled(self.tags, self.others.get("_tags", ()))
        return Annotation(tag=tags, extra_metadata=[own] if own else []).of(self, "annotation")

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
        return text_of(self)

    def _content(self) -> dict[str, Any]:
        return feature_of(self)

    def from_dict(self, value: Mapping[str, Any]) -> ColumnSchema:
        """This column, changed in place to what a feature of a ``schema.json`` says."""
        known = feature_of(self) if self.name else {}
        self._become(ColumnSchema.of_feature({**known, **value}))
        return self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "others" or name not in other_fields():
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return field_of(self.others, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _PARTS:
            changed = self._with_part(name, value)
        elif name in other_fields():
            changed = self._replaced(others={**self.others, other_fields()[name]: as_json(value)})
        else:
            changed = self._replaced(**{name: value})
        self._become(changed)

    def _become(self, changed: ColumnSchema) -> None:
        for own, content in vars(changed).items():
            object.__setattr__(self, own, content)

    def _with_part(self, name: str, value: Any) -> ColumnSchema:
        kept = dict(self.properties)
        if name == "annotation":
            own = {key: kept[key] for key in ("domain", "value_count", *_FLAGS) if key in kept}
            return self._replaced(tags=[], properties=own, annotation=value)
        if name == "type":
            return self._replaced(dtype=_DTYPES.get(FeatureType(value)))
        if name.endswith("_domain"):
            kept = {key: content for key, content in kept.items() if key not in ("domain", *_FLAGS)}
        else:
            kept.pop("value_count", None)
            return self._replaced(properties=kept, dims=None, **{name: value})
        return self._replaced(properties=kept, **{name: value})

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, core.ColumnSchema):
            return NotImplemented
        parts = ("name", "tags", "properties", "dtype", "is_list", "is_ragged")
        if said(getattr(other, "others", {})) != said(self.others):
            return False
        return all(getattr(self, part) == getattr(other, part) for part in parts)

    def __hash__(self) -> int:
        return hash(self.name)

    def _replaced(self, **changes: Any) -> ColumnSchema:
        kept = {"name": self.name, "tags": self.tags, "properties": self.properties, "dtype": self.dtype}
        kept["others"] = self.others
        return ColumnSchema(**{**kept, "dims": self.shape, **changes})


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


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
