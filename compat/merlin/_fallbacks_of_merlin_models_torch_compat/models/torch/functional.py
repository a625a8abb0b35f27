"""``merlin.models.torch.functional``: containers of modules mapped, filtered and added up."""

from __future__ import annotations

import builtins
import copy
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

from merlin.models._legacy import legacy, served

Change = Callable[..., Any]


@runtime_checkable
class HasBool(Protocol):
    """What can be asked whether it is true."""

    def __bool__(self) -> bool: ...


class ContainerMixin:
    """Methods of a list of modules; the lists that they give are new ones of the same class."""

    def filter(self, func: Change, recurse: bool = False) -> Any:
        """Those of which a function says yes; where it gives a module, that one."""
        test = _inside(func, "filter") if recurse else func
        found = ((module, test(module)) for module in self._listed())
        return self._like(module if answer is True else answer for module, answer in found if answer)

    def flatmap(self, func: Change) -> Any:
        """The modules of the lists that a function makes of the modules.

        Raises:
            TypeError: if it is no function, or gives no lists.
            RuntimeError: if it fails.
        """
        if not callable(func):
            raise TypeError(f"func is a {type(func).__name__}, expected a function of a module")
        try:
            lists = [func(module) for module in self._listed()]
        except Exception as error:
            raise RuntimeError("the function failed for one of the modules") from error
        if not all(isinstance(one, Iterable) for one in lists):
            raise TypeError(f"the function gave {[type(one).__name__ for one in lists]}, expected lists")
        return self._like(module for one in lists for module in one)

    def forall(self, func: Change, recurse: bool = False) -> bool:
        """Whether a function says yes of every one."""
        return all(builtins.map(_inside(func, "forall") if recurse else func, self._listed()))

    def map(self, func: Change, recurse: bool = False) -> Any:
        """What a function makes of them; ``recurse`` goes into the containers among them."""
        return self._like(builtins.map(_inside(func, "map") if recurse else func, self._listed()))

    def mapi(self, func: Change, recurse: bool = False) -> Any:
        """As :meth:`map` with a function of a module and its position."""
        change = _inside(func, "mapi") if recurse else func
        return self._like(change(module, i) for i, module in enumerate(self._listed()))

    def choose(self, func: Change, recurse: bool = False) -> Any:
        """What a function makes of them, without those of which it makes nothing."""
        made = builtins.map(_inside(func, "choose") if recurse else func, self._listed())
        return self._like(module for module in made if module)

    def walk(self, func: Change) -> Any:
        """As :meth:`map`, into the containers among them."""
        return self.map(func, recurse=True)

    def zip(self, other: Iterable[Any]) -> Iterable[tuple[Any, Any]]:
        """Pairs with what another list has."""
        return builtins.zip(self._listed(), other, strict=False)

    def freeze(self) -> None:
        """No parameter learns."""
        self._learning(False)

    def unfreeze(self) -> None:
        """Every parameter learns."""
        self._learning(True)

    def _learning(self, learns: bool) -> None:
        module: Any = self
        for parameter in module.parameters():
            parameter.requires_grad = learns

    def _listed(self) -> Iterable[Any]:
        return self  # type: ignore[return-value]

    def _like(self, modules: Iterable[Any]) -> Any:
        made: Any = type(self)
        return made(*modules)

    def __add__(self, module: Any) -> Any:
        return self._like([*self._listed(), *(module if hasattr(module, "__iter__") else [module])])

    def __radd__(self, module: Any) -> Any:
        return self._like([*(module if hasattr(module, "__iter__") else [module]), *self._listed()])


def _inside(func: Change, method: str) -> Change:
    """A module that has the method is changed by it, any other by the function."""

    def change(module: Any, *args: Any) -> Any:
        return getattr(module, method)(func, *args) if hasattr(module, method) else func(module, *args)

    return change


@legacy
def map(
    module: Any, func: Change, recurse: bool = False, parameterless_modules_only: bool = False, **kwargs: Any
) -> Any:
    """A container like another, of what a function makes of its modules; of one module, what it makes.

    Args:
        module: a block, a list or dict of modules, or a module.
        func: of a module, its position ``i`` and its ``name`` if it has parameters of these names.
        recurse: also goes into containers among the modules.
        parameterless_modules_only: not used, as in 23.12.
        **kwargs: ``i`` and ``name`` of ``module`` itself.
    """
    if isinstance(module, ContainerMixin):
        return module.map(func, recurse=recurse)
    if isinstance(module, Mapping) or hasattr(module, "items"):
        return map_module_dict(module, func, recurse)
    if isinstance(module, Iterable):
        return map_module_list(module, func, recurse)
    return map_module(module, func, recurse, **kwargs)


@legacy
def walk(module: Any, func: Change, parameterless_modules_only: bool = False, **kwargs: Any) -> Any:
    """As :func:`map`, also into containers among the modules."""
    return map(module, func, recurse=True, **kwargs)


@legacy
def map_module(
    module: Any, func: Change, recurse: bool = False, parameterless_modules_only: bool = False, **kwargs: Any
) -> Any:
    """What a function makes of one module, or of a copy of it if it has no parameters."""
    given = module if list(module.parameters(recurse=False)) else copy.deepcopy(module)
    taken = inspect.signature(func).parameters
    made = func(given, **{name: kwargs[name] for name in ("i", "name") if name in taken and name in kwargs})
    if recurse and made is not module:
        for i, (name, child) in enumerate(module.named_children()):
            setattr(made, name, map(child, func, recurse, i=i, name=name))
    return made


@legacy
def map_module_list(
    module_list: Any, func: Change, recurse: bool = False, parameterless_modules_only: bool = False
) -> Any:
    """A list like another of what a function makes of its modules."""
    made = [map(module, func, recurse, i=i, name=str(i)) for i, module in enumerate(module_list)]
    kind = type(module_list)
    return kind(*made) if "args" in inspect.signature(kind.__init__).parameters else kind(made)


@legacy
def map_module_dict(
    module_dict: Any, func: Change, recurse: bool = False, parameterless_modules_only: bool = False
) -> Any:
    """A dict like another of what a function makes of its modules."""
    return type(module_dict)(
        {
            name: map(module, func, recurse, i=i, name=name)
            for i, (name, module) in enumerate(module_dict.items())
        }
    )


__getattr__ = served(__name__)
