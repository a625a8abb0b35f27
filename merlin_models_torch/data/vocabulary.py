"""Original ids of any type and the codes that embedding tables use, one vocabulary per domain."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from merlin_models_torch.data.errors import DataError
from merlin_models_torch.parquet import ParquetInput
from merlin_models_torch.storage import parquet_writer, whole_file

PADDING = 0
UNKNOWN = 1
_COLUMN = "value"
_FIRST = b"first_code"


class Vocabulary:
    """The distinct original values of an id column; value ``i`` has code ``first + i``.

    Code 0 is padding and stands for a missing value (null or nan), code 1 for every value that is not in the
    vocabulary. With ``first=1`` there is no such code, and unknown values get 0.

    Args:
        values: distinct values without nulls, of any flat Arrow type (integers, strings, timestamps...).
        first: code of the first value, at least 1.

    Raises:
        DataError: if a value is missing, occurs twice, or is a list or a struct.
        ValueError: if ``first`` is less than 1.

    Example:
        >>> vocabulary = Vocabulary(pa.array(["shoe", "hat"]))
        >>> vocabulary.encode(pa.array(["hat", "sock", None, "shoe"]))
        array([3, 1, 0, 2])
        >>> vocabulary.decode([3, 2]).to_pylist()
        ['hat', 'shoe']
    """

    def __init__(self, values: pa.Array | pa.ChunkedArray, first: int = 2) -> None:
        if first < 1:
            raise ValueError(f"first is {first}, but code 0 is padding: give at least 1")
        values = _flat(values)
        if values.null_count:
            raise DataError(
                f"the vocabulary has {values.null_count} missing values: leave them out, they have code 0"
            )
        distinct = len(values.unique())
        if distinct != len(values):
            raise DataError(
                f"the vocabulary has {len(values)} values, but only {distinct} distinct: give each once"
            )
        self.values = values
        self.first = first

    @classmethod
    def fit(cls, data: Any, *, first: int = 2, min_count: int = 1) -> Vocabulary:
        """The vocabulary of the values that occur in some data, the most frequent first.

        Equally frequent values come in the order of their first occurrence. The order by frequency is what
        log-uniform sampling of negatives expects.

        Args:
            data: values of any flat Arrow type: an Arrow array, a column of a data frame or a sequence; null
                and nan are left out.
            first: code of the first value.
            min_count: values that occur less often are left out.
        """
        encoded = dictionary(without_nan(as_arrow(data)))
        codes = encoded.indices.drop_null().to_numpy()
        counts = np.bincount(codes, minlength=len(encoded.dictionary))
        return cls.of_counts(encoded.dictionary, counts, first=first, min_count=min_count)[0]

    @classmethod
    def of_counts(
        cls, values: pa.Array, counts: NDArray[np.int64], *, first: int = 2, min_count: int = 1
    ) -> tuple[Vocabulary, NDArray[np.int64]]:
        """The vocabulary of distinct values that occur so many times, the most frequent first.

        Args:
            values: distinct values.
            counts: (V,) int64 how often each occurs.
            first: code of the first value.
            min_count: values that occur less often are left out.

        Returns:
            The vocabulary, and (V,) int64 the code of each of the values.
        """
        order = np.argsort(-counts, kind="stable")
        order = order[counts[order] >= max(min_count, 1)]
        vocabulary = cls(values.take(pa.array(order)), first)
        codes = np.full(len(values), vocabulary.unknown, np.int64)
        codes[order] = np.arange(first, vocabulary.cardinality)
        return vocabulary, codes

    def __len__(self) -> int:
        return len(self.values)

    @property
    def cardinality(self) -> int:
        """Rows an embedding table needs: the largest code plus one."""
        return self.first + len(self)

    @property
    def unknown(self) -> int:
        """Code of a value that is not in the vocabulary."""
        return UNKNOWN if self.first > UNKNOWN else PADDING

    def encode(self, array: Any) -> NDArray[np.int64]:
        """Codes of values.

        Args:
            array: Arrow array, chunked array, numpy array, column of a data frame or sequence of values.

        Returns:
            (N,) int64; ``unknown`` where a value is not in the vocabulary, 0 where it is missing.

        Raises:
            DataError: if the values are of a type that cannot be compared with those of the vocabulary.
        """
        import pyarrow.compute as pc

        data = without_nan(as_arrow(array))
        if isinstance(data, pa.ChunkedArray):
            data = data.unify_dictionaries() if pa.types.is_dictionary(data.type) else data
            data = data.combine_chunks()
        if pa.types.is_dictionary(data.type):
            positions = self.encode(data.dictionary)
            return _take_codes(positions, data.indices)
        if pa.types.is_null(data.type):
            return np.zeros(len(data), np.int64)
        foreign = None
        if data.type != self.values.type:
            if pa.types.is_integer(data.type) and pa.types.is_integer(self.values.type):
                data, foreign = _of_other_width(data, self.values.type)
            else:
                data = self._cast(data)
        found = pc.index_in(data, value_set=self.values)
        if foreign is not None:
            found = pc.if_else(foreign, None, found)
        codes = np.asarray(pc.fill_null(found, self.unknown - self.first)).astype(np.int64) + self.first
        if data.null_count:
            codes[data.is_null().to_numpy(zero_copy_only=False)] = PADDING
        return codes

    def decode(self, codes: Any) -> pa.Array:
        """Original values of codes.

        Args:
            codes: (N,) integers: tensor, numpy or Arrow array or sequence.

        Returns:
            Arrow array (N,) of the type of ``values``; null for padding and for unknown.

        Raises:
            DataError: if a code is negative or not below ``cardinality``.
        """
        if isinstance(codes, (pa.Array, pa.ChunkedArray)):
            codes = codes.to_numpy(zero_copy_only=False) if isinstance(codes, pa.Array) else codes.to_numpy()
        if hasattr(codes, "detach"):
            codes = codes.detach().cpu()
        positions = np.asarray(codes, dtype=np.int64).reshape(-1) - self.first
        outside = (positions < -self.first) | (positions >= len(self))
        if outside.any():
            code = int(positions[outside][0]) + self.first
            raise DataError(
                f"code {code} is not in the vocabulary of codes 0 to {self.cardinality - 1}: "
                "use the vocabulary that the data was encoded with"
            )
        return self.values.take(pa.array(np.maximum(positions, 0), mask=positions < 0))

    def extended(self, values: Any) -> Vocabulary:
        """This vocabulary with the new ones among some values added at its end; no code changes.

        Args:
            values: as for :meth:`fit`; those already known, null and nan are left out.
        """
        new = self._cast(_flat(without_nan(as_arrow(values)))).unique().drop_null()
        new = new.filter(pa.array(self.encode(new) == self.unknown))
        return Vocabulary(pa.concat_arrays([self.values, new]), self.first)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes the vocabulary as a parquet file of one column, under a temporary name until it is whole."""
        path = Path(path)
        table = pa.table({_COLUMN: self.values}).replace_schema_metadata({_FIRST: str(self.first).encode()})
        with whole_file(path) as part, parquet_writer(part, table.schema) as writer:
            writer.write_table(table)
        return path

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Vocabulary:
        """Reads what :meth:`save` wrote.

        Raises:
            DataError: if the file is missing, truncated, or no vocabulary.
        """
        path = Path(path)
        fix = "save the vocabulary again, or name the file that Vocabulary.save wrote"
        if not path.is_file():
            raise DataError(f"there is no vocabulary file {path}: {fix}")
        try:
            table = ParquetInput(path, error=DataError).read()
        except DataError as error:
            raise DataError(f"the vocabulary {error}; {fix}") from error
        first = (table.schema.metadata or {}).get(_FIRST, b"")
        if table.column_names != [_COLUMN] or not first.isdigit() or not 1 <= int(first) < 2**31:
            raise DataError(
                f"{path} is no vocabulary: it has columns {table.column_names} and first code {first!r} "
                f"instead of one column {_COLUMN!r} and a number from 1: {fix}"
            )
        try:
            return cls(table.column(0), int(first))
        except DataError as error:
            raise DataError(f"the vocabulary {path} is damaged: {error}") from error

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vocabulary):
            return NotImplemented
        return self.first == other.first and bool(self.values.equals(other.values))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} values of {self.values.type}, first={self.first})"

    def _cast(self, data: pa.Array) -> pa.Array:
        try:
            return data.cast(self.values.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise DataError(
                f"values of type {data.type} were given to a vocabulary of {self.values.type}: "
                f"cast them first ({_line(error)})"
            ) from error


def as_arrow(values: Any) -> pa.Array | pa.ChunkedArray:
    """Values as an Arrow array."""
    return values if isinstance(values, (pa.Array, pa.ChunkedArray)) else pa.array(values)


def without_nan(data: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """With null for nan, which is how NumPy and pandas write that an id is missing."""
    import pyarrow.compute as pc

    if pa.types.is_dictionary(data.type) and pa.types.is_floating(data.type.value_type):
        data = data.cast(data.type.value_type)
    return pc.if_else(pc.is_nan(data), None, data) if pa.types.is_floating(data.type) else data


def dictionary(data: pa.Array | pa.ChunkedArray) -> pa.DictionaryArray:
    """Values as positions (int32, null where missing) in the distinct ones, in order of first occurrence."""
    if pa.types.is_dictionary(data.type):
        return _tidied(data)
    data = data.dictionary_encode()
    if isinstance(data, pa.ChunkedArray):
        data = data.unify_dictionaries().combine_chunks()
    return data


def _tidied(data: pa.DictionaryArray | pa.ChunkedArray) -> pa.DictionaryArray:
    """Positions in a dictionary that may repeat values, hold unused ones or have another order."""
    if isinstance(data, pa.ChunkedArray):
        data = (data.unify_dictionaries() if data.num_chunks > 1 else data).combine_chunks()
    distinct = data.dictionary.dictionary_encode()
    used = distinct.indices.take(data.indices).dictionary_encode()
    return pa.DictionaryArray.from_arrays(used.indices, distinct.dictionary.take(used.dictionary))


def _take_codes(codes: NDArray[np.int64], indices: pa.Array) -> NDArray[np.int64]:
    missing = indices.is_null().to_numpy(zero_copy_only=False)
    positions = indices.fill_null(0).to_numpy(zero_copy_only=False)
    if not len(codes):
        return np.zeros(len(positions), np.int64)
    return np.where(missing, PADDING, codes[positions])


def _of_other_width(numbers: pa.Array, kind: pa.DataType) -> tuple[pa.Array, pa.Array]:
    """Integers as another type, and which of them it has no number for."""
    import pyarrow.compute as pc

    cast = numbers.cast(kind, safe=False)
    lost = pc.not_equal(cast.cast(numbers.type, safe=False), numbers)
    return cast, pc.or_(lost, pc.xor(pc.less(cast, 0), pc.less(numbers, 0)))


def _flat(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_nested(values.type):
        raise DataError(
            f"a vocabulary of {values.type} cannot be made: give one value per row, not lists or structs"
        )
    return values


def _line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0]
