"""``merlin.models.torch.schema``: columns that modules take and give, and parts of modules by columns."""

from __future__ import annotations

import contextlib
from typing import Any

from merlin.models._legacy import legacy, served
from merlin.models.torch._dispatch import (
    NAMESPACE_TAGS,
    Extract,
    InputSchema,
    OutputSchema,
    Select,
    default_tag_propagation,
    keep,
    kept,
    of_tensor,
)
from merlin.models.torch.utils.module_utils import check_batch_arg
from merlin.schema import ColumnSchema, Schema, Tags, TagSet
from torch import nn

Selection = Any
"""A schema, column, tag, name, function of a schema, or a list of one of these."""
input_schema = InputSchema("input_schema")
output_schema = OutputSchema("output_schema", input_schema)
select = Select("select")
extract = Extract("extract", select)


class LazySchemaModuleMixin:
    """A module that gets its columns once."""

    _initialized_from_schema = False

    def initialize_from_schema(self, schema: Any) -> None:
        """Marks the module as having them.

        Raises:
            RuntimeError: if it had them before.
        """
        if self._initialized_from_schema:
            raise RuntimeError(f"{type(self).__name__} has its schema: make another one for other columns")
        self._initialized_from_schema = True


class Selectable:
    """A module from which columns are selected."""

    def initialize_from_schema(self, schema: Any) -> Any:
        """Sets the columns."""
        self.schema = schema
        return self

    def select(self, selection: Selection) -> Any:
        """The part of some columns."""
        raise NotImplementedError(f"{type(self).__name__} has no select: write it")


@legacy
def trace(module: nn.Module, inputs: Any, **kwargs: Any) -> Any:
    """Calls a module, and keeps with every part of it the columns that it got and gave.

    Args:
        module: to call.
        inputs: what it takes.
        **kwargs: passed to it; ``batch`` for modules that ask for one.

    Returns:
        What it gives.

    Raises:
        ValueError: if a part asks for a batch and there is none.
    """
    batch = kwargs.get("batch")

    def look(part: nn.Module, given: tuple[Any, ...], found: Any) -> None:
        # A part of a program's own may take or give what has no columns.
        with contextlib.suppress(NotImplementedError, IndexError):
            taken = input_schema.trace(part, given[0])
            initialize_from_schema(part, taken)
            keep(part, taken, lambda: output_schema.trace(part, taken, found))
        accepts, requires = check_batch_arg(part)
        if requires and batch is None:
            raise ValueError(f"{type(part).__name__} asks for a batch and there is none: pass batch=")
        if batch is not None and accepts and hasattr(part, "compute_feature_schema"):
            of_batch = input_schema.tensors(batch.features)
            part.__dict__["__feature_schema"] = part.compute_feature_schema(of_batch)
        elif requires and batch is not None:
            part.__dict__["__feature_schema"] = input_schema.tensors(batch.features)

    hooks = [part.register_forward_hook(look) for part in module.modules() if not output_schema.knows(part)]
    try:
        return module(inputs, **kwargs)
    finally:
        for hook in hooks:
            hook.remove()


@legacy
def feature_schema(module: nn.Module) -> Any:
    """The columns of the batch that the traced parts of a module read."""
    found = Schema()
    for part in module.modules():
        found += part.__dict__.get("__feature_schema") or Schema()
    return found


@legacy
def target_schema(module: nn.Module) -> Any:
    """The columns that the parts of a module name as their targets."""
    found = Schema()
    for part in module.modules():
        found += getattr(part, "target_schema", Schema())
    return found


@legacy
def initialize_from_schema(module: Any, schema: Any) -> None:
    """Gives a module that waits for its columns a schema; of a list the first, of branches all."""
    from merlin.models.torch.block import ParallelBlock
    from merlin.models.torch.container import BlockContainer

    waits = not getattr(module, "_initialized_from_schema", False)
    if hasattr(module, "initialize_from_schema") and waits:
        module.initialize_from_schema(schema)
        module._initialized_from_schema = True
    elif isinstance(module, ParallelBlock):
        for branch in module.branches.values():
            initialize_from_schema(branch, schema)
    elif isinstance(module, BlockContainer) and module:
        initialize_from_schema(module[0], schema)


@legacy
def select_schema(schema: Any, selection: Selection) -> Any:
    """Some of the columns of a schema.

    Raises:
        ValueError: if it is no schema, or the selection none of what columns are selected by.
    """
    if not isinstance(schema, Schema):
        raise ValueError(f"columns are selected from a schema, not from a {type(schema).__name__}")
    if isinstance(selection, Schema):
        return selection
    if isinstance(selection, ColumnSchema):
        known = selection.name in schema.column_names
        return Schema([schema[selection.name]]) if known else Schema()
    if isinstance(selection, (Tags, TagSet)):
        return schema.select_by_tag(selection)
    if callable(selection):
        return selection(schema)
    if isinstance(selection, str):
        return schema if selection == "*" else Schema([_column(schema, selection)])
    if isinstance(selection, (list, tuple)):
        if all(isinstance(one, (str, ColumnSchema)) and not isinstance(one, Tags) for one in selection):
            return Schema([_column(schema, getattr(one, "name", one)) for one in selection])
        if all(isinstance(one, (Tags, TagSet)) for one in selection):
            return schema.select_by_tag(list(selection))
    raise ValueError(
        f"columns are selected by schema, column, tag, name, function or a list of one of these, "
        f"not by {selection!r}"
    )


def _column(schema: Any, name: str) -> Any:
    if name not in schema.column_names:
        raise KeyError(f"the schema has no column {name!r}, only {schema.column_names}: check the name")
    return schema[name]


select.register(Schema, select_schema)


@legacy
def select_union(*selections: Selection) -> Any:
    """A selection of what any of several means."""

    def combined_select(schema: Any) -> Any:
        found = Schema()
        for selection in selections:
            found += select(schema, selection)
        return found

    return combined_select


@legacy
def selection_name(selection: Selection) -> str:
    """A name for a selection: of a column, tag, schema or function.

    Raises:
        ValueError: if it is something else.
    """
    if isinstance(selection, ColumnSchema):
        return str(selection.name)
    if isinstance(selection, Tags):
        return str(selection.value)
    if isinstance(selection, Schema):
        return "_".join(selection.column_names)
    if callable(selection):
        return str(selection.__name__)
    raise ValueError(f"{selection!r} has no name: give name=")


__getattr__ = served(__name__)
__all__ = [
    "NAMESPACE_TAGS",
    "LazySchemaModuleMixin",
    "Selectable",
    "Selection",
    "default_tag_propagation",
    "extract",
    "feature_schema",
    "initialize_from_schema",
    "input_schema",
    "kept",
    "of_tensor",
    "output_schema",
    "select",
    "select_schema",
    "select_union",
    "selection_name",
    "target_schema",
    "trace",
]
