"""An input block for some of its columns, with the same weights."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

import torch
from torch import nn

from merlin_models_torch.inputs import TabularInputBlock
from merlin_models_torch.schema import Schema, SchemaError
from merlin_models_torch.serialize import arguments_of

_OVER_ALL = ("projection", "masking")


def smaller(block: TabularInputBlock, names: Set[str]) -> TabularInputBlock:
    """An input block of only these columns.

    What stands over all columns together is left out: the projection, and the masking with its vector, whose
    width is that of the projection.

    Args:
        block: to take the tables and the projection of continuous columns from; they are shared.
        names: columns of it, not all.

    Raises:
        SchemaError: if only some of the columns that are projected together are among them.
    """
    chosen = [name for name in block.continuous if name in names]
    if block.continuous_projection is not None and 0 < len(chosen) < len(block.continuous):
        raise SchemaError(
            f"the continuous columns {block.continuous} are projected together, and only {chosen} are "
            "selected: select all of them or none"
        )
    arguments = {name: value for name, value in arguments_of(block).items() if name not in _OVER_ALL}
    known = {*block.domains, *block.domains.values()}
    kept = {name for name in known if name in names}
    kept |= {block.domains[name] for name in kept if name in block.domains}
    arguments = {name: _cut(value, known, kept) for name, value in arguments.items()}
    arguments["schema"] = _columns(block, names)
    # Nothing is allocated: the weights are those of the block.
    with torch.device("meta"):
        part = type(block)(**arguments)
    for name, child in part.named_children():
        original = getattr(block, name)
        if isinstance(child, nn.ModuleDict):
            for key in child:
                child[key] = original[key]
        else:
            setattr(part, name, original)
    return part.train(block.training)


def _cut(value: Any, known: Set[str], kept: Set[str]) -> Any:
    """A mapping by column or domain without those that are gone."""
    if isinstance(value, Mapping) and value and known >= set(value):
        return {name: one for name, one in value.items() if name in kept}
    return value


def _columns(block: TabularInputBlock, names: Set[str]) -> Schema:
    """The columns, with the domains of their tables, which may be wider than that of one column."""
    columns = []
    for column in block.schema:
        if column.name not in names:
            continue
        if column.name in block.domains:
            table = block.tables[block.domains[column.name]]
            rows = table.num_embeddings if isinstance(table, nn.Embedding) else 0
            if rows > block.schema.cardinality(column.name):
                domain = {**column.properties["domain"], "max": rows - 1}
                column = column.with_properties({"domain": domain})
        columns.append(column)
    return Schema(columns)
