"""Blocks: modules in lists and dicts, each given what its ``forward`` asks for."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterable, Iterator, KeysView, Mapping
from typing import Any, overload

from torch import Tensor, nn
from typing_extensions import Self

from merlin_models_torch.batch import Batch
from merlin_models_torch.blocks import tree
from merlin_models_torch.serialize import serializable


def takes_batch(module: nn.Module) -> bool:
    """Whether the module's ``forward`` has a parameter named ``batch``."""
    return "batch" in inspect.signature(module.forward).parameters


class Traversable(nn.Module):
    """The functions of :mod:`merlin_models_torch.blocks.tree` as methods."""

    def find(self, wanted: type[tree.M] | Callable[[nn.Module], bool]) -> list[Any]:
        """The modules inside, and this one, of a class or that pass a test: see :func:`tree.find`."""
        return tree.find(self, wanted)

    def leaf(self) -> nn.Module:
        """The module at the end of this chain: see :func:`tree.leaf`."""
        return tree.leaf(self)

    def map(self, function: Callable[..., nn.Module | None]) -> nn.Module:
        """This container with each module changed by a function: see :func:`tree.map`."""
        return tree.map(self, function)

    def walk(self, function: Callable[..., nn.Module | None]) -> nn.Module:
        """As :meth:`map`, also in the containers inside: see :func:`tree.walk`."""
        return tree.walk(self, function)

    def copy(self) -> Self:
        """A block of its own with the same weights."""
        return copy.deepcopy(self)


@serializable
class Block(Traversable):
    """Modules one after the other.

    The first gets the block's input, each other one the output of the one before. A module whose ``forward``
    has a parameter named ``batch`` gets the batch as well; that is decided once, when it is added. Where a
    module returns a :class:`Batch`, that is the batch of those after it.

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

    def append(self, module: nn.Module) -> Self:
        """Adds a module at the end and returns the block."""
        return self.insert(len(self.layers), module)

    def prepend(self, module: nn.Module) -> Self:
        """Adds a module at the beginning and returns the block."""
        return self.insert(0, module)

    def insert(self, index: int, module: nn.Module) -> Self:
        """Adds a module before position ``index`` and returns the block.

        Raises:
            TypeError: if it is not a module.
        """
        check_module(module)
        self.layers.insert(index, module)
        self._takes_batch.insert(index, takes_batch(module))
        return self

    def repeat(self, times: int) -> Block:
        """This block ``times`` times, one after the other, each but the first a copy with weights of its own.

        Raises:
            ValueError: if ``times`` is less than 1.
        """
        from merlin_models_torch.blocks.repeat import repeat

        return repeat(self, times)

    def repeat_parallel(self, times: int) -> ParallelBlock:
        """This block ``times`` times side by side: see :func:`repeat_parallel`."""
        from merlin_models_torch.blocks.repeat import repeat_parallel

        return repeat_parallel(self, times)

    def repeat_parallel_like(self, like: Any) -> ParallelBlock:
        """This block once for each name of something: see :func:`repeat_parallel_like`."""
        from merlin_models_torch.blocks.repeat import repeat_parallel_like

        return repeat_parallel_like(self, like)

    def forward(self, inputs: Any, batch: Batch | None = None) -> Any:
        """Runs the modules in order.

        Args:
            inputs: what the first module takes: a :class:`Batch` for an input block, else a tensor, such as
                (B, D) or (B, T, D), or several by name.
            batch: passed to the modules that ask for it; ``inputs`` itself if that is a batch.

        Returns:
            What the last module gives; the inputs if there is none.
        """
        for index in range(len(self.layers)):
            inputs, batch = self.step(index, inputs, batch)
        return inputs

    def step(self, index: int, inputs: Any, batch: Batch | None) -> tuple[Any, Batch | None]:
        """Runs one of the modules.

        Args:
            index: its position.
            inputs: what it takes.
            batch: passed to it if it asks for it.

        Returns:
            Its output, and the batch for what comes after it.
        """
        output = call(self.layers[index], inputs, batch, takes=self._takes_batch[index])
        if isinstance(output, Batch):
            return output, output
        return output, inputs if isinstance(inputs, Batch) else batch

    def with_modules(self, modules: Iterable[nn.Module]) -> Self:
        """A block of the same class and options around other modules."""
        options = {name: value for name, value in self.init_arguments().items() if name != "modules"}
        return type(self)(*modules, **options)

    def __len__(self) -> int:
        return len(self.layers)

    @overload
    def __getitem__(self, index: int) -> nn.Module: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> nn.Module | Self:
        return self.with_modules(self.layers[index]) if isinstance(index, slice) else self.layers[index]

    def __iter__(self) -> Iterator[nn.Module]:
        return iter(self.layers)

    def init_arguments(self) -> dict[str, Any]:
        """What builds this block again."""
        return {"modules": list(self.layers)}


@serializable
class ParallelBlock(Traversable):
    """Modules side by side on the same input; their outputs in a dict.

    Args:
        branches: modules by name. Names may not contain a dot.

    Example:
        >>> block = ParallelBlock({"same": nn.Identity(), "positive": nn.ReLU()})
        >>> block(torch.tensor([-1.0, 2.0]))
        {'same': tensor([-1.,  2.]), 'positive': tensor([0., 2.])}
        >>> block.append(Concat())(torch.tensor([[-1.0, 2.0]]))  # in the order of the names
        tensor([[ 0.,  2., -1.,  2.]])
    """

    def __init__(self, branches: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.branches = nn.ModuleDict()
        self._takes_batch: dict[str, bool] = {}
        for name, module in branches.items():
            self._set(name, module)

    def _set(self, name: str, module: nn.Module) -> None:
        check_module(module)
        self.branches[name] = module
        self._takes_batch[name] = takes_batch(module)

    def append(self, module: nn.Module) -> Block:
        """This block followed by ``module``, which gets the dict."""
        return Block(self, module)

    def prepend(self, module: nn.Module) -> Block:
        """``module`` followed by this block, whose branches all get its output."""
        return Block(module, self)

    def append_to(self, name: str, module: nn.Module) -> Self:
        """Adds a module at the end of a branch and returns this block.

        Raises:
            KeyError: if there is no such branch.
        """
        self._set(name, Block(*_steps(self[name]), module))
        return self

    def prepend_to(self, name: str, module: nn.Module) -> Self:
        """Adds a module at the beginning of a branch and returns this block.

        Raises:
            KeyError: if there is no such branch.
        """
        self._set(name, Block(module, *_steps(self[name])))
        return self

    def append_for_each(self, module: nn.Module, *, shared: bool = False) -> Self:
        """Adds a module at the end of every branch and returns this block.

        Args:
            module: to add.
            shared: the same module in all branches, not a copy with new weights in all but the first.
        """
        for name, one in zip(list(self.branches), self._for_each(module, shared), strict=True):
            self.append_to(name, one)
        return self

    def prepend_for_each(self, module: nn.Module, *, shared: bool = False) -> Self:
        """Adds a module at the beginning of every branch and returns this block.

        Args:
            module: to add.
            shared: the same module in all branches, not a copy with new weights in all but the first.
        """
        for name, one in zip(list(self.branches), self._for_each(module, shared), strict=True):
            self.prepend_to(name, one)
        return self

    def _for_each(self, module: nn.Module, shared: bool) -> list[nn.Module]:
        from merlin_models_torch.blocks.repeat import copies

        return [module] * len(self) if shared else copies(module, len(self))

    def forward(self, inputs: Any, batch: Batch | None = None) -> dict[str, Tensor]:
        """Runs every branch on ``inputs``.

        Args:
            inputs: what the branches take: a :class:`Batch`, a tensor, such as (B, D) or (B, T, D), or
                several by name.
            batch: passed to the branches that ask for it.

        Returns:
            Outputs by branch name. A branch that returns a dict adds its entries under their own names.

        Raises:
            ValueError: if two branches give an output of the same name.
        """
        outputs: dict[str, Tensor] = {}
        for name, module in self.branches.items():
            result = call(module, inputs, batch, takes=self._takes_batch[name])
            named = result if isinstance(result, dict) else {name: result}
            for key, value in named.items():
                if key in outputs:
                    raise ValueError(f"two branches give an output named {key!r}: rename one of them")
                outputs[key] = value
        return outputs

    def with_branches(self, branches: Mapping[str, nn.Module]) -> ParallelBlock:
        """A parallel block of other branches."""
        return ParallelBlock(branches)

    def keys(self) -> KeysView[str]:
        """Names of the branches."""
        return self.branches.keys()

    def __getitem__(self, name: str) -> nn.Module:
        if name not in self.branches:
            raise KeyError(f"there is no branch {name!r}, only {list(self.branches)}: check the name")
        return self.branches[name]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self.branches

    def __iter__(self) -> Iterator[str]:
        return iter(self.branches)

    def __len__(self) -> int:
        return len(self.branches)

    def init_arguments(self) -> dict[str, Any]:
        """What builds this block again."""
        return {"branches": dict(self.branches.items())}


def call(module: nn.Module, inputs: Any, batch: Batch | None, *, takes: bool) -> Any:
    """The module's output, with the batch passed to it if it takes one and ``inputs`` is not one itself."""
    return module(inputs, batch=batch) if takes and not isinstance(inputs, Batch) else module(inputs)


def check_module(module: object) -> None:
    """Raises TypeError for what is no module."""
    if not isinstance(module, nn.Module):
        raise TypeError(f"a block takes modules, got {type(module).__name__}: pass an instance of nn.Module")


def _steps(branch: nn.Module) -> Iterable[nn.Module]:
    return branch if type(branch) is Block else (branch,)
