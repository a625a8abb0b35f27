"""The messages of a schema file that Transformers4Rec read, as the core's classes."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, ClassVar

from typing_extensions import Self

from merlin_models_torch.schema import Domain, Shape
from merlin_standard_lib.proto._message import Message


class FeatureType(IntEnum):
    """Type of the values of a column."""

    TYPE_UNKNOWN = 0
    BYTES = 1
    INT = 2
    FLOAT = 3
    STRUCT = 4

    def __str__(self) -> str:
        return f"FeatureType.{self.name}"

    @classmethod
    def from_string(cls, name: str) -> FeatureType:
        """The type of a name.

        Raises:
            ValueError: if there is none.
        """
        if name not in cls.__members__:
            raise ValueError(f"no FeatureType is named {name!r}: write one of {list(cls.__members__)}")
        return cls[name]


class _Owned:
    """A part of a column, which changes with it."""

    _owner: tuple[Any, str] | None = None

    def of(self, column: Any, field: str) -> Self:
        """The same part; what is set on it is set on the column."""
        object.__setattr__(self, "_owner", (column, field))
        return self

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        if self._owner is not None:
            column, field = self._owner
            setattr(column, field, self)


class _Part(Message, _Owned, Domain):
    """A domain that is false where nothing is said."""

    _shown: tuple[str, ...] = ("name", "min", "max")

    def __bool__(self) -> bool:
        return bool(self.min or self.max)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self._shown)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        said = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._shown)
        return f"{type(self).__name__}({said})"


class IntDomain(_Part):
    """The whole numbers that a column has.

    Args:
        name: columns whose domains have the same name share their values.
        min: smallest.
        max: largest.
        is_categorical: whether they are ids.
    """

    _proto = "IntDomain"
    is_categorical: bool = False
    _shown = (*_Part._shown, "is_categorical")

    def __init__(
        self, name: str | None = "", min: int = 0, max: int = 0, is_categorical: bool = False
    ) -> None:
        super().__init__(min, max, name or "")
        object.__setattr__(self, "is_categorical", is_categorical)


class FloatDomain(_Part):
    """The floating-point numbers that a column has.

    Args:
        name: columns whose domains have the same name share their values.
        min: smallest.
        max: largest.
        disallow_nan: kept as a property.
        disallow_inf: kept as a property.
        is_embedding: kept as a property.
    """

    _proto = "FloatDomain"
    disallow_nan: bool = False
    disallow_inf: bool = False
    is_embedding: bool = False
    _shown = (*_Part._shown, "disallow_nan", "disallow_inf", "is_embedding")

    def __init__(
        self,
        name: str | None = "",
        min: float = 0.0,
        max: float = 0.0,
        disallow_nan: bool = False,
        disallow_inf: bool = False,
        is_embedding: bool = False,
    ) -> None:
        super().__init__(min, max, name or "")
        flags = {"disallow_nan": disallow_nan, "disallow_inf": disallow_inf, "is_embedding": is_embedding}
        for flag, value in flags.items():
            object.__setattr__(self, flag, value)


class ValueCount(_Part):
    """How many values a row has.

    Args:
        min: fewest.
        max: most.
    """

    _proto = "ValueCount"
    _shown = ("min", "max")

    def __init__(self, min: int = 0, max: int = 0) -> None:
        super().__init__(min, max)


@dataclass
class ValueCountList(Message):
    """How many values a row has on each level of nested lists."""

    _proto: ClassVar[str] = "ValueCountList"
    value_count: list[ValueCount] = field(default_factory=list)

    def from_dict(self, value: Mapping[str, Any]) -> Self:
        """This list, to which the counts of a dictionary are added."""
        counts = value.get("valueCount", value.get("value_count", ()))
        self.value_count = [*self.value_count, *(ValueCount().from_dict(one) for one in counts)]
        return self


@dataclass
class FixedShapeDim(Message):
    """One dimension of what a row holds."""

    _proto: ClassVar[str] = "FixedShape.Dim"
    size: int = 0
    name: str = ""


class FixedShape(Message, Shape):
    """What every row holds.

    Args:
        dim: its dimensions, rows left out.
    """

    __slots__ = ()
    _proto = "FixedShape"

    def __init__(self, dim: Any = ()) -> None:
        super().__init__((None, *(part.size for part in dim)) if dim else None)

    def __repr__(self) -> str:
        return f"FixedShape(dim={self.dim})"

    def from_dict(self, value: Mapping[str, Any]) -> Self:
        """This shape, to which the dimensions of a dictionary are added."""
        more = [FixedShapeDim().from_dict(one) for one in value.get("dim", ())]
        self.dims = FixedShape([*self.dim, *more]).dims
        return self

    @classmethod
    def of(cls, shape: Shape) -> FixedShape:
        """A shape of the core as one of this class."""
        made = cls()
        made.dims = shape.dims
        return made

    @property
    def dim(self) -> list[FixedShapeDim]:
        """The dimensions of a row; none where rows differ."""
        inner = (self.dims or ())[1:]
        return [FixedShapeDim(one.max or 0) for one in inner] if all(d.is_fixed for d in inner) else []


class _Tags(list[str]):
    """Tags of an annotation: one that is added or removed is the column's."""

    def __init__(self, tags: Any, annotation: Annotation) -> None:
        super().__init__(tags)
        self._annotation = annotation

    def append(self, tag: str) -> None:
        """Adds one."""
        self._annotation.tag = [*self, tag]

    def extend(self, tags: Any) -> None:
        """Adds several."""
        self._annotation.tag = [*self, *tags]

    def remove(self, tag: str) -> None:
        """Takes one out."""
        left = list(self)
        left.remove(tag)
        self._annotation.tag = left


@dataclass
class Annotation(Message, _Owned):
    """Tags and properties of a column."""

    _proto: ClassVar[str] = "Annotation"
    tag: list[str] = field(default_factory=list)
    comment: list[str] = field(default_factory=list)
    extra_metadata: list[dict[str, Any]] = field(default_factory=list)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, _Tags(value, self) if name == "tag" else value)

    def __deepcopy__(self, memo: dict[int, Any]) -> Annotation:
        return Annotation(list(self.tag), list(self.comment), deepcopy(self.extra_metadata, memo))
