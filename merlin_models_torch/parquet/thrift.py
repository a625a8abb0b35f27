"""Thrift's compact protocol, as much of it as is needed to read a few fields out of many."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEPTH = 32

Wanted = Mapping[int, Any]

_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT, _UUID = 1, 2, 3, 7, 8, 9, 10, 11, 12, 13
_INTEGERS = (4, 5, 6)
_NOTHING: Wanted = {}


class ThriftError(ValueError):
    """Bytes that are no struct."""


def decode(data: bytes, wanted: Wanted) -> tuple[dict[int, Any], int]:
    """Some fields of a struct, by their numbers; the others are passed over and take no memory.

    Args:
        data: begins with the struct.
        wanted: numbers of the fields; of one that is a struct, or a list of structs, those inside of it. For
            any other, an empty mapping.

    Returns:
        Integers, bools, bytes, lists and mappings of this kind, and how many bytes the struct has.

    Raises:
        ThriftError: if the bytes are no struct, end within it, or nest more than 32 deep.
    """
    reader = _Reader(data)
    return reader.struct(wanted, 0), reader.at


class _Reader:
    """Goes through bytes once. Whatever they say, it takes no more steps than there are bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def struct(self, wanted: Wanted, depth: int) -> dict[int, Any]:
        found: dict[int, Any] = {}
        field = 0
        while True:
            head = self._byte()
            if head == 0:
                return found
            field = field + (head >> 4) if head >> 4 else self._integer()
            inner = wanted.get(field)
            kind = head & 15
            # Only of a field are these its value; in a list they are followed by it.
            value = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind, inner, depth)
            if inner is not None:
                found[field] = value

    def _value(self, kind: int, wanted: Wanted | None, depth: int) -> Any:
        if kind in _INTEGERS:
            return self._integer()
        if kind == _BINARY:
            return self._take(self._varint())
        if kind == _STRUCT:
            return self.struct(wanted or _NOTHING, self._below(depth))
        if kind in (_LIST, _SET):
            return self._list(wanted, self._below(depth))
        if kind in (_TRUE, _FALSE):
            return self._byte() == _TRUE
        if kind == _BYTE:
            return self._byte()
        if kind == _DOUBLE:
            return self._take(8)
        if kind == _UUID:
            return self._take(16)
        if kind == _MAP:
            return self._map(self._below(depth))
        raise ThriftError(f"byte {self.at} has type {kind}, which there is not")

    def _list(self, wanted: Wanted | None, depth: int) -> list[Any]:
        head = self._byte()
        count = self._count(head >> 4 if head >> 4 != 15 else self._varint())
        kind = head & 15
        if wanted is None:
            for _ in range(count):
                self._value(kind, None, depth)
            return []
        return [self._value(kind, wanted, depth) for _ in range(count)]

    def _map(self, depth: int) -> None:
        count = self._count(self._varint())
        if count:
            kinds = self._byte()
            for _ in range(count):
                self._value(kinds >> 4, None, depth)
                self._value(kinds & 15, None, depth)

    def _count(self, count: int) -> int:
        """Each value takes a byte at least."""
        if count > len(self._data) - self.at:
            raise ThriftError(f"{count} values begin at byte {self.at} of {len(self._data)}")
        return count

    def _below(self, depth: int) -> int:
        if depth == DEPTH:
            raise ThriftError(f"values nest more than {DEPTH} deep at byte {self.at}")
        return depth + 1

    def _byte(self) -> int:
        at = self.at
        if at >= len(self._data):
            raise ThriftError(f"it ends within a value, after {len(self._data)} bytes")
        self.at = at + 1
        return self._data[at]

    def _take(self, size: int) -> bytes:
        stop = self.at + size
        if stop > len(self._data):
            raise ThriftError(f"{size} bytes begin at byte {self.at} of {len(self._data)}")
        taken = self._data[self.at : stop]
        self.at = stop
        return taken

    def _varint(self) -> int:
        byte = self._byte()
        if byte < 128:
            return byte
        value, shift = byte & 127, 7
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
            if shift > 63:
                raise ThriftError(f"the number that ends at byte {self.at} has more than 64 bits")

    def _integer(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
