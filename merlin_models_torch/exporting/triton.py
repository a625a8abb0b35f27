"""The configuration of an ONNX program in the model repository of Triton Inference Server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TYPES = {"int64": "TYPE_INT64", "float32": "TYPE_FP32"}
# Rows that the server joins; requests with sequences of other lengths are not joined.
_LARGEST_BATCH = 256


def triton_config(described: Mapping[str, Any]) -> str:
    """``config.pbtxt`` of a program.

    The batch is left out of the dimensions, as Triton counts it. A tensor with no other dimension is (B, 1)
    for clients. The model's name is that of its folder.

    Args:
        described: the program's signature.
    """
    lines = ['backend: "onnxruntime"', f"max_batch_size: {_LARGEST_BATCH}"]
    for kind in ("input", "output"):
        lines += [_tensor(kind, tensor) for tensor in described[f"{kind}s"]]
    return "\n".join([*lines, "dynamic_batching { }", ""])


def _tensor(kind: str, tensor: Mapping[str, Any]) -> str:
    dims = [dim if isinstance(dim, int) else -1 for dim in tensor["dims"][1:]]
    # Triton knows no tensors of the batch alone.
    shape = f"dims: {dims}" if dims else "dims: [1] reshape { shape: [] }"
    name = tensor["name"].replace("\\", "\\\\").replace('"', '\\"')
    return f'{kind} {{ name: "{name}" data_type: {_TYPES[tensor["dtype"]]} {shape} }}'
