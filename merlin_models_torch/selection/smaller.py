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
        SchemaError: if only some of the columns that are projected together, or one of a list and its
            weights, are among them.
    """
    chosen = [name for name in block.continuous if name in names]
    if block.continuous_projection is not None and 0 < len(chosen) < len(block.continuous):
        raise SchemaError(
            f"the continuous columns {block.continuous} are projected together, and only {chosen} are "
            "selected: select all of them or none"
        )
    for name, weights in block.list_weights.items():
        if (name in names) != (weights in names):
            raise SchemaError(
                f"list column {name!r} is weighted by {weights!r}, and only one of them is selected: select "
                "both or none"
            )
    arguments = {name: value for name, value in arguments_of(block).items() if name not in _OVER_ALL}
    crosses = arguments.get("crosses") or {}
    known = {*block.schema.column_names, *block.domains.values(), *crosses}
    kept = {name for name in block.schema.column_names if name in names}
    kept |= {block.domains[name] for name in kept if name in block.domains}
    kept |= {name for name, cross in crosses.items() if names >= set(cross.columns)}
    arguments = {name: _cut(value, known, kept) for name, value in arguments.items()}
    arguments["schema"] = _columns(block, names)
    widths = {
        name: getattr(table, "embedding_dim", 0) for name, table in block.tables.items() if name in kept
    }
    if widths:
        arguments["embedding_dim"] = widths
    # Nothing is allocated: the weights are those of the block.
    with torch.device("meta"):
        part = type(block)(**arguments)
    _adopt(part, block)
    return part.train(block.training)


def _adopt(part: nn.Module, whole: nn.Module) -> None:
    """Puts the modules of ``whole`` in the places of the same name; where it has more, only those."""
    originals = dict(whole.named_children())
    for name, child in part.named_children():
        original = originals.get(name)
        if original is None or original is child:
            continue
        if set(child.state_dict()) == set(original.state_dict()):
            part.add_module(name, original)
        else:
            _adopt(child, original)


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
        if block.domains.get(column.name) in set(block.tables):
            table = block.tables[block.domains[column.name]]
            span = getattr(table, "span", None)
            largest = span(column.name).size if callable(span) else getattr(table, "num_embeddings", 0) - 1
            if largest >= block.schema.cardinality(column.name):
                domain = {**column.properties["domain"], "max": largest}
                column = column.with_properties({"domain": domain})
        columns.append(column)
    return Schema(columns)
