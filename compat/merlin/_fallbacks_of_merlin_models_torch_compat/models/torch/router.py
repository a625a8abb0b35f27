"""``merlin.models.torch.router``: columns sent to the modules that are meant for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from merlin.models._legacy import legacy
from merlin.models.torch._columns import named_columns
from merlin.models.torch.block import Staged
from torch import nn

from merlin_models_torch import blocks as core
from merlin_models_torch.batch import Batch
from merlin_models_torch.schema import ColumnSchema, Schema, as_schema


def initialize(module: Any, schema: Schema) -> None:
    """Gives a module that waits for its columns their schema."""
    if hasattr(module, "initialize_from_schema") and not getattr(module, "initialized", False):
        module.initialize_from_schema(schema)


@legacy
class RouterBlock(Staged, core.RouterBlock):
    """A router whose schema may come later, with modules before and after the routes.

    Args:
        selectable: schema of the columns, or a router whose outputs they are; None if it is not known yet.
        prepend_routing_module: False gives each module everything that comes in, not its own columns alone.
    """

    def __init__(self, selectable: Any = None, prepend_routing_module: bool = True) -> None:
        source = selectable if isinstance(selectable, core.RouterBlock) else Schema()
        core.RouterBlock.__init__(self, source)
        self._stages()
        self.prepend_routing_module = prepend_routing_module
        self.initialized = isinstance(selectable, core.RouterBlock)
        if selectable is not None and not self.initialized:
            self.initialize_from_schema(as_schema(selectable))

    def initialize_from_schema(self, schema: Any) -> None:
        """Sets the columns that can be routed."""
        self._schema = as_schema(schema)
        self.initialized = True

    @property
    def input_schema(self) -> Schema:
        """The columns that the routes take."""
        return super().input_schema if self.prepend_routing_module else self.schema

    def add_route(  # type: ignore[override]
        self, selection: Any, module: Any = None, name: str | None = None, required: bool = True
    ) -> Any:
        """Sends the columns that a selection means to a module.

        Args:
            selection: tag, column, schema, name, function of a schema or of a column, or several of these.
            module: gets a dict of the columns; without it they come out as they are.
            name: of the route.
            required: whether it is an error if nothing fits.

        Raises:
            ValueError: if nothing fits, or a route of the name exists.
        """
        wanted = chosen(self.schema, selection)
        found = self._selected(wanted, required=False)
        if found is None:
            if required:
                raise ValueError(f"no column fits {selection!r}, there are {self.schema.column_names}")
            return self
        if module is not None:
            initialize(module, found)
        if self.prepend_routing_module:
            return super().add_route(wanted, module, name=name or _name(selection), required=required)
        if module is None:
            raise ValueError(f"the route of {found.column_names} has no module: give one")
        route = name or _name(selection) or "_".join(found.column_names)
        if route in self.branches:
            raise ValueError(f"there already is a route {route!r}: give this one another name")
        self._set(route, module)
        return self

    def add_route_for_each(  # type: ignore[override]
        self, selection: Any, module: Any, shared: bool = False, required: bool = True
    ) -> Any:
        """Sends each of the columns that a selection means to a module of its own, or each to the same."""
        if isinstance(selection, (list, tuple)):
            for one in selection:
                self.add_route_for_each(one, module, shared=shared, required=False)
            return self
        return super().add_route_for_each(
            chosen(self.schema, selection), module, shared=shared, required=False
        )

    def reroute(self) -> RouterBlock:
        """A router of what comes out of this one."""
        return RouterBlock(self)

    def forward(self, inputs: Any, batch: Batch | None = None) -> Any:
        """Runs every route on columns by name, lists in the two tensors of a loader or ragged."""
        return super().forward(named_columns(inputs), batch)

    def with_branches(self, branches: Mapping[str, nn.Module]) -> Any:
        """A router of the same columns with other branches."""
        made = RouterBlock(self._source(), self.prepend_routing_module)
        for name, branch in branches.items():
            made._set(name, branch)
        made.pre, made.post = self.pre, self.post
        return made


def chosen(schema: Schema, selection: Any) -> Any:
    """A selection of 23.12 as one of the core: a function may be of the whole schema; columns are by name."""
    if callable(selection) and not isinstance(selection, type):
        try:
            found = selection(schema)
        except (AttributeError, TypeError):
            return selection
        return found.column_names if isinstance(found, Schema) else selection
    if isinstance(selection, ColumnSchema):
        return selection.name
    if hasattr(selection, "column_names"):
        return list(selection.column_names)
    return selection


def _name(selection: Any) -> str | None:
    name = getattr(selection, "__name__", None)
    return name if callable(selection) and name != "<lambda>" else None
