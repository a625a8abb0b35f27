"""Structs of thrift's compact protocol, made by hand."""

from collections.abc import Sequence

I64, BINARY, LIST, STRUCT = 6, 8, 9, 12

Field = tuple[int, int, bytes]


def varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def integer(value: int) -> bytes:
    """Signed: 0, -1, 1, -2 are 0, 1, 2, 3."""
    return varint(value << 1 if value >= 0 else -2 * value - 1)


def binary(value: bytes) -> bytes:
    """Length, then content."""
    return varint(len(value)) + value


def many(kind: int, values: Sequence[bytes], count: int | None = None) -> bytes:
    """A list, which may say that it has another number of values."""
    count = len(values) if count is None else count
    head = bytes([count << 4 | kind]) if count < 15 else bytes([0xF0 | kind]) + varint(count)
    return head + b"".join(values)


def struct(*fields: Field) -> bytes:
    """Fields of rising numbers: number, type and what follows."""
    out, last = b"", 0
    for number, kind, value in fields:
        short = 0 < number - last < 16
        out += bytes([(number - last) << 4 | kind]) if short else bytes([kind]) + integer(number)
        out, last = out + value, number
    return out + b"\0"
