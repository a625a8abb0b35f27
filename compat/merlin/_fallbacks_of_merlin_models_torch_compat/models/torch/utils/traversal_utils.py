"""``merlin.models.torch.utils.traversal_utils``: modules found in others."""

from __future__ import annotations

from typing import Any

from merlin.models._legacy import legacy, served
from torch import nn


@legacy
def find(module: nn.Module, to_search: Any) -> list[Any]:
    """The modules inside of a class or that pass a test, the inner before the outer.

    Raises:
        ValueError: if ``to_search`` is neither a class of modules nor a function.
    """
    if (isinstance(to_search, type) and not issubclass(to_search, nn.Module)) or not callable(to_search):
        raise ValueError(
            f"modules are found by a class of modules or a function of a module, not by {to_search!r}"
        )
    found: list[Any] = []

    def look(one: nn.Module) -> None:
        if isinstance(one, to_search) if isinstance(to_search, type) else to_search(one):
            found.append(one)

    module.apply(look)
    return found


@legacy
def leaf(module: nn.Module) -> nn.Module:
    """The module at the end of a chain of containers; of several in a list, the last.

    Raises:
        ValueError: if the chain ends in a dict of several.
    """
    from merlin.models.torch.container import BlockContainer, BlockContainerDict

    lists = (nn.Sequential, nn.ModuleList, BlockContainer)
    children = list(module.children())
    if not children or not isinstance(module, (*lists, nn.ModuleDict, BlockContainerDict)):
        return module
    if len(children) > 1:
        if isinstance(module, lists):
            return module[-1]
        raise ValueError(f"{type(module).__name__} has {len(children)} modules and no single leaf: take one")
    child: Any = children[0]
    return child.leaf() if hasattr(child, "leaf") else leaf(child)  # type: ignore[no-any-return]


class TraversableMixin:
    """The functions of this module, and of ``merlin.models.torch.schema``, as methods."""

    def find(self, to_search: Any) -> list[Any]:
        """The modules inside of a class or that pass a test."""
        return find(self, to_search)  # type: ignore[arg-type]

    def leaf(self) -> nn.Module:
        """The module at the end of this chain."""
        return leaf(self)  # type: ignore[arg-type]

    def select(self, selection: Any) -> Any:
        """The part that belongs to some columns."""
        from merlin.models.torch import schema

        return schema.select.dispatched(self, selection)

    def extract(self, selection: Any) -> tuple[Any, Any]:
        """This module without the part that belongs to some columns, and that part."""
        from merlin.models.torch import schema

        part = schema.select(self, selection)
        return schema.extract.extract(self, selection, part), part


__getattr__ = served(__name__)
