"""``merlin.models.torch.block``: blocks in lists and dicts, as 23.12 called them."""

from __future__ import annotations

import copy
import textwrap
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Protocol, runtime_checkable

from merlin.models._legacy import legacy, served
from merlin.models.torch.batch import Batch
from merlin.models.torch.container import BlockContainer, BlockContainerDict, step
from merlin.models.torch.registry import registry
from merlin.models.torch.utils.traversal_utils import TraversableMixin
from merlin.models.utils.registry import RegistryMixin
from merlin.schema import Schema
from torch import Tensor, nn


@runtime_checkable
class HasKeys(Protocol):
    """What has names."""

    def keys(self) -> Any:
        """The names."""


@legacy
class Block(BlockContainer, RegistryMixin, TraversableMixin):
    """Modules one after the other.

    Args:
        *module: any modules; or, as V1 had it, one module and the size of its output.
        name: shown when the block is printed.
    """

    registry = registry

    def __new__(cls, *module: Any, **options: Any) -> Any:
        """A block of V1 where the second argument is a size."""
        if cls is Block and len(module) == 2 and isinstance(module[1], (list, tuple)):
            from transformers4rec.torch.block.base import Block as V1Block

            return V1Block(*module)
        return super().__new__(cls)

    def __init__(self, *module: nn.Module, name: str | None = None) -> None:
        super().__init__(*module, name=name)

    @classmethod
    def parse(cls, class_or_str: Any) -> Any:
        """A module by its name, such as "concat" or "stack"; anything but a string as it is."""
        # Their modules register them.
        for place in ("transforms.agg", "outputs.contrastive", "outputs.sampling"):
            import_module(f"merlin.models.torch.{place}")
        return super().parse(class_or_str)

    def forward(self, inputs: Any, batch: Batch | None = None) -> Any:
        """Runs the modules in order; each gets what the one before gave."""
        for module in self.values:
            inputs = step(module, inputs, batch)
        return inputs

    def repeat(self, n: int = 1, name: str | None = None) -> Block:
        """This block several times, one after the other."""
        return repeat(self, n, name=name)

    def repeat_parallel(self, n: int = 1, name: str | None = None) -> ParallelBlock:
        """This block several times side by side."""
        return repeat_parallel(self, n)

    def repeat_parallel_like(self, like: Any, agg: Any = None) -> ParallelBlock:
        """This block once for each name of something else."""
        return repeat_parallel_like(self, like, agg=agg)

    def copy(self) -> Any:
        """A block of its own with the same weights."""
        return copy.deepcopy(self)

    def select(self, selection: Any) -> Any:
        """The part that belongs to some columns."""
        from merlin.models.torch._parts import select_list

        return select_list(self, selection)

    def extract(self, selection: Any) -> tuple[Any, Any]:
        """This block without the part that belongs to some columns, and that part."""
        from merlin.models.torch._parts import extract_list

        part = self.select(selection)
        return extract_list(self, selection, part), part


@legacy
class ParallelBlock(Block):
    """Branches side by side, with modules before and after them.

    Args:
        *inputs: dicts of modules by name.
    """

    def __init__(self, *inputs: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.pre = Block()
        self.branches = BlockContainerDict(*inputs, block_cls=Block)
        self.post = Block()

    def forward(self, inputs: Any, batch: Batch | None = None) -> Any:
        """Runs the modules before, the branches, and the modules after.

        A branch that gives tensors by name adds them under these names, a batch its columns.

        Raises:
            RuntimeError: if two branches give an output of one name.
            TypeError: if one gives something else.
        """
        inputs = self.pre(inputs, batch=batch)
        outputs: dict[str, Tensor] = {}
        for name, branch in self.branches.items():
            found = branch(inputs, batch=batch)
            if isinstance(found, Batch):
                outputs.update(found.flatten_as_dict(batch))
                continue
            if not isinstance(found, (Tensor, dict)):
                raise TypeError(f"branch {name!r} gave a {type(found).__name__}, expected tensors")
            named = found if isinstance(found, dict) else {name: found}
            if twice := sorted(outputs.keys() & named.keys()):
                raise RuntimeError(f"two branches give an output named {twice[0]!r}: rename one of them")
            outputs.update(named)
        return self.post(outputs, batch=batch)

    def append(self, module: nn.Module) -> Any:
        """Adds a module after the branches, which gets the dict of them."""
        self.post.append(module)
        return self

    def prepend(self, module: nn.Module) -> Any:
        """Adds a module before the branches."""
        self.pre.prepend(module)
        return self

    def append_to(self, name: str, module: nn.Module) -> Any:
        """Adds a module at the end of a branch."""
        self.branches.append_to(name, module)
        return self

    def prepend_to(self, name: str, module: nn.Module) -> Any:
        """Adds a module at the beginning of a branch."""
        self.branches.prepend_to(name, module)
        return self

    def append_for_each(self, module: nn.Module, shared: bool = False) -> Any:
        """Adds a module, or copies of it, at the end of each branch."""
        self.branches.append_for_each(module, shared=shared)
        return self

    def prepend_for_each(self, module: nn.Module, shared: bool = False) -> Any:
        """Adds a module, or copies of it, at the beginning of each branch."""
        self.branches.prepend_for_each(module, shared=shared)
        return self

    def replace(self, pre: Any = None, branches: Any = None, post: Any = None) -> Any:
        """A block with some of the three stages replaced."""
        made = ParallelBlock(self.branches if branches is None else branches)
        made.pre = self.pre if pre is None else pre
        made.post = self.post if post is None else post
        return made

    def keys(self) -> Any:
        """Names of the branches."""
        return self.branches.keys()

    def leaf(self) -> nn.Module:
        """The module at the end of the only branch.

        Raises:
            ValueError: if there are several, or modules before it.
        """
        if self.pre or len(self.branches) != 1:
            raise ValueError(
                f"a leaf is at the end of one branch with nothing before it, there are {list(self.branches)}"
            )
        (only,) = self.branches.values()
        return only.leaf()  # type: ignore[no-any-return,operator]

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, str) and index in self.branches:
            return self.branches[index]
        if index == 0:
            return self.pre
        if index in (-1, 2):
            return self.post
        raise IndexError(f"there is no branch {index!r}, only {list(self.branches)}: check the name")

    def __len__(self) -> int:
        return len(self.branches)

    def __contains__(self, name: object) -> bool:
        return name in self.branches

    def __bool__(self) -> bool:
        return bool(len(self.branches)) or bool(self.pre) or bool(self.post)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ParallelBlock):
            return False
        return (self.pre, self.branches, self.post) == (other.pre, other.branches, other.post)

    def __hash__(self) -> int:
        return hash((self.pre, self.branches, self.post))

    def __repr__(self) -> str:
        branches = repr(self.branches).removeprefix("BlockContainerDict")
        if not self.pre and not self.post:
            return self._get_name() + branches
        stages = [f"(pre): {self.pre!r}"] if self.pre else []
        stages += [f"(branches): {branches}", *([f"(post): {self.post!r}"] if self.post else [])]
        return f"{self._get_name()}(\n" + "\n".join(textwrap.indent(s, "    ") for s in stages) + "\n)"


@legacy
class ResidualBlock(Block):
    """Modules whose outputs are each added to the input of the block.

    Args:
        *module: each gives the shape that it gets.
        name: shown when the block is printed.
    """

    def forward(self, inputs: Tensor, batch: Batch | None = None) -> Tensor:
        """(B, D) to (B, D)."""
        outputs = inputs
        for module in self.values:
            outputs = inputs + step(module, outputs, batch)
        return outputs


@legacy
class ShortcutBlock(Block):
    """Modules one after the other, and their input beside their output.

    Args:
        *module: any modules.
        name: shown when the block is printed.
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
        super().__init__(*module, name=name)
        self.shortcut_name, self.output_name = shortcut_name, output_name
        self.propagate_shortcut = propagate_shortcut

    def forward(self, inputs: Any, batch: Batch | None = None) -> dict[str, Tensor]:
        """The shortcut and the output by name.

        Raises:
            RuntimeError: if inputs by name have no shortcut, or a module gives something else than tensors.
        """
        named = isinstance(inputs, dict)
        if named and self.shortcut_name not in inputs:
            raise RuntimeError(f"the shortcut {self.shortcut_name!r} is not among {sorted(inputs)}")
        shortcut = inputs[self.shortcut_name] if named else inputs
        output: Any = inputs
        for module in self.values:
            if self.propagate_shortcut:
                if not isinstance(output, dict):
                    output = {self.shortcut_name: shortcut, self.output_name: output}
                output = _tensors(module, step(module, output, batch))
                output = output[self.output_name] if isinstance(output, dict) else output
            else:
                if named and isinstance(output, dict):
                    output = output[self.output_name]
                output = _tensors(module, step(module, output, batch))
        return {
            self.shortcut_name: shortcut,
            **(output if isinstance(output, dict) else {self.output_name: output}),
        }


def _tensors(module: nn.Module, found: Any) -> Any:
    if not isinstance(found, (Tensor, dict)):
        raise RuntimeError(f"{type(module).__name__} gave a {type(found).__name__}, expected tensors")
    return found


@legacy
class BatchBlock(Block):
    """Modules that change a batch.

    Args:
        *module: each gets the features and the batch, and gives a batch, or parts of one by name.
        name: shown when the block is printed.
    """

    def forward(
        self, inputs: Any, targets: Any = None, sequences: Any = None, batch: Batch | None = None
    ) -> Batch:
        """A batch changed by the modules; made of features and targets where there is none."""
        if batch is None:
            batch = inputs if isinstance(inputs, Batch) else Batch(inputs, targets, sequences)
        return self.forward_batch(batch)

    def forward_batch(self, batch: Batch) -> Batch:
        """A batch changed by the modules.

        Raises:
            RuntimeError: if one gives neither a batch nor parts of one.
        """
        changed = batch
        for module in self.values:
            found = step(module, changed.features, changed)
            if not isinstance(found, (Batch, dict)):
                raise RuntimeError(f"{type(module).__name__} gave a {type(found).__name__}, expected a batch")
            changed = found if isinstance(found, Batch) else Batch.from_partial_dict(found, batch)
        return changed


def _copies(module: nn.Module, count: int) -> list[Any]:
    made: Any = module.copy if hasattr(module, "copy") else lambda: copy.deepcopy(module)
    return [made() for _ in range(count)]


def _check_count(n: int) -> None:
    if not isinstance(n, int):
        raise TypeError(f"n is {n!r}, expected a whole number")
    if n < 1:
        raise ValueError(f"n is {n}, expected at least 1")


@legacy
def repeat(module: nn.Module, n: int = 1, name: str | None = None) -> Block:
    """A module several times, one after the other; the copies start with its weights.

    Raises:
        TypeError: if ``n`` is no whole number.
        ValueError: if it is below 1.
    """
    _check_count(n)
    return Block(module, *_copies(module, n - 1), name=name)


@legacy
def repeat_parallel(module: nn.Module, n: int = 1, agg: Any = None) -> ParallelBlock:
    """A module several times side by side; all are copies that start with its weights, as in 23.12.

    Raises:
        TypeError: if ``n`` is no whole number.
        ValueError: if it is below 1.
    """
    _check_count(n)
    return _joined(ParallelBlock({str(i): one for i, one in enumerate(_copies(module, n))}), agg)


@legacy
def repeat_parallel_like(module: nn.Module, like: Any, agg: Any = None) -> ParallelBlock:
    """A module once for each name of something else; the first is the module itself."""
    names = [str(name) for name in (like.column_names if isinstance(like, Schema) else like.keys())]
    modules = [module, *_copies(module, len(names) - 1)]
    return _joined(ParallelBlock(dict(zip(names, modules, strict=False))), agg)


def _joined(block: ParallelBlock, agg: Any) -> ParallelBlock:
    return block.append(Block.parse(agg)) if agg else block  # type: ignore[no-any-return]


@legacy
def get_pre(module: nn.Module) -> BlockContainer:
    """What comes before a module, or before the first one of a list."""
    if hasattr(module, "pre"):
        return module.pre  # type: ignore[no-any-return]
    return get_pre(module[0]) if isinstance(module, BlockContainer) and module else BlockContainer()


@legacy
def set_pre(module: nn.Module, pre: Any) -> None:
    """Sets what comes before a module, or before the first one of a list."""
    stage = pre if isinstance(pre, BlockContainer) else BlockContainer(pre)
    if hasattr(module, "pre"):
        module.pre = stage
    elif isinstance(module, BlockContainer) and module:
        set_pre(module[0], stage)


__getattr__ = served(__name__)
import_module("merlin.models.torch._parts")  # registers the blocks with the functions of schemas
