"""``merlin.models.torch.container``: modules in lists and dicts."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any

from merlin.models._legacy import legacy, served
from merlin.models.torch.functional import ContainerMixin
from merlin.models.torch.utils.module_utils import is_tabular
from torch import nn

_WRAPPED = "to_wrap."
"""Where 23.12 saved the weights of a module in a container that is none itself: it wrapped them."""
_ASKS: dict[type, bool] = {}


def asks_for_batch(module: nn.Module) -> bool:
    """Whether a module must have the batch: a parameter of that name without the default None."""
    kind = type(module)
    if kind not in _ASKS:
        given = inspect.signature(kind.forward).parameters
        _ASKS[kind] = "batch" in given and len(given) > 2 and given["batch"].default is not None
    return _ASKS[kind]


def step(module: nn.Module, inputs: Any, batch: Any) -> Any:
    """One module of a container on its inputs.

    Containers get the batch, and modules that cannot do without. One of a program's own with ``batch=None``
    does not, as in 23.12.

    Raises:
        RuntimeError: if a batch is asked for and there is none, or tensors by name are given to a module that
            fails for want of one tensor.
    """
    if isinstance(module, BlockContainer):
        return module(inputs, batch=batch)
    if not asks_for_batch(module):
        try:
            return module(inputs)
        except (TypeError, AttributeError) as error:
            if not isinstance(inputs, dict) or is_tabular(module):
                raise
            raise RuntimeError(
                f"{type(module).__name__} expected a tensor, but got a dictionary of {sorted(inputs)} "
                "instead: join the tensors before it, with Concat for one"
            ) from error
    if batch is None:
        raise RuntimeError(f"{type(module).__name__} asks for a batch and there is none: pass batch=")
    return module(inputs, batch=batch)


@legacy
class BlockContainer(ContainerMixin, nn.Module):
    """A list of modules. Its state dict has the names of 23.12.

    Args:
        *inputs: the modules.
        name: shown when the list is printed.
    """

    def __init__(self, *inputs: nn.Module, name: str | None = None) -> None:
        super().__init__()
        self.values = nn.ModuleList()
        self._name = name
        for module in inputs:
            self.values.append(self.wrap_module(module))

    def wrap_module(self, module: nn.Module) -> nn.Module:
        """The module itself, which 23.12 wrapped for TorchScript.

        Raises:
            ValueError: if it is no module.
        """
        if not isinstance(module, nn.Module):
            raise ValueError(f"a block takes modules, got a {type(module).__name__}: pass an nn.Module")
        return module

    def unwrap(self) -> Any:
        """The container itself."""
        return self

    def append(self, module: nn.Module) -> Any:
        """Adds a module at the end and returns the container."""
        self.values.append(self.wrap_module(module))
        return self

    def extend(self, sequence: Iterable[nn.Module]) -> Any:
        """Adds modules at the end and returns the container."""
        for module in sequence:
            self.append(module)
        return self

    def prepend(self, module: nn.Module) -> Any:
        """Adds a module at the beginning and returns the container."""
        return self.insert(0, module)

    def insert(self, index: int, module: nn.Module) -> Any:
        """Adds a module before position ``index`` and returns the container."""
        self.values.insert(index, self.wrap_module(module))
        return self

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[nn.Module]:
        return iter(self.values)

    def __getitem__(self, index: Any) -> Any:
        return BlockContainer(*self.values[index]) if isinstance(index, slice) else self.values[index]

    def __setitem__(self, index: int, module: nn.Module) -> None:
        self.values[index] = self.wrap_module(module)

    def __delitem__(self, index: Any) -> None:
        del self.values[index]

    def __bool__(self) -> bool:
        return bool(len(self.values))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BlockContainer) or len(self) != len(other):
            return False
        return all(a == b for a, b in zip(self.values, other.values, strict=True))

    def __hash__(self) -> int:
        return hash(tuple(self.values))

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Weights by the names that 23.12 gave them."""
        state = super().state_dict(*args, **kwargs)
        prefix = kwargs.get("prefix") or (args[1] if len(args) > 1 else "")
        inner = self._wrapped_prefixes(prefix)
        for name in [name for name in state if name.startswith(prefix)]:
            value = state.pop(name)
            place = next((place for place in inner if name.startswith(place)), "")
            state[place + _WRAPPED + name.removeprefix(place) if place else name] = value
        return state

    def _load_from_state_dict(self, state_dict: MutableMapping[str, Any], prefix: str, *args: Any) -> None:
        for place in self._wrapped_prefixes(prefix):
            for name in [name for name in state_dict if name.startswith(place + _WRAPPED)]:
                state_dict[place + name.removeprefix(place + _WRAPPED)] = state_dict.pop(name)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _wrapped_prefixes(self, prefix: str) -> list[str]:
        plain = (i for i, module in enumerate(self.values) if not isinstance(module, BlockContainer))
        return [f"{prefix}values.{i}." for i in plain]

    def __repr__(self) -> str:
        return self._get_name() + repr(self.values).removeprefix("ModuleList")

    def _get_name(self) -> str:
        return self.__dict__.get("_name") or super()._get_name()


@legacy
class BlockContainerDict(nn.ModuleDict):
    """Lists of modules by name; a single module becomes a list.

    Args:
        *inputs: dicts of modules by name.
        name: shown when the dict is printed.
        block_cls: class of the lists.
    """

    def __init__(
        self,
        *inputs: Mapping[str, nn.Module],
        name: str | None = None,
        block_cls: Callable[..., Any] = BlockContainer,
    ) -> None:
        for branches in inputs:
            if not hasattr(branches, "items"):
                raise TypeError(
                    f"branches are modules by name, got a {type(branches).__name__}: pass a dict of modules"
                )
        self._block_cls: Any = block_cls
        super().__init__({key: module for branches in inputs for key, module in branches.items()})
        self._name = name

    def append_to(self, name: str, module: nn.Module) -> BlockContainerDict:
        """Adds a module at the end of a list."""
        self[name].append(module)  # type: ignore[operator]
        return self

    def prepend_to(self, name: str, module: nn.Module) -> BlockContainerDict:
        """Adds a module at the beginning of a list."""
        self[name].prepend(module)  # type: ignore[operator]
        return self

    def append_for_each(self, module: nn.Module, shared: bool = False) -> BlockContainerDict:
        """Adds a module, or copies of it, at the end of each list."""
        for branch in self.values():
            branch.append(module if shared else copy.deepcopy(module))  # type: ignore[operator]
        return self

    def prepend_for_each(self, module: nn.Module, shared: bool = False) -> BlockContainerDict:
        """Adds a module, or copies of it, at the beginning of each list."""
        for branch in self.values():
            branch.prepend(module if shared else copy.deepcopy(module))  # type: ignore[operator]
        return self

    def add_module(self, name: str, module: nn.Module | None) -> None:
        """Sets the list of a name."""
        if module is not None and not isinstance(module, self._block_cls):
            module = self._block_cls(module)
        super().add_module(name, module)

    def unwrap(self) -> dict[str, Any]:
        """The lists by name."""
        return dict(self.items())

    def _get_name(self) -> str:
        return self.__dict__.get("_name") or super()._get_name()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BlockContainerDict):
            return False
        return all(key in other and other[key] == value for key, value in self.items())

    def __hash__(self) -> int:
        return hash(tuple(sorted((name, hash(module)) for name, module in self.items())))


__getattr__ = served(__name__)
