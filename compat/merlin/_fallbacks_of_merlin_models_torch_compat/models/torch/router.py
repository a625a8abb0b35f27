"""``merlin.models.torch.router``: columns sent to the modules that are meant for them."""

from __future__ import annotations

import copy
from inspect import isclass
from typing import Any

from merlin.models._legacy import legacy
from merlin.models.torch import schema as of
from merlin.models.torch.block import Block, ParallelBlock
from merlin.models.torch.container import BlockContainerDict
from merlin.schema import Schema


@legacy
class RouterBlock(ParallelBlock):
    """Branches that each get some of the columns.

    Args:
        selectable: schema of the columns, or a block whose outputs they are; None if they are not known yet.
        prepend_routing_module: False gives each module everything that comes in, not its own columns alone.
    """

    def __init__(self, selectable: Any, prepend_routing_module: bool = True) -> None:
        super().__init__()
        self.prepend_routing_module = prepend_routing_module
        self.selectable: Any = None
        if isinstance(selectable, Schema):
            self.initialize_from_schema(selectable)
            self._initialized_from_schema = True
        else:
            self.selectable = selectable

    def initialize_from_schema(self, schema: Any) -> None:
        """Sets the columns that can be routed."""
        from merlin.models.torch.inputs.select import SelectKeys

        self.selectable = SelectKeys(schema)

    def add_route(
        self, selection: Any, module: Any = None, name: str | None = None, required: bool = True
    ) -> Any:
        """Sends the columns that a selection means to a module.

        Args:
            selection: tag, column, schema, name, function of a schema, or several of these.
            module: gets a dict of the columns; without it they come out as they are.
            name: of the route; that of the selection if not given.
            required: whether it is an error if nothing fits.

        Raises:
            ValueError: if nothing fits, a route of the name exists, or there are no columns.
        """
        if self.selectable is None:
            raise ValueError("the router has no columns yet: give it a schema before its routes")
        chosen = of.select(self.selectable, selection)
        if not chosen:
            if required:
                raise ValueError(
                    f"no column fits {selection!r}, there are {self.selectable.schema.column_names}"
                )
            return self
        branch = module
        if module is not None:
            of.initialize_from_schema(module, chosen.schema)
            if self.prepend_routing_module:
                branch = (
                    module.prepend(chosen) if isinstance(module, ParallelBlock) else Block(chosen, module)
                )
        elif self.prepend_routing_module:
            branch = chosen
        else:
            raise ValueError(f"the route of {chosen.schema.column_names} has no module: give one")
        route = name or of.selection_name(selection)
        if route in self.branches:
            raise ValueError(f"there already is a route {route!r}: give this one another name")
        self.branches[route] = branch
        return self

    def add_route_for_each(
        self, selection: Any, module: Any, shared: bool = False, required: bool = True
    ) -> Any:
        """Sends each of the columns that a selection means to a module of its own, or each to the same.

        Args:
            selection: as for :meth:`add_route`.
            module: copied for each column; a class is called with the column.
            shared: the same module for all.
            required: passed to :meth:`add_route`.
        """
        if isinstance(selection, (list, tuple)):
            for one in selection:
                self.add_route_for_each(one, module, shared=shared)
            return self
        for column in of.select(self.selectable.schema, selection):
            own = module
            if not shared:
                if isclass(module):
                    own = module(column)
                else:
                    own = module.copy() if hasattr(module, "copy") else copy.deepcopy(module)
            self.add_route(column, own, name=column.name, required=required)
        return self

    def reroute(self) -> Any:
        """A router of what comes out of this one."""
        kind: Any = type(self)
        return kind(self)

    def replace(self, pre: Any = None, branches: Any = None, post: Any = None, selection: Any = None) -> Any:
        """A router of some of the columns, with some of the three stages replaced."""
        chosen = of.select(self.selectable.schema, selection)
        if not chosen:
            return ParallelBlock()
        kind: Any = type(self)
        made = kind(chosen)
        made.pre = self.pre if pre is None else pre
        if branches is not None:
            made.branches = BlockContainerDict(branches) if isinstance(branches, dict) else branches
        else:
            made.branches = self.branches
        made.post = self.post if post is None else post
        return made
