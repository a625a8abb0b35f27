"""What the footer of a parquet file says of its column chunks.

pyarrow says it too, but 26.0 ends the process (an exception in C++ that nothing catches) where a chunk's
statistics of size do not fit its column, as in one damaged file of a few thousand.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, BinaryIO

from merlin_models_torch.parquet.thrift import ThriftError, decode

# Of BOOLEAN, INT32, INT64, INT96, FLOAT, DOUBLE, BYTE_ARRAY and FIXED_LEN_BYTE_ARRAY.
_WIDTHS = (1, 4, 8, 8, 4, 8, 16, 16)
_BYTE_ARRAY = 6
_DELTA_BYTE_ARRAY = 7

# Numbers of fields in parquet.thrift, from FileMetaData down to the statistics.
_ROW_GROUPS, _COLUMNS, _METADATA, _STATISTICS, _SIZES = 4, 1, 3, 12, 16
_TYPE, _ENCODINGS, _PATH, _VALUES, _PACKED, _DATA, _DICTIONARY = 1, 2, 3, 5, 7, 9, 11
_OLD_MAX, _OLD_MIN, _NULLS, _MAX, _MIN = 1, 2, 3, 5, 6
_TEXT_BYTES = 1
_WANTED: dict[int, Any] = {
    _ROW_GROUPS: {
        _COLUMNS: {
            _METADATA: {
                **{key: {} for key in (_TYPE, _ENCODINGS, _PATH, _VALUES, _PACKED, _DATA, _DICTIONARY)},
                _STATISTICS: {key: {} for key in (_OLD_MAX, _OLD_MIN, _NULLS, _MAX, _MIN)},
                _SIZES: {_TEXT_BYTES: {}},
            }
        }
    }
}

# The same from PageHeader down: of data pages of both versions.
_PAGE_PACKED, _DATA_PAGES, _PAGE_VALUES = 3, (5, 8), 1
_PAGE: dict[int, Any] = {_PAGE_PACKED: {}, **{key: {_PAGE_VALUES: {}} for key in _DATA_PAGES}}
# A header holds the smallest and largest value, which may be long.
_HEADER_BYTES = (256, 2**14, 2**24)


@dataclass(frozen=True)
class Chunk:
    """One column of one row group.

    Args:
        path: names, from the column inwards.
        start: its first byte in the file.
        values: how many there are, missing ones among them.
        packed: bytes in the file.
        unpacked: bytes in memory; those of texts as far as the file says.
        is_text: whether values have lengths of their own, and may be read as positions in a dictionary.
        nulls: how many values are missing; None if the file does not say.
        ends: smallest and largest value, as they stand in the file.
        signed_ends: the same of older writers, which compared all numbers as signed.
    """

    path: tuple[str, ...]
    start: int
    values: int
    packed: int
    unpacked: int
    is_text: bool
    nulls: int | None
    ends: tuple[Any, Any]
    signed_ends: tuple[Any, Any]

    def bounds(self, *, signed: bool) -> tuple[int, int] | None:
        """Smallest and largest value of a column of whole numbers; None if the file does not say."""
        ends = self.signed_ends if signed and self.ends == (None, None) else self.ends
        if not all(isinstance(end, bytes) and len(end) in (4, 8) for end in ends):
            return None
        low, high = (int.from_bytes(end, "little", signed=signed) for end in ends)
        return low, high


def read_footer(file: BinaryIO) -> tuple[tuple[Chunk, ...], ...]:
    """The chunks of each row group.

    Raises:
        ThriftError: if there is no whole footer.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - 8, 0))
    end = file.read(8)
    length = int.from_bytes(end[:4], "little")
    if end[4:] != b"PAR1" or length > size - 12:
        raise ThriftError(f"{length} bytes of footer in {size} bytes that end with {end[4:]!r}")
    file.seek(size - 8 - length)
    groups = decode(file.read(length), _WANTED)[0].get(_ROW_GROUPS)
    return tuple(
        tuple(_chunk(_struct(column)) for column in _structs(_struct(group).get(_COLUMNS)))
        for group in _structs(groups)
    )


def _chunk(column: dict[int, Any]) -> Chunk:
    fields = _struct(column.get(_METADATA))
    path, kind, encodings = fields.get(_PATH), fields.get(_TYPE), fields.get(_ENCODINGS)
    values, packed, data = (_whole(fields.get(field)) for field in (_VALUES, _PACKED, _DATA))
    if not isinstance(path, list) or not path or not all(isinstance(name, bytes) for name in path):
        raise ThriftError(f"a column chunk has name {path!r}")
    if not isinstance(kind, int) or not 0 <= kind < len(_WIDTHS) or not isinstance(encodings, list):
        raise ThriftError(f"column chunk {path} has type {kind!r} and encodings {encodings!r}")
    if values is None or packed is None or data is None:
        raise ThriftError(f"column chunk {path} has {values} values in {packed} bytes from byte {data}")
    said = _struct(fields.get(_STATISTICS, {}))
    text = _whole(_struct(fields.get(_SIZES, {})).get(_TEXT_BYTES)) or 0
    return Chunk(
        path=tuple(name.decode("utf-8", "replace") for name in path),
        # Some writers say 0 where there is no dictionary.
        start=min(data, _whole(fields.get(_DICTIONARY)) or data),
        values=values,
        packed=packed,
        unpacked=values * _WIDTHS[kind] + text,
        is_text=kind == _BYTE_ARRAY and _DELTA_BYTE_ARRAY not in encodings,
        nulls=_whole(said.get(_NULLS)),
        ends=(said.get(_MIN), said.get(_MAX)),
        signed_ends=(said.get(_OLD_MIN), said.get(_OLD_MAX)),
    )


def count_values(file: BinaryIO, chunk: Chunk) -> int:
    """How many values the pages of a chunk hold, by their own headers; at least as many as it should have.

    Raises:
        ThriftError: if a header is not whole, or the pages have fewer values.
    """
    at, seen = chunk.start, 0
    while seen < chunk.values:
        header, length = _page_header(file, at)
        size = _whole(header.get(_PAGE_PACKED))
        counts = [_struct(header.get(data, {})).get(_PAGE_VALUES, 0) for data in _DATA_PAGES]
        if size is None or any(_whole(count) is None for count in counts):
            raise ThriftError(f"a page of column chunk {chunk.path} has {counts} values in {size} bytes")
        seen += sum(counts)
        at += length + size
    return seen


def _page_header(file: BinaryIO, at: int) -> tuple[dict[int, Any], int]:
    for most in _HEADER_BYTES:
        file.seek(at)
        data = file.read(most)
        try:
            return decode(data, _PAGE)
        except ThriftError:
            if len(data) < most:
                raise
    raise ThriftError(f"the header of the page at byte {at} is longer than {_HEADER_BYTES[-1]} bytes")


def _whole(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _struct(value: Any) -> dict[int, Any]:
    if not isinstance(value, dict):
        raise ThriftError(f"a {type(value).__name__} stands where fields were expected")
    return value


def _structs(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ThriftError(f"a {type(value).__name__} stands where a list was expected")
    return value
