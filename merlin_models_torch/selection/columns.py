"""Which columns a module takes, reads and predicts, found without running it."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from torch import nn

from merlin_models_torch.blocks import Block, ParallelBlock, RouterBlock
from merlin_models_torch.schema import ColumnSchema, Schema, SchemaError, Tags, as_schema


def input_schema(module: nn.Module, inputs: Schema | Any | None = None) -> Schema:
    """The columns that a module takes as its input.

    Args:
        module: any module; its own ``input_schema`` or ``schema`` counts, else those of the modules inside.
        inputs: what it gets, for a module that takes tensors and so knows no names.

    Returns:
        These columns; ``inputs`` for a module that takes tensors.

    Raises:
        SchemaError: if the module takes tensors, and ``inputs`` is not given.

    Example:
        >>> input_schema(TabularInputBlock(schema)).column_names
        ['item_id', 'category', 'price']
        >>> numbers = output_schema(TabularInputBlock(click_schema))
        >>> input_schema(MLPBlock([8]), numbers) == numbers  # tensors have no names of their own
        True
    """
    found = columns_of(module)
    if found is not None:
        return found
    if inputs is None:
        raise SchemaError(
            f"{type(module).__name__} takes tensors rather than columns by name: pass inputs=, the schema of "
            "what it gets, such as the output_schema of the module before it"
        )
    return as_schema(inputs)


def feature_schema(module: nn.Module) -> Schema:
    """The columns of a batch that a module or any module inside reads; none for one that takes tensors.

    Unlike :func:`input_schema` it holds the columns that later modules of a chain take from the batch, such
    as context that joins a sequence after the body.

    Args:
        module: any module.

    Returns:
        The columns in the order in which modules read them.

    Example:
        >>> feature_schema(model).column_names
        ['item_id', 'category', 'price']
        >>> len(feature_schema(nn.Linear(2, 3)))
        0
    """
    return _features(module) or Schema()


def target_schema(module: nn.Module) -> Schema:
    """The columns that the outputs of a model are trained on, tagged TARGET.

    Args:
        module: a model, or an output alone. The target of a next-item output is the item-id column, which is
            known once it is in a model.

    Returns:
        The targets of all outputs inside, none if there are no outputs. Of a label no more is known than its
        name, unless the output has a ``target_schema`` of its own.

    Example:
        >>> target_schema(model).column_names
        ['item_id']
        >>> target_schema(DLRMModel(click_schema, embedding_dim=8, bottom=[8], top=[4])).column_names
        ['click']
    """
    features = feature_schema(module)
    targets = Schema()
    for inner in module.modules():
        targets = targets + Schema([_as_target(column) for column in _targets(inner, features)])
    return targets


def columns_of(module: nn.Module) -> Schema | None:
    """The columns that a module takes by name; None if it takes tensors."""
    own = _own(module)
    if own is not None:
        return own
    if isinstance(module, (Block, nn.Sequential, nn.ModuleList)):
        return next((found for layer in module if (found := columns_of(layer)) is not None), None)
    if isinstance(module, ParallelBlock):
        return _union(columns_of(module[name]) for name in module)
    return _union(columns_of(child) for child in module.children())


def _features(module: nn.Module) -> Schema | None:
    own = _own(module)
    if own is not None:
        return own
    if not isinstance(module, (Block, nn.Sequential)):
        return _union(_features(child) for child in module.children())
    features: Schema | None = None
    made: set[str] = set()
    for layer in module:
        found = _features(layer)
        if found is not None:
            features = _union([features, found.excluding_by_name(made)])
        made |= _made(layer)
    return features


def _made(layer: nn.Module) -> set[str]:
    """Names that come out of a layer and are not those of columns."""
    if not isinstance(layer, RouterBlock):
        return set()
    return set(layer.output_schema.column_names) - set(layer.input_schema.column_names)


def _own(module: nn.Module) -> Schema | None:
    for name in ("input_schema", "schema"):
        own = getattr(module, name, None)
        if inspect.ismethod(own):
            own = own()
        if isinstance(own, Schema):
            return own
    return None


def _union(schemas: Iterable[Schema | None]) -> Schema | None:
    union: Schema | None = None
    for schema in schemas:
        if schema is not None:
            # Where two modules read one column, both have it from the same schema.
            union = schema if union is None else union + (schema - union)
    return union


def _targets(module: nn.Module, features: Schema) -> Iterable[ColumnSchema]:
    own = getattr(module, "target_schema", None)
    if isinstance(own, Schema):
        return own
    item = getattr(module, "item_id", None)
    if isinstance(item, str) and hasattr(module, "topk") and item in features:
        return [features[item]]
    name = getattr(module, "target", None)
    return [ColumnSchema(name)] if isinstance(name, str) and hasattr(module, "loss") else []


def _as_target(column: ColumnSchema) -> ColumnSchema:
    return column if Tags.TARGET in column.tags else column.with_tags([*column.tags, Tags.TARGET])
