"""``merlin.dtypes.aliases`` where merlin-core is not installed."""

from merlin_models_torch.schema import dtype

uint8, uint16, uint32, uint64 = (dtype(f"uint{bits}") for bits in (8, 16, 32, 64))
int8, int16, int32, int64 = (dtype(f"int{bits}") for bits in (8, 16, 32, 64))
float16, float32, float64 = (dtype(f"float{bits}") for bits in (16, 32, 64))
datetime64 = dtype("datetime64")
datetime64Y, datetime64M, datetime64D, datetime64h, datetime64m = (
    dtype(f"datetime64[{unit}]") for unit in ("Y", "M", "D", "h", "m")
)
datetime64s, datetime64ms, datetime64us, datetime64ns = (
    dtype(f"datetime64[{unit}]") for unit in ("s", "ms", "us", "ns")
)
string, boolean, object_, struct, unknown = (
    dtype(name) for name in ("str", "bool", "object", "struct", "unknown")
)

__all__ = [
    "boolean",
    "datetime64",
    "datetime64D",
    "datetime64M",
    "datetime64Y",
    "datetime64h",
    "datetime64m",
    "datetime64ms",
    "datetime64ns",
    "datetime64s",
    "datetime64us",
    "float16",
    "float32",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "object_",
    "string",
    "struct",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "unknown",
]
