"""Structs made by hand are read as they were made; what is no struct is refused after as many steps."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merlin_models_torch.parquet.thrift import DEPTH, ThriftError, decode
from tests.unit.parquet.thrift_writer import BINARY, I64, LIST, STRUCT, binary, integer, many, struct, varint


@given(st.integers(-(2**63), 2**63 - 1))
def test_integers(value: int) -> None:
    data = struct((1, I64, integer(value)))
    assert decode(data, {1: {}}) == ({1: value}, len(data))


@given(st.lists(st.binary(max_size=20), max_size=40), st.integers(1, 2**15 - 1))
def test_lists_of_bytes_in_fields_of_any_number(values: list[bytes], number: int) -> None:
    data = struct((number, LIST, many(BINARY, [binary(one) for one in values])))
    assert decode(data, {number: {}})[0] == {number: values}


def test_what_is_not_asked_for_is_passed_over() -> None:
    inner = struct((1, I64, integer(7)), (2, BINARY, binary(b"x")))
    data = struct(
        (1, 1, b""),
        (2, 2, b""),
        (3, 3, b"\xff"),
        (4, 7, b"\0" * 8),
        (5, 13, b"\1" * 16),
        (6, 11, varint(2) + bytes([8 << 4 | 12]) + binary(b"a") + inner + binary(b"b") + inner),
        (7, 11, varint(0)),
        (8, LIST, many(STRUCT, [inner, inner])),
        (9, 10, many(1, [b"\1", b"\2"])),
        (40, STRUCT, inner),
        (41, I64, integer(-5)),
    )
    found, length = decode(data + b"more", {1: {}, 2: {}, 8: {1: {}}, 9: {}, 40: {2: {}}, 41: {}, 50: {}})
    assert found == {1: True, 2: False, 8: [{1: 7}, {1: 7}], 9: [True, False], 40: {2: b"x"}, 41: -5}
    assert length == len(data)
    assert decode(data, {})[0] == {}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "it ends within a value, after 0 bytes"),
        (struct((1, I64, integer(1)))[:-1], "it ends within a value"),
        (b"\x16" + b"\xff" * 20, "more than 64 bits"),
        (struct((1, BINARY, varint(2**40))), r"1099511627776 bytes begin at byte 7 of 8"),
        (struct((1, LIST, many(I64, [], 2**40))), "1099511627776 values begin at byte"),
        (struct((1, 11, varint(2**40))), "1099511627776 values begin at byte"),
        (struct((1, 14, b"")), "has type 14, which there is not"),
        (b"\x1c" * (DEPTH + 1), "nest more than 32 deep"),
        (b"\x19" + b"\x19" * 10_000, "nest more than 32 deep"),
    ],
)
@pytest.mark.parametrize("wanted", [{}, {1: {}}])
def test_what_is_no_struct_is_refused(data: bytes, said: str, wanted: dict[int, dict[int, int]]) -> None:
    with pytest.raises(ThriftError, match=said):
        decode(data, wanted)


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_struct_or_refused(data: bytes) -> None:
    try:
        found, length = decode(data, {1: {}, 2: {1: {}}})
    except ThriftError:
        return
    assert length <= len(data)
    assert set(found) <= {1, 2}
