"""What comes out of a module, seen by passing made-up rows through a copy of it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from merlin_models_torch.batch import Batch, Column, Ragged
from merlin_models_torch.inputs import TabularInputBlock
from merlin_models_torch.schema import ColumnSchema, Schema, Tags
from merlin_models_torch.schema.dtypes import dtype
from merlin_models_torch.selection.columns import columns_of, feature_schema, input_schema
from merlin_models_torch.training.planning import input_blocks, planned

_ROWS = 2
_LENGTHS = (3, 4)
_OWNERS = (Tags.USER, Tags.ITEM, Tags.SESSION, Tags.CONTEXT)


def output_schema(module: nn.Module, inputs: Schema | Any | None = None) -> Schema:
    """The columns that come out of a module.

    Made-up rows go through a copy of it in evaluation mode, so that nothing of the module changes and no
    random number is drawn. Sizes that follow the length of the sequences are left open.

    Args:
        module: any module; one with a :class:`TabularInputBlock` runs as for prediction.
        inputs: the schema of what it gets, for a module that takes tensors: one column stands for a tensor,
            several for a dict of them.

    Returns:
        One column for each entry of a dict or batch that comes out, ``output`` for a single tensor,
        ``output_0`` and so on for several. Vectors are tagged EMBEDDING, and USER, ITEM, SESSION or CONTEXT
        if all inputs are. Columns that come out as they went in keep their schema.

    Raises:
        SchemaError: if the module takes tensors, and ``inputs`` is not given.

    Example:
        >>> inputs = TabularInputBlock(schema, embedding_dim=8)
        >>> vectors = output_schema(inputs)
        >>> vectors["output"].shape.dims[-1].max  # 8 + 8 + 1
        17
        >>> after = output_schema(MLPBlock([32]), vectors)["output"]
        >>> after.shape.dims[-1].max, Tags.EMBEDDING in after.tags
        (32, True)
    """
    taken = input_schema(module, inputs)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        copied = copy.deepcopy(module).to("cpu").eval()
        first, second = (_run(copied, taken, length) for length in _LENGTHS)
    owners = [tag for tag in _OWNERS if len(taken) and all(tag in column.tags for column in taken)]
    return Schema([_column(name, first[name], second[name], taken, owners) for name in first])


def _run(module: nn.Module, taken: Schema, length: int) -> dict[str, tuple[Any, bool]]:
    """Outputs by name, each with whether it is an input as it was."""
    inputs: Any
    if columns_of(module) is None:
        columns = {column.name: _values(column, taken, length) for column in taken}
        inputs = next(iter(columns.values())) if len(columns) == 1 else columns
    else:
        read = taken + (feature_schema(module) - taken)
        columns = {column.name: _values(column, read, length) for column in read}
        inputs = Batch(columns)
        # A model plans for itself.
        if not hasattr(module, "input_blocks") and any(
            isinstance(inner, TabularInputBlock) for inner in module.modules()
        ):
            inputs = planned(input_blocks(module), inputs, "predict")
    outputs = _named(module(inputs))
    return {name: (value, columns.get(name) is value) for name, value in outputs.items()}


def _values(column: ColumnSchema, schema: Schema, length: int) -> Tensor:
    """Rows of a column: the id 1 (0 where there is no other), or zeros."""
    dims = [] if column.shape.dims is None else list(column.shape.dims[1:])
    sizes = [dim.max if dim.is_fixed and dim.max is not None else length for dim in dims]
    if Tags.CATEGORICAL in column.tags:
        known = (column.properties.get("domain") or {}).get("max") is not None
        value = 1 if not known or schema.cardinality(column.name) > 1 else 0
        return torch.full((_ROWS, *sizes), value, dtype=torch.int64)
    return torch.zeros(_ROWS, *sizes)


def _named(output: Any) -> dict[str, Any]:
    if isinstance(output, Batch):
        return dict(output.features)
    if isinstance(output, Mapping):
        return dict(output)
    if isinstance(output, (tuple, list)):
        return {f"output_{number}": one for number, one in enumerate(output)}
    return {"output": output}


def _column(
    name: str, first: tuple[Column, bool], second: tuple[Column, bool], taken: Schema, owners: list[Tags]
) -> ColumnSchema:
    (one, unchanged), (other, _) = first, second
    if unchanged and name in taken:
        return taken[name]
    if isinstance(one, Ragged) or isinstance(other, Ragged):
        values = one.values if isinstance(one, Ragged) else one
        return ColumnSchema(name, tags=owners, dtype=_dtype(values), dims=(None, None, *values.shape[1:]))
    sizes = [a if a == b else None for a, b in zip(one.shape[1:], other.shape[1:], strict=True)]
    vectors = one.is_floating_point() and one.dim() > 1
    tags = [*owners, Tags.EMBEDDING] if vectors else owners
    return ColumnSchema(name, tags=tags, dtype=_dtype(one), dims=(None, *sizes))


def _dtype(values: Tensor) -> Any:
    return dtype(str(values.dtype).removeprefix("torch."))
