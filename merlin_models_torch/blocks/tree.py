"""Blocks as trees: finding modules in them, and making new ones with modules changed."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar, overload

from torch import nn

M = TypeVar("M", bound=nn.Module)
Change = Callable[..., nn.Module | None]


@overload
def find(module: nn.Module, wanted: type[M]) -> list[M]: ...
@overload
def find(module: nn.Module, wanted: Callable[[nn.Module], bool]) -> list[nn.Module]: ...
def find(module: nn.Module, wanted: type[M] | Callable[[nn.Module], bool]) -> list[Any]:
    """The modules of a class, or that pass a test, the outer before the inner; each once.

    Args:
        module: to search, itself included.
        wanted: a class of modules, or a function that says yes or no.

    Returns:
        The modules themselves, not copies.

    Raises:
        TypeError: if ``wanted`` is neither.

    Example:
        >>> find(nn.Sequential(nn.Linear(2, 3), nn.ReLU()), nn.Linear)
        [Linear(in_features=2, out_features=3, bias=True)]
    """
    if inspect.isclass(wanted) and issubclass(wanted, nn.Module):
        return [m for m in module.modules() if isinstance(m, wanted)]
    if inspect.isclass(wanted) or not callable(wanted):
        raise TypeError(
            f"modules are found by a class of modules or a function of a module, not by {wanted!r}"
        )
    return [m for m in module.modules() if wanted(m)]


def leaf(module: nn.Module) -> nn.Module:
    """The module at the end of a chain: the last of the last, down to one that is no container.

    Args:
        module: a block, or a container of torch; anything else is its own leaf.

    Returns:
        The module itself, not a copy.

    Raises:
        ValueError: if the chain ends in several branches, or in nothing.

    Example:
        >>> leaf(nn.Sequential(nn.ReLU(), nn.Sequential(nn.Linear(2, 3))))
        Linear(in_features=2, out_features=3, bias=True)
    """
    children = children_of(module)
    if children is None:
        return module
    if not children:
        raise ValueError(f"{type(module).__name__} is empty and has no leaf: add a module to it")
    if not isinstance(_names(module), range) and len(children) > 1:
        raise ValueError(
            f"{type(module).__name__} has the branches {list(children)} and no single leaf: take one by name"
        )
    return leaf(list(children.values())[-1])


def map(module: nn.Module, function: Change, *, recurse: bool = False) -> nn.Module:
    """A container like ``module`` whose modules are what a function makes of its modules.

    Nothing is changed in place; modules that the function returns as they are, are shared by both.

    Args:
        module: a block, or ``nn.Sequential``, ``nn.ModuleList`` or ``nn.ModuleDict``; anything else is
            passed to the function itself.
        function: of a module, and of its position ``i`` and its ``name`` if it has parameters of these names;
            gives a module, or None to leave it out.
        recurse: containers among the modules are changed inside instead of being passed.

    Returns:
        A new container of the same class, or what the function gives for a module that is none.

    Raises:
        ValueError: if the function leaves out ``module`` itself.

    Example:
        >>> map(nn.Sequential(nn.Tanh(), nn.Tanh()), lambda m, i: nn.ReLU() if i else m)
        Sequential(
          (0): Tanh()
          (1): ReLU()
        )
    """
    wanted = {"i", "name"} & inspect.signature(function).parameters.keys()

    def change(one: nn.Module, i: int, name: str) -> nn.Module | None:
        children = children_of(one)
        if children is None or (i >= 0 and not recurse):
            place: dict[str, Any] = {"i": i, "name": name}
            return function(one, **{key: place[key] for key in wanted})
        changed = {key: change(child, i, key) for i, (key, child) in enumerate(children.items())}
        return _rebuilt(one, {key: child for key, child in changed.items() if child is not None})

    result = change(module, -1, "")
    if result is None:
        raise ValueError(f"the function gives nothing for {type(module).__name__}: return a module")
    return result


def walk(module: nn.Module, function: Change) -> nn.Module:
    """As :func:`map`, also in the containers inside: the function gets every module that is no container.

    Args:
        module: as for :func:`map`.
        function: as for :func:`map`.

    Returns:
        As :func:`map`.

    Example:
        >>> block = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Tanh()))
        >>> walk(block, lambda module: nn.ReLU() if isinstance(module, nn.Tanh) else module)
        Sequential(
          (0): Linear(in_features=2, out_features=2, bias=True)
          (1): Sequential(
            (0): ReLU()
          )
        )
    """
    return map(module, function, recurse=True)


def _container(module: nn.Module) -> nn.Module | None:
    """The list or dict of torch that holds the modules of a container."""
    if isinstance(module, (nn.Sequential, nn.ModuleList, nn.ModuleDict)):
        return module
    name = "layers" if hasattr(module, "with_modules") else "branches"
    held = hasattr(module, "with_modules") or hasattr(module, "with_branches")
    return getattr(module, name) if held else None


def _names(module: nn.Module) -> range | list[str]:
    """Positions of a list, names of a dict."""
    container = _container(module)
    if isinstance(container, nn.ModuleDict):
        return list(container)
    return range(len(container) if isinstance(container, (nn.Sequential, nn.ModuleList)) else 0)


def children_of(module: nn.Module) -> dict[str, nn.Module] | None:
    """The modules of a container by name, or by position ("0", "1"); None if it is no container."""
    container = _container(module)
    if container is None:
        return None
    # Not named_children(), which passes over a module that is there twice.
    return {name: child for name, child in container._modules.items() if child is not None}


def _rebuilt(module: nn.Module, children: dict[str, nn.Module]) -> nn.Module:
    if isinstance(module, nn.Sequential):
        return nn.Sequential(*children.values())
    if isinstance(module, nn.ModuleList):
        return nn.ModuleList(children.values())
    if isinstance(module, nn.ModuleDict):
        return nn.ModuleDict(children)
    if isinstance(_container(module), nn.ModuleDict):
        return module.with_branches(children)  # type: ignore[operator,no-any-return]
    return module.with_modules(children.values())  # type: ignore[operator,no-any-return]
