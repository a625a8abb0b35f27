"""``merlin.table.tensor_column`` where merlin-core is not installed: the values of one column."""

from __future__ import annotations

from enum import Enum
from itertools import accumulate, chain
from typing import Any

import numpy as np
import torch
from merlin.core._absent import only

from merlin_models_torch.schema import DType, Shape, dtype

__getattr__ = only(__name__)


class Device(Enum):
    """Where values are."""

    CPU = 0
    GPU = 1


class TensorColumn:
    """Values, and where each row starts if rows are lists of differing length.

    Made of arrays of NumPy it is a ``NumpyColumn``, made of tensors a ``TorchColumn``.

    Args:
        values: (B, ...) one row after the other, (L, ...) with offsets, or a list of rows.
        offsets: (B + 1,) where rows start.
        dtype: of the values; theirs if not given.

    Raises:
        TypeError: if values or offsets are of another kind than the class holds.
        ValueError: if the offsets do not fit the values.
    """

    kind: Any = None

    def __new__(cls, values: Any, *args: Any, **kwargs: Any) -> Any:
        if cls is not TensorColumn:
            return object.__new__(cls)
        for known in (NumpyColumn, TorchColumn):
            if isinstance(values, known.kind):
                return object.__new__(known)
        raise TypeError(
            f"a column is made of numpy.ndarray or torch.Tensor, not {type(values).__name__}: "
            "convert it first"
        )

    def __init__(
        self, values: Any, offsets: Any = None, dtype: Any = None, _ref: Any = None, _unsafe: bool = False
    ) -> None:
        if isinstance(values, list):
            if offsets is not None:
                raise ValueError(
                    "a list of rows comes without offsets: leave them out, or give flat values in one array"
                )
            make = torch.tensor if self.kind is torch.Tensor else np.array
            offsets = make(list(accumulate((len(row) for row in values), initial=0)))
            values = make(list(chain.from_iterable(values)))
        if not _unsafe:
            self._check(values, offsets)
        self._values, self._offsets, self._dtype = values, offsets, dtype

    def _check(self, values: Any, offsets: Any) -> None:
        for name, array in (("values", values), ("offsets", offsets)):
            if array is not None and not isinstance(array, self.kind):
                raise TypeError(
                    f"{name} of a {type(self).__name__} are {self.kind.__name__}, not "
                    f"{type(array).__name__}: give both as one kind"
                )
        if offsets is None:
            return
        if int(offsets[-1]) != len(values):
            raise ValueError(
                f"the last offset is {int(offsets[-1])} and there are {len(values)} values: "
                "they should be the same"
            )
        if bool((offsets[1:] < offsets[:-1]).any()):
            raise ValueError("offsets fall somewhere, they should rise: they say where each row starts")

    @property
    def values(self) -> Any:
        """The values."""
        return self._values

    @property
    def offsets(self) -> Any:
        """Where rows start, None if each row is one entry of the values."""
        return self._offsets

    @property
    def device(self) -> Device:
        """Where they are."""
        return Device.GPU if getattr(self._values, "is_cuda", False) else Device.CPU

    @property
    def shape(self) -> Shape:
        """Rows, then what a row holds."""
        if self._offsets is None:
            return Shape(tuple(self._values.shape))
        lengths = {int(length) for length in self._offsets[1:] - self._offsets[:-1]}
        inner = lengths.pop() if len(lengths) == 1 else None
        return Shape((len(self), inner, *self._values.shape[1:]))

    @property
    def dtype(self) -> DType:
        """Type and shape of the values."""
        return dtype(self._dtype or str(self._values.dtype).removeprefix("torch.")).with_shape(self.shape)

    @property
    def is_list(self) -> bool:
        """Whether a row holds several values."""
        return self.shape.is_list

    @property
    def is_ragged(self) -> bool:
        """Whether rows hold different numbers of values."""
        return self.shape.is_ragged

    def cpu(self) -> TensorColumn:
        """The same column in the memory of the host."""
        return self

    def gpu(self) -> TensorColumn:
        """The same column in the memory of a GPU."""
        raise NotImplementedError(
            f"a {type(self).__name__} stays in the host's memory: make a TorchColumn of it"
        )

    def __len__(self) -> int:
        return len(self._values) if self._offsets is None else len(self._offsets) - 1

    def __getitem__(self, index: int) -> Any:
        if self._offsets is None:
            return self._values[index]
        index = index + len(self) if index < 0 else index
        return self._values[int(self._offsets[index]) : int(self._offsets[index + 1])]

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self) or (self.offsets is None) != (other.offsets is None):
            return False
        pairs = [(self.values, other.values), (self.offsets, other.offsets)]
        return self.dtype == other.dtype and all(
            mine is None or (mine.shape == theirs.shape and bool((mine == theirs).all()))
            for mine, theirs in pairs
        )

    __hash__ = None  # type: ignore[assignment]


class NumpyColumn(TensorColumn):
    """A column of NumPy's arrays."""

    kind = np.ndarray


class TorchColumn(TensorColumn):
    """A column of tensors."""

    kind = torch.Tensor

    def cpu(self) -> TensorColumn:
        """The same column in the memory of the host."""
        return self._moved("cpu")

    def gpu(self) -> TensorColumn:
        """The same column in the memory of a GPU."""
        return self._moved("cuda")

    def _moved(self, device: str) -> TensorColumn:
        offsets = None if self._offsets is None else self._offsets.to(device)
        return TorchColumn(self._values.to(device), offsets, self._dtype, _unsafe=True)
