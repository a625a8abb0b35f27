"""Sizes of outputs, and what modules share."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from types import FunctionType
from typing import Any

import numpy as np
import torch
from merlin.schema import Tags
from torch import Tensor

from merlin_models_torch._pages import use_large_pages
from merlin_models_torch.schema import as_schema
from transformers4rec._legacy import Refused, also, elsewhere
from transformers4rec.config.schema import SchemaMixin, requires_schema

__all__ = [
    "LambdaModule",
    "LossMixin",
    "MetricsMixin",
    "OutputSizeMixin",
    "calculate_batch_size_from_input_size",
    "check_gpu",
    "concat_batches",
    "get_output_sizes_from_schema",
    "nested_concat",
    "nested_detach",
    "nested_numpify",
    "nested_truncate",
    "requires_schema",
]

_HOMES = {
    "merlin_standard_lib": "ColumnSchema Schema",
    "transformers4rec.torch.utils._helpers": "MappingTransformerMasking atleast_1d check_inputs"
    " create_output_placeholder extract_topk numpy_pad_and_concatenate one_hot_1d"
    " torch_pad_and_concatenate tranform_label_to_onehot",
}
__all__ += also(__name__, _HOMES)
__getattr__ = elsewhere(__name__, _HOMES)


class OutputSizeMixin(SchemaMixin, abc.ABC):
    """Knows the size of its output once it was built with the size of its input."""

    def build(self, input_size: Any, schema: Any = None, **kwargs: Any) -> Any:
        """Takes note of the input's size, and of the schema if it has none."""
        self.check_schema(schema=schema)
        self.input_size = input_size
        if schema and not self.schema:
            self.schema = schema
        return self

    def output_size(self, input_size: Any = None) -> Any:
        """Size of the output, or sizes by column; None as long as the input's is not known."""
        input_size = input_size or getattr(self, "input_size", None)
        return self.forward_output_size(input_size) if input_size else None

    def forward_output_size(self, input_size: Any) -> Any:
        """Size that ``forward`` makes of this input size."""
        raise NotImplementedError(f"{type(self).__name__} has to define forward_output_size")

    def __rrshift__(self, other: Any) -> Any:
        from transformers4rec.torch.block.base import right_shift_block

        return right_shift_block(self, other)


class LossMixin:
    """Has a loss."""

    def compute_loss(self, inputs: Any, targets: Any, compute_metrics: bool = True, **kwargs: Any) -> Tensor:
        """The loss of one batch."""
        raise NotImplementedError(f"{type(self).__name__} has no loss of its own: call it with training=True")


class MetricsMixin:
    """Has metrics that add up over batches."""

    def calculate_metrics(self, inputs: Any, targets: Any) -> dict[str, Tensor]:
        """Adds a batch to the metrics and gives its own values."""
        raise NotImplementedError(f"{type(self).__name__} has to define calculate_metrics")

    def compute_metrics(self, mode: str | None = None) -> dict[str, Any]:
        """The metrics over all batches since the last reset."""
        raise NotImplementedError(f"{type(self).__name__} has to define compute_metrics")

    def reset_metrics(self) -> None:
        """Forgets all batches."""
        raise NotImplementedError(f"{type(self).__name__} has to define reset_metrics")


class LambdaModule(torch.nn.Module):
    """A function of Python as a module.

    Raises:
        Refused: if it is none.
    """

    def __init__(self, lambda_fn: Any) -> None:
        if not isinstance(lambda_fn, FunctionType):
            raise Refused(f"lambda_fn is a {type(lambda_fn).__name__}: give a function of the input")
        super().__init__()
        self.lambda_fn = lambda_fn

    def forward(self, x: Any) -> Any:
        """The function's value."""
        return self.lambda_fn(x)


def check_gpu(module: torch.nn.Module) -> bool:
    """Whether the first parameter is on a CUDA device."""
    return next((parameter.is_cuda for parameter in module.parameters()), False)


def get_output_sizes_from_schema(
    schema: Any, batch_size: int = -1, max_sequence_length: int | None = None
) -> dict[str, torch.Size]:
    """Size of each column as the data loader gives it.

    Args:
        schema: one of ours, of merlin-core or of merlin_standard_lib.
        batch_size: rows, -1 for any number.
        max_sequence_length: length of list columns; the schema's value count if not given, -1 for any.
    """
    sizes = {}
    for column in as_schema(schema):
        shape = [batch_size]
        is_vector = Tags.EMBEDDING in column.tags
        # One vector a row looks like a list of numbers.
        has_positions = len(column.shape.dims or ()) > 2 if is_vector else column.is_list
        if has_positions:
            shape.append(max_sequence_length or int(column.value_count.max or -1))
        if is_vector:
            shape.append(int(column.shape[-1].min))
        sizes[column.name] = torch.Size(shape)
    return sizes


def calculate_batch_size_from_input_size(input_size: Any) -> int:
    """First dimension of a size, or of the first of several sizes by column.

    Raises:
        IndexError: if none of several is a ``torch.Size``.
    """
    if not isinstance(input_size, dict):
        return input_size[0]
    sizes = [size for size in input_size.values() if isinstance(size, torch.Size)]
    if not sizes:
        raise IndexError(f"no column has a torch.Size, got {input_size}: give the size of one at least")
    return sizes[0][0]


def _nested(tensors: Any, function: Any) -> Any:
    if isinstance(tensors, Tensor):
        return function(tensors)
    if isinstance(tensors, list | tuple):
        return type(tensors)(_nested(tensor, function) for tensor in tensors)
    if isinstance(tensors, Mapping):
        return type(tensors)({key: _nested(tensor, function) for key, tensor in tensors.items()})
    return function(tensors)


def nested_detach(tensors: Any) -> Any:
    """Lists, tuples and dictionaries of tensors, each detached."""
    return _nested(tensors, lambda tensor: tensor.detach())


def nested_numpify(tensors: Any) -> Any:
    """Lists, tuples and dictionaries of tensors, each as an array; bfloat16 as float32."""

    def numpify(tensor: Tensor) -> Any:
        return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).cpu().numpy()

    return _nested(tensors, numpify)


def nested_truncate(tensors: Any, limit: int) -> Any:
    """Lists, tuples and dictionaries of tensors or arrays, the first rows of each."""
    return _nested(tensors, lambda tensor: tensor[:limit])


def nested_concat(tensors: Any, new_tensors: Any, padding_index: int = -100) -> Any:
    """Two batches of the same nesting, tensors or arrays; see :func:`concat_batches`.

    Raises:
        Refused: if they are of two types.
        TypeError: if they are neither tensors nor arrays.
    """
    if type(tensors) is not type(new_tensors):
        raise Refused(
            f"a {type(tensors).__name__} and a {type(new_tensors).__name__} cannot be joined: "
            "give two of one type"
        )
    return concat_batches([tensors, new_tensors], padding_index)


def concat_batches(batches: list[Any], padding_index: int = -100) -> Any:
    """Batches of the same nesting, one after the other; narrower matrices are padded on the right.

    Args:
        batches: at least one; tensors or arrays, or lists, tuples and dictionaries of them.
        padding_index: fills the places of narrower matrices.

    Raises:
        TypeError: if they are neither.
    """
    first = batches[0]
    if isinstance(first, list | tuple):
        return type(first)(concat_batches(list(parts), padding_index) for parts in zip(*batches, strict=True))
    if isinstance(first, Mapping):
        return type(first)({key: concat_batches([b[key] for b in batches], padding_index) for key in first})
    if isinstance(first, np.ndarray):
        return concat_batches([torch.from_numpy(array) for array in batches], padding_index).numpy()
    if not isinstance(first, Tensor):
        raise TypeError(f"tensors or arrays are joined, got {type(first).__name__}")
    tensors = [tensor if tensor.dim() else tensor[None] for tensor in batches]
    shapes = [tensor.shape for tensor in tensors]
    if len(shapes[0]) > 1 and len({shape[1] for shape in shapes}) > 1:
        width = max(shape[1] for shape in shapes)
        tensors = [
            torch.nn.functional.pad(t, (0, 0) * (t.dim() - 2) + (0, width - t.shape[1]), value=padding_index)
            for t in tensors
        ]
    first = tensors[0]
    if any(t.dtype != first.dtype or t.requires_grad for t in tensors):
        return torch.cat(tensors)
    joined = first.new_empty(sum(shape[0] for shape in shapes), *first.shape[1:])
    use_large_pages(joined, written=False)
    return torch.cat(tensors, out=joined)
