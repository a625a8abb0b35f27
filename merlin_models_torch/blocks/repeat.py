"""The same block several times, one after the other or side by side."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, overload

from torch import nn

from merlin_models_torch.blocks.base import Block, ParallelBlock


def repeat(module: nn.Module, times: int) -> Block:
    """A module ``times`` times, one after the other; each but the first is a copy with weights of its own.

    The copies start with the module's weights.

    Args:
        module: the first of them.
        times: how many in all.

    Returns:
        A block of them.

    Raises:
        ValueError: if ``times`` is less than 1.

    Example:
        >>> block = repeat(nn.Linear(4, 4), 3)
        >>> len(block), block[0].weight is block[1].weight, torch.equal(block[0].weight, block[1].weight)
        (3, False, True)
    """
    _check(times)
    return Block(module, *(copy.deepcopy(module) for _ in range(times - 1)))


@overload
def repeat_parallel(module: nn.Module, times: int, *, reset: bool = ...) -> ParallelBlock: ...
@overload
def repeat_parallel(module: nn.Module, times: int, *, agg: nn.Module, reset: bool = ...) -> Block: ...
def repeat_parallel(
    module: nn.Module, times: int, *, agg: nn.Module | None = None, reset: bool = True
) -> ParallelBlock | Block:
    """A module ``times`` times side by side, under the names "0", "1" and so on.

    Args:
        module: the first branch; the others are copies of it.
        times: number of branches.
        agg: gets the dict of outputs.
        reset: the copies draw weights of their own. Copies of the same weights would get the same gradients.

    Returns:
        The branches; with ``agg`` a block of them and it.

    Raises:
        ValueError: if ``times`` is less than 1.

    Example:
        >>> experts = repeat_parallel(nn.Linear(3, 4), 2)
        >>> list(experts), torch.equal(experts["0"].weight, experts["1"].weight)
        (['0', '1'], False)
        >>> repeat_parallel(nn.Linear(3, 4), 2, agg=Concat())(torch.ones(5, 3)).shape
        torch.Size([5, 8])
    """
    _check(times)
    return _parallel(module, [str(number) for number in range(times)], agg, reset)


@overload
def repeat_parallel_like(module: nn.Module, like: Any, *, reset: bool = ...) -> ParallelBlock: ...
@overload
def repeat_parallel_like(module: nn.Module, like: Any, *, agg: nn.Module, reset: bool = ...) -> Block: ...
def repeat_parallel_like(
    module: nn.Module, like: Any, *, agg: nn.Module | None = None, reset: bool = True
) -> ParallelBlock | Block:
    """A module once for each name of something else.

    Args:
        module: the first branch; the others are copies of it.
        like: a schema, something with ``keys()`` (a dict, a :class:`ParallelBlock`), or names.
        agg: gets the dict of outputs.
        reset: the copies draw weights of their own.

    Returns:
        As :func:`repeat_parallel`.

    Raises:
        ValueError: if there are no names, or one is there twice.

    Example:
        >>> heads = repeat_parallel_like(nn.Linear(3, 1), ["click", "buy"])
        >>> {name: tuple(logit.shape) for name, logit in heads(torch.ones(5, 3)).items()}
        {'click': (5, 1), 'buy': (5, 1)}
    """
    return _parallel(module, names_of(like), agg, reset)


def names_of(like: Any) -> list[str]:
    """Column names of a schema, keys of a dict or a parallel block, or the names themselves.

    Raises:
        TypeError: if it is none of these.
        ValueError: if there are none, or one is there twice.
    """
    if hasattr(like, "column_names"):
        names = list(like.column_names)
    elif hasattr(like, "keys"):
        names = list(like.keys())
    elif isinstance(like, Iterable) and not isinstance(like, str):
        names = list(like)
    else:
        raise TypeError(
            f"names are taken from a schema, a dict, a parallel block or a list, not from {like!r}"
        )
    if not names or len(set(names)) < len(names):
        raise ValueError(f"the names are {names}, expected at least one and each once")
    return names


def copies(module: nn.Module, times: int, *, reset: bool = True) -> list[nn.Module]:
    """The module itself, then copies of it until there are ``times``.

    Args:
        module: the first.
        times: how many in all.
        reset: call ``reset_parameters`` of every module in the copies, the inner before the outer.
    """
    made = [module, *(copy.deepcopy(module) for _ in range(times - 1))][:times]
    for one in made[1:] if reset else ():
        for part in reversed(list(one.modules())):
            draw = getattr(part, "reset_parameters", None)
            if callable(draw):
                draw()
    return made


def _parallel(
    module: nn.Module, names: list[str], agg: nn.Module | None, reset: bool
) -> ParallelBlock | Block:
    made = copies(module, len(names), reset=reset)
    block = ParallelBlock(dict(zip(names, made, strict=True)))
    return block if agg is None else block.append(agg)


def _check(times: int) -> None:
    if times < 1:
        raise ValueError(f"a block can be repeated once or more, got times={times}")
