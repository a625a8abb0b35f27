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
# PLAIN_DICTIONARY and RLE_DICTIONARY among the encodings of a page.
_POSITIONS = (2, 8)

# Numbers of fields in parquet.thrift, from FileMetaData down to the statistics.
_ROW_GROUPS, _COLUMNS, _METADATA, _STATISTICS, _SIZES = 4, 1, 3, 12, 16
_TYPE, _PATH, _VALUES, _PACKED, _DATA, _DICTIONARY = 1, 3, 5, 7, 9, 11
_OLD_MAX, _OLD_MIN, _NULLS, _MAX, _MIN = 1, 2, 3, 5, 6
_TEXT_BYTES = 1
_WANTED: dict[int, Any] = {
    _ROW_GROUPS: {
        _COLUMNS: {
            _METADATA: {
                **{key: {} for key in (_TYPE, _PATH, _VALUES, _PACKED, _DATA, _DICTIONARY)},
                _STATISTICS: {key: {} for key in (_OLD_MAX, _OLD_MIN, _NULLS, _MAX, _MIN)},
                _SIZES: {_TEXT_BYTES: {}},
            }
        }
    }
}

# The same from PageHeader down: of data pages of both versions, each with its number of the encoding.
_PAGE_UNPACKED, _PAGE_PACKED, _PAGE_VALUES = 2, 3, 1
_DATA_PAGES = {5: 2, 8: 4}
_PAGE: dict[int, Any] = {
    _PAGE_UNPACKED: {},
    _PAGE_PACKED: {},
    **{key: {_PAGE_VALUES: {}, encoding: {}} for key, encoding in _DATA_PAGES.items()},
}
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
        is_text: whether values have lengths of their own.
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
    path, kind = fields.get(_PATH), fields.get(_TYPE)
    values, packed, data = (_whole(fields.get(field)) for field in (_VALUES, _PACKED, _DATA))
    if not isinstance(path, list) or not path or not all(isinstance(name, bytes) for name in path):
        raise ThriftError(f"a column chunk has name {path!r}")
    if not isinstance(kind, int) or not 0 <= kind < len(_WIDTHS):
        raise ThriftError(f"column chunk {path} has type {kind!r}")
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
        is_text=kind == _BYTE_ARRAY,
        nulls=_whole(said.get(_NULLS)),
        ends=(said.get(_MIN), said.get(_MAX)),
        signed_ends=(said.get(_OLD_MIN), said.get(_OLD_MAX)),
    )


@dataclass(frozen=True)
class Pages:
    """What the headers of a chunk's pages say.

    Args:
        values: in all of them, at least as many as the chunk should have.
        positions: how many of these are positions in the chunk's dictionary.
        largest: bytes of the largest, unpacked.
    """

    values: int
    positions: int
    largest: int


def read_pages(file: BinaryIO, chunk: Chunk) -> Pages:
    """The pages of a chunk, by their own headers.

    Raises:
        ThriftError: if a header is not whole, or the pages have fewer values than the chunk.
    """
    at, seen, positions, largest = chunk.start, 0, 0, 0
    while seen < chunk.values:
        header, length = _page_header(file, at)
        size, unpacked = _whole(header.get(_PAGE_PACKED)), _whole(header.get(_PAGE_UNPACKED))
        pages = {key: _struct(header.get(key, {})) for key in _DATA_PAGES}
        counts = {key: page.get(_PAGE_VALUES, 0) for key, page in pages.items()}
        if size is None or unpacked is None or any(_whole(count) is None for count in counts.values()):
            said = f"{list(counts.values())} values in {size} bytes that unpack to {unpacked}"
            raise ThriftError(f"a page of column chunk {chunk.path} has {said}")
        seen += sum(counts.values())
        positions += sum(counts[key] for key in pages if pages[key].get(_DATA_PAGES[key]) in _POSITIONS)
        largest = max(largest, unpacked)
        at += length + size
    return Pages(seen, positions, largest)


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
