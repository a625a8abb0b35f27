"""Parts of a model by the columns they belong to: towers, embedding tables, what is before the output."""

from __future__ import annotations

import copy as copying
from typing import Any

from torch import nn

from merlin_models_torch.batch import Batch
from merlin_models_torch.blocks import Block, ParallelBlock, RouterBlock
from merlin_models_torch.inputs import TabularInputBlock
from merlin_models_torch.schema import Schema, SchemaError, Selection
from merlin_models_torch.selection.columns import feature_schema
from merlin_models_torch.selection.smaller import smaller
from merlin_models_torch.serialize import serializable
from merlin_models_torch.training.planning import input_blocks, planned


@serializable
class ModelPart(nn.Module):
    """A part of a model that takes batches as a loader gives them, and prepares them as for prediction.

    Args:
        block: the part, without an output.

    Example:
        >>> part = ModelPart(model.body)
        >>> part.schema.column_names
        ['item_id', 'category', 'price']
        >>> part(batch).shape  # 8 sessions of up to 13 items
        torch.Size([8, 13, 8])
    """

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    @property
    def schema(self) -> Schema:
        """The columns that the part reads."""
        return feature_schema(self.block)

    def forward(self, batch: Batch) -> Any:
        """What the part makes of the batch's columns; others are not needed.

        Returns:
            What its last module gives: (B, D), (B, T, D) with sequences, or several of these by name.
        """
        batch = batch.select(self.schema.column_names)
        if any(isinstance(module, TabularInputBlock) for module in self.block.modules()):
            batch = planned(input_blocks(self.block), batch, "predict")
        return self.block(batch)


def select(module: nn.Module, selection: Selection, *, copy: bool = False) -> nn.Module:
    """The part of a module that depends on some columns alone.

    Of a model that is everything up to where other columns, or the output, come in: ``select(model, "*")`` is
    the model without its output, ``select(model, Tags.USER)`` its user tower. Branches keep their names, an
    input block becomes a smaller one. What mixes the selected columns with others (a projection over all of
    them, the body) is left out.

    Args:
        module: a model, or a block that reads columns by name.
        selection: name, ``"*"``, tag, function of a column, schema, or several of these.
        copy: whether the part gets weights of its own. Otherwise it shares them with the module: training
            one changes the other.

    Returns:
        A module that takes batches: of a model as a loader gives them (:class:`ModelPart`), of a block as
        that takes them.

    Raises:
        SchemaError: if no column fits, or a module inside cannot be divided.

    Example:
        >>> model = TwoTowerModel(click_schema, units=[16, 4])
        >>> tower = select(model, Tags.USER)
        >>> users = Batch({"user_id": torch.tensor([1, 2]), "age": torch.tensor([0.3, 0.5])})
        >>> tower(users)["query"].shape
        torch.Size([2, 4])
    """
    whole = _body(module)
    columns = _selected(whole, selection)
    part = _part(whole, frozenset(columns.column_names))
    if part is None:
        raise SchemaError(f"no module reads {columns.column_names} by name: select other columns")
    return _finished(part, whole is not module, copy)


def extract(module: nn.Module, selection: Selection, *, copy: bool = False) -> nn.Module:
    """What belongs to some columns, by itself: an embedding table for one column, a bare tower for a branch.

    Args:
        module: a model, or a block that reads columns by name.
        selection: as for :func:`select`.
        copy: as for :func:`select`.

    Returns:
        For one column with an embedding table, the table, whose row ``i`` is the vector of id ``i``; else
        the part that :func:`select` gives, out of a dict if that would have one entry.

    Raises:
        SchemaError: as for :func:`select`.

    Example:
        >>> table = extract(model, Tags.ITEM_ID)
        >>> table.weight.shape  # row 0 is padding, row 1 unknown items, the others have the codes of 20
        torch.Size([22, 8])
        >>> code = files.vocabularies["item_id"].encode(pa.array(["item-12"]))
        >>> code, table(torch.tensor(code)).shape
        (array([3]), torch.Size([1, 8]))
    """
    whole = _body(module)
    columns = _selected(whole, selection)
    if len(columns) == 1:
        table = _table(whole, columns.first.name)
        if table is not None:
            return copying.deepcopy(table) if copy else table
    part = _part(whole, frozenset(columns.column_names))
    if part is None:
        raise SchemaError(f"no module reads {columns.column_names} by name: select other columns")
    return _finished(_unwrapped(part), whole is not module, copy)


def _body(module: nn.Module) -> nn.Module:
    """What is before the output of a model."""
    body = getattr(module, "body", None)
    return body if isinstance(body, nn.Module) and hasattr(module, "output") else module


def _finished(part: nn.Module, of_model: bool, copy: bool) -> nn.Module:
    part = copying.deepcopy(part) if copy else part
    return ModelPart(part) if of_model else part


def _selected(module: nn.Module, selection: Selection) -> Schema:
    schema = feature_schema(module)
    columns = schema.select(selection)
    if not len(columns):
        tags = {column.name: sorted(getattr(tag, "value", tag) for tag in column.tags) for column in schema}
        raise SchemaError(
            f"no column fits the selection {selection!r}, {type(module).__name__} reads (with their tags) "
            f"{tags}: change the selection or the tags"
        )
    return columns


def _part(module: nn.Module, names: frozenset[str]) -> nn.Module | None:
    """The part that depends on these columns alone; the module itself if it reads no other, None if none."""
    read = set(feature_schema(module).column_names)
    if not read & names:
        return None
    if read <= names:
        return module
    chosen = getattr(module, "select", None)
    if callable(chosen):
        result: nn.Module = chosen(sorted(read & names))
        return result
    if isinstance(module, TabularInputBlock):
        # Those that late fusion takes are read by another module.
        own_names = (read & names).difference(getattr(module, "left_out", ()))
        return smaller(module, own_names) if own_names else None
    if isinstance(module, RouterBlock):
        return _part_of_router(module, names)
    if isinstance(module, ParallelBlock):
        return module.with_branches(_branches(module, names))
    if isinstance(module, Block):
        layers = _part_of_chain(list(module), names)
        return layers[0] if type(module) is Block and len(layers) == 1 else module.with_modules(layers)
    if isinstance(module, nn.Sequential):
        return nn.Sequential(*_part_of_chain(list(module), names))
    parts = [part for child in module.children() if (part := _part(child, names)) is not None]
    if len(parts) == 1:
        return parts[0]
    raise SchemaError(
        f"{type(module).__name__} joins {sorted(read & names)} with {sorted(read - names)} and cannot be "
        "divided: select all of them, or take a module inside of it by find()"
    )


def _branches(module: ParallelBlock, names: frozenset[str]) -> dict[str, nn.Module]:
    parts = {name: _part(module[name], names) for name in module}
    return {name: part for name, part in parts.items() if part is not None}


def _part_of_router(router: RouterBlock, names: frozenset[str]) -> nn.Module:
    if router.source is None:
        branches = _branches(router, names)
        return RouterBlock(router.schema.select_by_name(sorted(names)), branches=branches)
    joined = {name for name, columns in router.source.joined.items() if names.issuperset(columns)}
    branches = _branches(router, names | joined)
    source = _part(router.source, names)
    if not isinstance(source, RouterBlock) or not branches:
        raise SchemaError(
            f"no route after the first router belongs to {sorted(names)} alone: select more columns, or "
            "select from the first router"
        )
    return RouterBlock(source, branches=branches)


def _part_of_chain(layers: list[nn.Module], names: frozenset[str]) -> list[nn.Module]:
    """The layers up to the first that needs more than the columns give.

    Layers before the first that reads columns act on the batch, and stay.
    """
    kept: list[nn.Module] = []
    started = whole = passed = False
    for layer in layers:
        reads = bool(len(feature_schema(layer)))
        if not started and not reads:
            kept.append(layer)
            continue
        # After a layer of other columns, one that takes its output is of no use; what it reads itself may be.
        part = _part(_reader(layer) if passed else layer, names)
        if not started:
            passed = passed or part is None
            if part is not None:
                started, whole = True, part is layer
                kept.append(part)
        elif whole and (not reads or part is layer):
            kept.append(layer)
        elif reads and part is not None and isinstance(layer, ParallelBlock):
            kept.append(part)
            whole = False
        else:
            break
    return kept


def _reader(layer: nn.Module) -> nn.Module:
    """The module inside that reads columns from the batch; the layer itself if it does, or several do."""
    if isinstance(getattr(layer, "schema", None), Schema) or isinstance(layer, ParallelBlock):
        return layer
    readers = [child for child in layer.children() if len(feature_schema(child))]
    return _reader(readers[0]) if len(readers) == 1 else layer


def _table(module: nn.Module, name: str) -> nn.Module | None:
    """The embedding table of a column."""
    for inner in module.modules():
        given = getattr(inner, "embeddings", None)
        if isinstance(inner, TabularInputBlock) and given is not None and name in given:
            module_given: nn.Module = given[name]
            return module_given
        tables, domains = getattr(inner, "tables", None), getattr(inner, "domains", None)
        if (
            isinstance(tables, nn.ModuleDict)
            and isinstance(domains, dict)
            and domains.get(name, "") in tables
        ):
            return tables[domains[name]]
    return None


def _unwrapped(part: nn.Module) -> nn.Module:
    if type(part) is Block and len(part) == 1:
        return _unwrapped(part[0])
    if type(part) in (ParallelBlock, RouterBlock) and isinstance(part, ParallelBlock) and len(part) == 1:
        source = getattr(part, "source", None)
        branch = part[next(iter(part))]
        return branch if source is None else Block(source, branch)
    return part
