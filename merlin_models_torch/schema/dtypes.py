"""Types of values, under the names that numpy has for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np

from merlin_models_torch.schema.shape import DimensionLike, Shape

if TYPE_CHECKING:
    import torch


class ElementType(str, Enum):
    """Kinds of values.

    Example:
        >>> mm.schema.dtype("uint8").element_type
        <ElementType.UINT: 'uint'>
    """

    BOOL = "bool"
    INT = "int"
    UINT = "uint"
    FLOAT = "float"
    STRING = "string"
    DATETIME = "datetime"
    OBJECT = "object"
    STRUCT = "struct"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class DType:
    """The type of the values of a column, and how many a row holds.

    Args:
        name: as numpy says it ("int64", "float32", "datetime64[ns]"), or "str", "object", "struct",
            "unknown".
        element_type: the kind.
        element_size: bits of one value, None where they are not all of one size.
        shape: of the column.

    Example:
        >>> kind = mm.schema.dtype("int32")
        >>> kind.name, kind.element_size, kind.is_integer
        ('int32', 32, True)
    """

    name: str
    element_type: ElementType
    element_size: int | None = None
    shape: Shape = field(default_factory=Shape)

    @property
    def is_integer(self) -> bool:
        """Whether the values are whole numbers, signed or not."""
        return self.element_type in (ElementType.INT, ElementType.UINT)

    @property
    def is_float(self) -> bool:
        """Whether the values are floating-point numbers."""
        return self.element_type is ElementType.FLOAT

    @property
    def to_numpy(self) -> np.dtype[Any]:
        """The numpy type.

        Raises:
            ValueError: if numpy has none for it.
        """
        try:
            return np.dtype(self.name)
        except TypeError:
            raise ValueError(f"numpy has no type for {self.name!r}: give the column a dtype it has") from None

    @property
    def to_torch(self) -> torch.dtype:
        """The torch type.

        Raises:
            ValueError: if torch has none for it.
        """
        import torch

        found = getattr(torch, self.name, None)
        if not isinstance(found, torch.dtype):
            raise ValueError(f"torch has no type for {self.name!r}: encode the column as numbers")
        return found

    def to(self, library: str) -> Any:
        """The type that another library has for it.

        Args:
            library: "numpy" or "torch".

        Raises:
            ValueError: of another library, or if it has none.
        """
        if library not in ("numpy", "torch"):
            raise ValueError(f"types of {library!r} are not known: write 'numpy' or 'torch'")
        return self.to_numpy if library == "numpy" else self.to_torch

    @property
    def without_shape(self) -> DType:
        """The same type of values, nothing said of how many."""
        return replace(self, shape=Shape())

    def with_shape(self, shape: Sequence[DimensionLike] | Shape | None) -> DType:
        """The same type of values in another shape."""
        return replace(self, shape=Shape(shape))

    def __str__(self) -> str:
        return self.name


UNKNOWN = DType("unknown", ElementType.UNKNOWN)
STRING = DType("str", ElementType.STRING)
OBJECT = DType("object", ElementType.OBJECT)

_NAMED = {
    "unknown": UNKNOWN,
    "str": STRING,
    "string": STRING,
    "large_string": STRING,
    "object": OBJECT,
    "struct": DType("struct", ElementType.STRUCT),
    "bfloat16": DType("bfloat16", ElementType.FLOAT, 16),
}
_KINDS = {"i": ElementType.INT, "u": ElementType.UINT, "f": ElementType.FLOAT, "M": ElementType.DATETIME}


def dtype(value: object) -> DType:
    """The type that another library's type, or its name, stands for.

    Args:
        value: a :class:`DType`, a name, a Python, numpy, torch, Arrow or pandas type, or a DType of
            merlin-core.

    Raises:
        TypeError: if it stands for none.

    Example:
        >>> dtype(np.int64) == dtype(torch.int64) == dtype("int64")
        True
    """
    if isinstance(value, DType):
        return value
    name = _name(value)
    if name in _NAMED:
        return _NAMED[name]
    try:
        found = np.dtype(name)
    except TypeError:
        raise TypeError(
            f"{value!r} is no known dtype: write a name of numpy's ('int64', 'float32', 'bool'), or 'str'"
        ) from None
    if found.kind in _KINDS:
        return DType(found.name, _KINDS[found.kind], found.itemsize * 8)
    if found.kind == "b":
        return DType("bool", ElementType.BOOL)
    return STRING if found.kind in "UST" else OBJECT


def _name(value: object) -> str:
    if value is None:
        raise TypeError("None is no dtype: write one such as 'int64', or 'unknown'")
    if isinstance(value, str):
        return value
    module = type(value).__module__.partition(".")[0]
    if module == "torch":
        return str(value).removeprefix("torch.")
    if module == "pyarrow":
        return _arrow_name(value)
    if isinstance(value, type) and not issubclass(value, np.generic):
        return value.__name__
    if hasattr(value, "element_type"):
        return str(value.name)  # type: ignore[attr-defined]
    value = getattr(value, "numpy_dtype", value)
    try:
        return str(np.dtype(value).name)  # type: ignore[call-overload]
    except TypeError:
        return str(value)


def _arrow_name(value: Any) -> str:
    import pyarrow as pa

    if pa.types.is_string(value) or pa.types.is_large_string(value):
        return "str"
    if pa.types.is_timestamp(value) and value.tz is not None:
        # pyarrow asks pandas for this one, which need not be installed; moments are UTC, whatever the zone.
        value = pa.timestamp(value.unit)
    try:
        return str(np.dtype(value.to_pandas_dtype()).name)
    except (NotImplementedError, TypeError):
        return "object"
