"""Several optimisers, each with parameters of its own, as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.optim import Optimizer


class SplitOptimizer(Optimizer):
    """Steps several optimisers at once, so that a Trainer and a schedule see a single one.

    Parameter groups and state are those of the parts themselves: a schedule that sets the rate of all groups
    sets it in every part, and ``state_dict`` holds the state of all parts.

    Args:
        parts: optimisers that share no parameter; their states are merged.

    Raises:
        ValueError: if two parts hold the same parameter.

    Example:
        >>> table, weight = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2))
        >>> optimizer = SplitOptimizer([torch.optim.Adagrad([table]), torch.optim.Adam([weight])])
        >>> [group["lr"] for group in optimizer.param_groups]
        [0.01, 0.001]
    """

    def __init__(self, parts: Sequence[Optimizer]) -> None:
        self.parts = tuple(parts)
        # What all parts have, for schedules that ask whether there is a momentum or a beta to move.
        common = {k: v for k, v in parts[0].defaults.items() if all(k in part.defaults for part in parts)}
        self._complete = False
        super().__init__([group for part in parts for group in part.param_groups], common)
        self._complete = True
        for part in parts:
            self.state.update(part.state)
        self._share()

    def _share(self) -> None:
        """Gives each part its groups and the common state."""
        groups = iter(self.param_groups)
        for part in self.parts:
            part.param_groups = [next(groups) for _ in part.param_groups]
            part.state = self.state

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Steps each part once.

        Args:
            closure: computes the loss and the gradients; called once, whatever the number of parts.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self.parts:
            part.step()
        return loss

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Refuses groups that belong to no part.

        Raises:
            TypeError: after construction.
        """
        if self._complete:
            raise TypeError(
                "a parameter group added to several optimisers would be stepped by none: add it to one of "
                "them before they are joined"
            )
        super().add_param_group(param_group)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Loads the state of all parts."""
        super().load_state_dict(state_dict)
        self._share()

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "parts": self.parts, "_complete": True}


def parts_of(optimizer: Optimizer) -> tuple[Optimizer, ...]:
    """The optimisers that one is made of."""
    return optimizer.parts if isinstance(optimizer, SplitOptimizer) else (optimizer,)


def carry_state(previous: Optimizer, optimizer: Optimizer) -> None:
    """Gives a new optimiser the state (moments, steps) of an earlier one of the same kind and parameters."""
    if [type(part) for part in parts_of(previous)] == [type(part) for part in parts_of(optimizer)]:
        optimizer.state.update(previous.state)
