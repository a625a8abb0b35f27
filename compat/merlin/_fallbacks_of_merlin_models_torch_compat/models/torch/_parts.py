"""Schemas and parts of blocks, registered with the functions of ``merlin.models.torch.schema``."""

from __future__ import annotations

from typing import Any

from merlin.models.torch import schema
from merlin.models.torch.block import Block, ParallelBlock
from merlin.models.torch.container import BlockContainer
from merlin.schema import Schema
from torch import Tensor, nn


@schema.input_schema.register(BlockContainer)
def _input_of_list(module: Any, inputs: Any) -> Any:
    return schema.input_schema(module[0], inputs) if module else inputs


@schema.input_schema.register(ParallelBlock)
def _input_of_branches(module: Any, inputs: Any) -> Any:
    if module.pre:
        return schema.input_schema(module.pre)
    found = Schema()
    for branch in module.branches.values():
        found += schema.input_schema(branch, inputs)
    return found


@schema.output_schema.register(BlockContainer)
def _output_of_list(module: Any, inputs: Any) -> Any:
    return schema.output_schema(module[-1], inputs) if module else inputs


@schema.output_schema.register(ParallelBlock)
def _output_of_branches(module: Any, inputs: Any) -> Any:
    if module.post:
        return schema.output_schema(module.post, inputs)
    found = Schema()
    for name, branch in module.branches.items():
        found += named(schema.output_schema(branch, inputs), name)
    return found


@schema.output_schema.register(nn.LazyLinear)
@schema.output_schema.register(nn.Linear)
def output_of_width(module: Any, inputs: Any) -> Any:
    """One column of the width that a layer gives."""
    return schema.output_schema.tensors(_row(module.out_features))


def _row(width: int) -> Tensor:
    return Tensor(1, width).double()


def named(columns: Any, name: str | None) -> Any:
    """A single column called "output" under another name."""
    alone = len(columns) == 1 and columns.first.name == "output"
    return Schema([columns.first.with_name(name)]) if alone else columns


@schema.select.register(BlockContainer)
def select_list(container: Any, selection: Any) -> Any:
    """The part of a list that belongs to some columns: up to the first module of which there is no part."""
    if isinstance(container, ParallelBlock):
        return select_branches(container, selection)
    kind = type(container)
    first = schema.select(container.values[0], selection) if len(container.values) else None
    if not first:
        return kind()
    if container.values[0] == first:
        return container
    found = [first]
    for module in container.values[1:]:
        try:
            found.append(schema.select(module, selection))
        except (NotImplementedError, ValueError):
            break
    return kind(*found, name=container._name)


def select_branches(parallel: Any, selection: Any) -> Any:
    """The branches that belong to some columns; what comes after them only if these are all."""
    pre = parallel.pre
    if pre and not (pre := schema.select(pre, selection)):
        return ParallelBlock()
    parts = {name: schema.select(branch, selection) for name, branch in parallel.branches.items()}
    branches = {name: part for name, part in parts.items() if part}
    post = parallel.post if len(branches) == len(parallel.branches) else Block()
    return parallel.replace(pre=pre, branches=branches, post=post, **_for_router(parallel, selection))


@schema.extract.register(BlockContainer)
def extract_list(main: Any, selection: Any, route: Any, name: str | None = None) -> Any:
    """A list without a part of it: what reads the part's columns reads them from the batch."""
    if isinstance(main, ParallelBlock):
        return _extract_branches(main, selection, route)
    taken = schema.input_schema(main)
    if taken == schema.input_schema(route):
        from merlin.models.torch.inputs.select import SelectFeatures

        return SelectFeatures(named(schema.output_schema(main, taken), name))
    kept = type(main)()
    for module, part in zip(main, route, strict=False):
        kept.append(schema.extract.extract(module, selection, part, name=name))
    return kept


def _extract_branches(main: Any, selection: Any, route: Any) -> Any:
    branches = {}
    for name, branch in main.branches.items():
        if name in route:
            if left := schema.extract.extract(branch, selection, route[name], name=name):
                branches[name] = left
        else:
            branches[name] = branch
    return main.replace(branches=branches, **_for_router(main, selection))


def _for_router(block: Any, selection: Any) -> dict[str, Any]:
    return {"selection": selection} if hasattr(block, "add_route") else {}
