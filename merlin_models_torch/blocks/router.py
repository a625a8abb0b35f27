"""Columns sent to the modules that are meant for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from torch import Tensor, nn

from merlin_models_torch.batch import Batch
from merlin_models_torch.blocks.base import Block, ParallelBlock
from merlin_models_torch.blocks.repeat import copies
from merlin_models_torch.blocks.select import SelectKeys
from merlin_models_torch.schema import ColumnSchema, Schema
from merlin_models_torch.schema.errors import SchemaError
from merlin_models_torch.schema.selection import Selection
from merlin_models_torch.serialize import serializable


@serializable
class RouterBlock(ParallelBlock):
    """Branches that each get some of the columns.

    The columns of a route go to its module as a dict by name; without a module they come out as they are.
    The outputs are those of a :class:`ParallelBlock`.

    Args:
        source: the schema of the columns; or a router, whose outputs are then the columns (:meth:`reroute`).
        branches: modules by name that are there from the start, each beginning with its own
            :class:`SelectKeys`. Routes are added more simply by :meth:`add_route`.

    Raises:
        TypeError: if the source is neither a schema nor a router.

    Example:
        >>> tables = EmbeddingTables(click_schema.select(Tags.CATEGORICAL), embedding_dim=8)
        >>> router = RouterBlock(click_schema).add_route(Tags.CATEGORICAL, tables)
        >>> outputs = router.add_route(Tags.CONTINUOUS, MLPBlock([4]))(sample_batch(click_schema, rows=2))
        >>> {name: tuple(vectors.shape) for name, vectors in outputs.items()}
        {'user_id': (2, 8), 'item_id': (2, 8), 'continuous': (2, 4)}
    """

    def __init__(
        self, source: Schema | RouterBlock, *, branches: Mapping[str, nn.Module] | None = None
    ) -> None:
        super().__init__({})
        if not isinstance(source, (Schema, RouterBlock)):
            raise TypeError(
                f"a router routes the columns of a schema or of a router, not of {type(source).__name__}"
            )
        self.source = source if isinstance(source, RouterBlock) else None
        self._schema = source.output_schema if isinstance(source, RouterBlock) else source
        for name, branch in (branches or {}).items():
            self._set(name, branch)

    @property
    def schema(self) -> Schema:
        """The columns that can be routed."""
        return self._schema

    @property
    def input_schema(self) -> Schema:
        """The columns that the routes take."""
        if self.source is not None:
            return self.source.input_schema
        return Schema([column for name in self.branches for column in self.selection(name)])

    @property
    def output_schema(self) -> Schema:
        """What comes out as far as it is known without running: routed columns, and routes with a module.

        A module may keep its columns apart or join them under the name of the route, so both are there; what
        is joined has the tags that all of its columns have.
        """
        columns: dict[str, ColumnSchema] = {}
        joined = self.joined
        for name in self.branches:
            selected = self.selection(name)
            columns |= {column.name: column for column in selected}
            if name in joined:
                columns[name] = ColumnSchema(name, tags=set.intersection(*(set(c.tags) for c in selected)))
        return Schema(columns)

    @property
    def joined(self) -> dict[str, list[str]]:
        """The columns of each route whose module may join them under the route's name."""
        routes = {name: self.selection(name).column_names for name in self.branches}
        columns = {column for names in routes.values() for column in names}
        return {
            name: names
            for name, names in routes.items()
            if name not in columns and not isinstance(self[name], SelectKeys)
        }

    def selection(self, name: str) -> Schema:
        """The columns that a route takes."""
        branch = self[name]
        first = branch[0] if isinstance(branch, Block) else branch
        if not isinstance(first, SelectKeys):
            raise TypeError(f"route {name!r} does not begin with SelectKeys: add it by add_route")
        return first.schema

    def add_route(
        self,
        selection: Selection,
        module: nn.Module | None = None,
        *,
        name: str | None = None,
        required: bool = True,
    ) -> RouterBlock:
        """Sends the columns that a selection means to a module.

        Args:
            selection: name, ``"*"``, tag, function of a column, schema, or several of these.
            module: gets a dict of the columns; without it they come out as they are.
            name: of the route; the tag's or the column's own, or the names of the columns joined by "_".
            required: whether it is an error if nothing fits; otherwise no route is added then.

        Returns:
            This router.

        Raises:
            SchemaError: if no column fits, or a named one does not exist.
            ValueError: if a route of this name exists.
        """
        selected = self._selected(selection, required)
        if selected is None:
            return self
        route = name or _name(selection, selected)
        if route in self.branches:
            raise ValueError(
                f"the router already has a route {route!r} for {self.selection(route).column_names}: give "
                "this one another name"
            )
        keys = SelectKeys(selected, joined=self.source.joined if self.source is not None else None)
        self._set(route, keys if module is None else Block(keys, module))
        return self

    def add_route_for_each(
        self,
        selection: Selection,
        module: nn.Module | Callable[[ColumnSchema], nn.Module],
        *,
        shared: bool = False,
        required: bool = True,
    ) -> RouterBlock:
        """Sends each of the columns that a selection means to a module of its own, or each to the same.

        Args:
            selection: as for :meth:`add_route`.
            module: for the first column; the others get copies that draw weights of their own. Or a function
                of a column that makes its module.
            shared: all columns go to this one module.
            required: whether it is an error if nothing fits.

        Returns:
            This router. Routes have the names of their columns.

        Raises:
            SchemaError: if no column fits, or a named one does not exist.
            ValueError: if a column has a route of its name.
        """
        selected = self._selected(selection, required)
        if selected is None:
            return self
        for column in selected:
            if column.name in self.branches:
                raise ValueError(
                    f"the router already has a route {column.name!r}: leave this column out of the selection"
                )
        if not isinstance(module, nn.Module):
            modules = [module(column) for column in selected]
        else:
            modules = [module] * len(selected) if shared else copies(module, len(selected))
        for column, one in zip(selected, modules, strict=True):
            self.add_route(column.name, one)
        return self

    def _selected(self, selection: Selection, required: bool) -> Schema | None:
        selected = self.schema.select(selection)
        if len(selected):
            return selected
        if not required:
            return None
        columns = {column.name: sorted(str(tag) for tag in column.tags) for column in self.schema}
        raise SchemaError(
            f"no column fits the selection {selection!r}, there are (with their tags) {columns}: change the "
            "selection or the tags, or pass required=False"
        )

    def reroute(self) -> RouterBlock:
        """A router of what comes out of this one.

        Columns can so be treated by kind first and by owner then, with what is common computed once::

            router = RouterBlock(schema)
            router.add_route(Tags.CATEGORICAL, embeddings).add_route(Tags.CONTINUOUS)
            towers = router.reroute()
            towers.add_route(Tags.USER, MLPBlock([64])).add_route(Tags.ITEM, MLPBlock([64]))
        """
        return RouterBlock(self)

    def forward(self, inputs: Any, batch: Batch | None = None) -> dict[str, Tensor]:
        """Runs every route.

        Args:
            inputs: a batch, or columns by name: (B,), (B, D) or (B, T), or ragged.
            batch: passed to the modules that ask for it.

        Returns:
            Outputs by route name; where they come as a dict, by their own names.

        Raises:
            KeyError: if a column is missing.
        """
        if batch is None and isinstance(inputs, Batch):
            batch = inputs
        if self.source is not None:
            inputs = self.source(inputs, batch=batch)
        return super().forward(inputs, batch)

    def with_branches(self, branches: Mapping[str, nn.Module]) -> RouterBlock:
        """A router of the same columns with other branches."""
        return RouterBlock(self._source(), branches=branches)

    def init_arguments(self) -> dict[str, Any]:
        """What builds this block again."""
        return {"source": self._source(), **super().init_arguments()}

    def _source(self) -> Schema | RouterBlock:
        return self._schema if self.source is None else self.source


def _name(selection: Selection, selected: Schema) -> str:
    if isinstance(selection, Enum):
        return str(selection.value)
    if isinstance(selection, str) and selection != "*":
        return selection
    return "_".join(selected.column_names)
