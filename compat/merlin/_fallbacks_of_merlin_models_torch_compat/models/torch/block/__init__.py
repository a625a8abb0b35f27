"""``merlin.models.torch.block``: blocks in lists and dicts, as 23.12 called them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from merlin.models._legacy import legacy, served
from torch import nn

from merlin_models_torch import blocks as core
from merlin_models_torch.batch import Batch


@legacy
class Block(core.Block):
    """Modules one after the other.

    Args:
        *module: any modules; or, as V1 had it, one module and the size of its output.
        name: shown when the block is printed.
    """

    def __new__(cls, *module: Any, **options: Any) -> Any:
        """A block of V1 where the second argument is a size."""
        if cls is Block and len(module) == 2 and isinstance(module[1], (list, tuple)):
            from transformers4rec.torch.block.base import Block as V1Block

            return V1Block(*module)
        return super().__new__(cls)

    def __init__(self, *module: nn.Module, name: str | None = None) -> None:
        super().__init__(*module)
        self._name = name

    def extend(self, modules: Iterable[nn.Module]) -> Block:
        """Adds modules at the end and returns the block."""
        for module in modules:
            self.append(module)
        return self

    def repeat(self, n: int = 1, name: str | None = None) -> Block:
        """This block several times, one after the other."""
        return repeat(self, n, name=name)

    def with_modules(self, modules: Iterable[nn.Module]) -> Block:  # type: ignore[override]
        """A chain of other modules: subclasses are made from other things than modules."""
        return Block(*modules)

    def _get_name(self) -> str:
        return self._name or super()._get_name()


class Staged(nn.Module):
    """What merlin.models.torch had around parallel branches: modules before them and modules after them."""

    def _stages(self) -> None:
        self.pre = core.Block()
        self.post = core.Block()

    def append(self, module: nn.Module) -> Any:
        """Adds a module after the branches, which gets the dict of them."""
        self.post.append(module)
        return self

    def prepend(self, module: nn.Module) -> Any:
        """Adds a module before the branches."""
        self.pre.prepend(module)
        return self

    def forward(self, inputs: Any, batch: Batch | None = None) -> Any:
        """Runs the modules before, the branches, and the modules after."""
        branches: Any = super().forward
        return self.post(branches(self.pre(inputs, batch=batch), batch=batch), batch=batch)

    def __bool__(self) -> bool:
        return True


@legacy
class ParallelBlock(Staged, core.ParallelBlock):
    """Branches side by side, with modules before and after them.

    Args:
        *inputs: dicts of modules by name.
    """

    def __init__(self, *inputs: Mapping[str, nn.Module]) -> None:
        super().__init__({name: module for branches in inputs for name, module in branches.items()})
        self._stages()

    def with_branches(self, branches: Mapping[str, nn.Module]) -> ParallelBlock:
        """The same stages around other branches."""
        block = ParallelBlock(branches)
        block.pre, block.post = self.pre, self.post
        return block


@legacy
class ResidualBlock(core.ResidualBlock):
    """Modules whose outputs are each added to the input of the block.

    Args:
        *module: each gives the shape that it gets.
        name: not used.
        shortcut: "first", as here; the core's own default is "previous".
    """

    def __init__(self, *module: nn.Module, name: str | None = None, shortcut: Any = "first") -> None:
        super().__init__(*module, shortcut=shortcut)


@legacy
class ShortcutBlock(core.ShortcutBlock):
    """Modules one after the other, and their input beside their output.

    Args:
        *module: any modules.
        name: not used.
        propagate_shortcut: each module gets the shortcut too.
        shortcut_name: of the input in the dict.
        output_name: of the output in the dict.
    """

    def __init__(
        self,
        *module: nn.Module,
        name: str | None = None,
        propagate_shortcut: bool = False,
        shortcut_name: str = "shortcut",
        output_name: str = "output",
    ) -> None:
        super().__init__(
            *module,
            propagate_shortcut=propagate_shortcut,
            shortcut_name=shortcut_name,
            output_name=output_name,
        )


@legacy
class BatchBlock(core.BatchBlock):
    """Modules that change a batch.

    Args:
        *module: each gets the features.
        name: not used.
    """

    def __init__(self, *module: nn.Module, name: str | None = None) -> None:
        super().__init__(*module)

    def forward(  # type: ignore[override]
        self, inputs: Any, targets: Any = None, sequences: Any = None, batch: Any = None
    ) -> Any:
        """A batch of merlin.models.torch, changed by the modules."""
        from merlin.models.torch.batch import Batch as LegacyBatch

        whole = inputs if batch is None else batch
        if not isinstance(whole, Batch):
            whole = LegacyBatch(whole, targets, sequences)
        return super().forward(whole)


@legacy
def repeat(module: nn.Module, n: int = 1, name: str | None = None) -> Block:
    """A module several times, one after the other; the copies start with its weights.

    Raises:
        TypeError: if ``n`` is no whole number.
    """
    if not isinstance(n, int):
        raise TypeError(f"n is {n!r}, expected a whole number")
    return Block(*core.repeat(module, n), name=name)


def _parallel(branches: Any, agg: Any) -> ParallelBlock:
    block = ParallelBlock({name: branches[name] for name in branches})
    return block if agg is None else block.append(aggregation(agg))


@legacy
def repeat_parallel(module: nn.Module, n: int = 1, agg: Any = None) -> ParallelBlock:
    """A module several times side by side; copies keep its weights, as in 23.12, where it has some yet."""
    return _parallel(core.repeat_parallel(module, n, reset=False), agg)


@legacy
def repeat_parallel_like(module: nn.Module, like: Any, agg: Any = None) -> ParallelBlock:
    """A module once for each name of something else."""
    return _parallel(core.repeat_parallel_like(module, like, reset=False), agg)


def aggregation(agg: Any) -> nn.Module:
    """A module, or the one of a name: "concat", "stack" or "element-wise-sum".

    Raises:
        ValueError: if the name is not known.
    """
    if isinstance(agg, nn.Module):
        return agg
    from merlin.models.torch.transforms.agg import Concat, ElementWiseSum, Stack

    made: dict[str, Callable[[], nn.Module]] = {
        "concat": Concat,
        "stack": Stack,
        "element-wise-sum": ElementWiseSum,
    }
    if agg not in made:
        raise ValueError(f"aggregation is {agg!r}, expected a module or one of {sorted(made)}")
    return made[agg]()


__getattr__ = served(__name__)
