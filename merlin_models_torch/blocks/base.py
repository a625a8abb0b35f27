"""Blocks: modules in lists and dicts, each given what its ``forward`` asks for."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from merlin_models_torch.batch import Batch
from merlin_models_torch.serialize import serializable


def takes_batch(module: nn.Module) -> bool:
    """Whether the module's ``forward`` has a parameter named ``batch``."""
    return "batch" in inspect.signature(module.forward).parameters


@serializable
class Block(nn.Module):
    """Modules one after the other.

    The first gets the block's input, each other one the output of the one before. A module whose ``forward``
    has a parameter named ``batch`` gets the batch as well; that is decided once, when it is added.

    Args:
        *modules: any modules; a block among them stays one step.

    Example:
        >>> block = Block(nn.Linear(4, 8), nn.ReLU())
        >>> block.append(nn.Linear(8, 2))[-1].out_features
        2
    """

    def __init__(self, *modules: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        self._takes_batch: list[bool] = []
        for module in modules:
            self.append(module)

    def append(self, module: nn.Module) -> Block:
        """Adds a module at the end and returns the block."""
        return self.insert(len(self.layers), module)

    def prepend(self, module: nn.Module) -> Block:
        """Adds a module at the beginning and returns the block."""
        return self.insert(0, module)

    def insert(self, index: int, module: nn.Module) -> Block:
        """Adds a module before position ``index`` and returns the block.

        Raises:
            TypeError: if it is not a module.
        """
        if not isinstance(module, nn.Module):
            raise TypeError(
                f"a block takes modules, got {type(module).__name__}: pass an instance of nn.Module"
            )
        self.layers.insert(index, module)
        self._takes_batch.insert(index, takes_batch(module))
        return self

    def copy(self) -> Block:
        """A block of its own with the same weights."""
        return copy.deepcopy(self)

    def repeat(self, times: int) -> Block:
        """This block ``times`` times, one after the other, each but the first a copy with weights of its own.

        Raises:
            ValueError: if ``times`` is less than 1.
        """
        if times < 1:
            raise ValueError(f"a block can be repeated once or more, got times={times}")
        return Block(self, *(self.copy() for _ in range(times - 1)))

    def forward(self, inputs: Any, batch: Batch | None = None) -> Any:
        """Runs the modules in order.

        Args:
            inputs: what the first module takes: a :class:`Batch` for an input block, else a tensor or a dict.
            batch: passed to the modules that ask for it; ``inputs`` itself if that is a batch.
        """
        if batch is None and isinstance(inputs, Batch):
            batch = inputs
        for module, takes in zip(self.layers, self._takes_batch, strict=True):
            inputs = module(inputs, batch=batch) if takes and inputs is not batch else module(inputs)
        return inputs

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, index: int) -> nn.Module:
        return self.layers[index]

    def __iter__(self) -> Iterator[nn.Module]:
        return iter(self.layers)

    def init_arguments(self) -> dict[str, Any]:
        """What builds this block again."""
        return {"modules": list(self.layers)}


@serializable
class ParallelBlock(nn.Module):
    """Modules side by side on the same input; their outputs in a dict.

    Args:
        branches: modules by name. Names may not contain a dot.
    """

    def __init__(self, branches: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.branches = nn.ModuleDict(dict(branches))
        self._takes_batch = {name: takes_batch(module) for name, module in branches.items()}

    def append(self, module: nn.Module) -> Block:
        """This block followed by ``module``, which gets the dict."""
        return Block(self, module)

    def forward(self, inputs: Any, batch: Batch | None = None) -> dict[str, Tensor]:
        """Runs every branch on ``inputs``.

        Returns:
            Outputs by branch name. A branch that returns a dict adds its entries under their own names.

        Raises:
            ValueError: if two branches give an output of the same name.
        """
        if batch is None and isinstance(inputs, Batch):
            batch = inputs
        outputs: dict[str, Tensor] = {}
        for name, module in self.branches.items():
            takes = self._takes_batch[name] and inputs is not batch
            result = module(inputs, batch=batch) if takes else module(inputs)
            named = result if isinstance(result, dict) else {name: result}
            for key, value in named.items():
                if key in outputs:
                    raise ValueError(f"two branches give an output named {key!r}: rename one of them")
                outputs[key] = value
        return outputs

    def __getitem__(self, name: str) -> nn.Module:
        return self.branches[name]

    def __len__(self) -> int:
        return len(self.branches)

    def init_arguments(self) -> dict[str, Any]:
        """What builds this block again."""
        return {"branches": dict(self.branches.items())}
