"""Types from every library under one name."""

import numpy as np
import pyarrow as pa
import pytest
import torch

from merlin_models_torch.schema import DType, ElementType, Shape, dtype


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("int64", [int, "int64", "i8", np.int64, np.dtype("int64"), torch.int64, pa.int64()]),
        ("uint8", ["uint8", np.uint8, torch.uint8, pa.uint8()]),
        ("float32", ["float32", np.float32, torch.float32, pa.float32()]),
        ("float64", [float, "float", np.float64, torch.float64, pa.float64()]),
        ("bool", [bool, "bool", np.bool_, torch.bool, pa.bool_()]),
        ("str", [str, "str", "string", np.str_, pa.string(), pa.large_string()]),
        (
            "datetime64[us]",
            [
                "datetime64[us]",
                np.dtype("datetime64[us]"),
                pa.timestamp("us"),
                pa.timestamp("us", "UTC"),
            ],
        ),
        ("object", [object, "object", np.object_, pa.struct([])]),
        ("bfloat16", [torch.bfloat16, "bfloat16"]),
        ("unknown", ["unknown"]),
    ],
)
def test_types_of_all_libraries(name: str, values: list[object]) -> None:
    assert [dtype(value).name for value in values] == [name] * len(values)


def test_kinds_and_sizes() -> None:
    kinds = {
        name: (dtype(name).element_type.value, dtype(name).element_size)
        for name in ("int8", "uint16", "bool")
    }
    assert kinds == {"int8": ("int", 8), "uint16": ("uint", 16), "bool": ("bool", None)}
    assert dtype("uint16").is_integer
    assert dtype("float16").is_float
    assert not dtype("bool").is_integer


class _Nullable:
    numpy_dtype = np.dtype("int32")


class _Merlin:
    name = "float16"
    element_type = "float"


def test_types_of_pandas_and_merlin_core_without_importing_them() -> None:
    assert dtype(_Nullable()).name == "int32"
    assert dtype(_Merlin()) == dtype("float16")


def test_a_type_of_ours_is_kept() -> None:
    own = DType("int64", ElementType.INT, 64, Shape((None, 3)))
    assert dtype(own) is own
    assert own.without_shape.shape.is_unknown
    assert own.without_shape.with_shape((None, 3)).shape.as_tuple == ((0, None), 3)


def test_to_numpy_and_torch() -> None:
    assert dtype("int16").to_numpy == np.dtype("int16")
    assert dtype("int16").to_torch is torch.int16
    with pytest.raises(ValueError, match="numpy has no type for 'unknown': give the column a dtype it has"):
        _ = dtype("unknown").to_numpy
    with pytest.raises(ValueError, match="torch has no type for 'str': encode the column as numbers"):
        _ = dtype("str").to_torch


@pytest.mark.parametrize("value", ["foo", list, 3])
def test_what_is_no_type_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="is no known dtype: write a name of numpy's"):
        dtype(value)


def test_none_is_refused() -> None:
    with pytest.raises(TypeError, match="None is no dtype"):
        dtype(None)


def test_types_of_a_library_by_its_name() -> None:
    assert dtype("int32").to("numpy") == np.dtype("int32")
    assert dtype("int32").to("torch") is torch.int32
    with pytest.raises(ValueError, match="types of 'tf' are not known: write 'numpy' or 'torch'"):
        dtype("int32").to("tf")
