"""How large what a config describes may be: no larger than the weights that come with it."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import nn
from torch.nn.modules import module as hooks
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import TorchDispatchMode

from merlin_models_torch.serialize import ConfigError

# Blocks make more than their weights while they are built: rows to try them with, attention over positions.
_SPARE_NUMBERS, _NUMBERS_FOR_EACH = 2**28, 16
_SPARE_WEIGHTS, _WEIGHTS_FOR_EACH = 2**20, 4
_SPARE_MODULES, _MODULES_FOR_EACH = 10_000, 64
_COUNTED = frozenset({"arange", "range", "linspace", "logspace", "eye", "randperm"})
# They show numbers that are there already.
_VIEWS = frozenset({"view", "_unsafe_view", "reshape", "expand", "as_strided", "permute"})


@contextmanager
def within(shapes: Mapping[str, Sequence[int]]) -> Iterator[None]:
    """Refuses to make tensors and modules in this thread that weights of such shapes cannot be for.

    A tensor is refused before memory is taken for it.

    Args:
        shapes: of the saved weights, by name.

    Raises:
        ConfigError: if a tensor, or all weights, or the number of modules is far larger.
    """
    numbers = sum(math.prod(shape) for shape in shapes.values())
    limit = _SPARE_WEIGHTS + _WEIGHTS_FOR_EACH * numbers
    most = _SPARE_MODULES + _MODULES_FOR_EACH * len(shapes)
    thread = threading.get_ident()
    weights = modules = 0

    def on_weight(_: nn.Module, name: str, value: Any) -> None:
        nonlocal weights
        if threading.get_ident() != thread or value is None or is_lazy(value):
            return
        weights += value.numel()
        if weights > limit:
            raise ConfigError(
                f"the config describes more than {limit} weights, the last of them {name!r}, and {numbers} "
                "were saved: do not use this folder"
            )

    def on_module(_: nn.Module, name: str, value: Any) -> None:
        nonlocal modules
        modules += threading.get_ident() == thread
        if modules > most:
            raise ConfigError(
                f"the config describes more than {most} modules for {len(shapes)} saved weights: do not use "
                "this folder"
            )

    with ExitStack() as stack:
        for handle in (
            hooks.register_module_parameter_registration_hook(on_weight),
            hooks.register_module_buffer_registration_hook(on_weight),
            hooks.register_module_module_registration_hook(on_module),
        ):
            stack.callback(handle.remove)
        stack.enter_context(_Sized(_SPARE_NUMBERS + _NUMBERS_FOR_EACH * numbers))
        yield


class _Sized(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Refuses operations that ask for a tensor of more numbers than there may be."""

    def __init__(self, limit: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.limit = limit

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func.overloadpacket.__name__
        # What processes send each other is there already, and lists of counts are no sizes.
        given = [] if name in _VIEWS or func.namespace == "c10d" else [*args, *(kwargs or {}).values()]
        counted = name in _COUNTED
        sizes = [
            math.prod(one) if isinstance(one, (list, tuple)) else one
            for one in given
            if (isinstance(one, (list, tuple)) and one and all(type(size) is int for size in one))
            or (counted and type(one) in (int, float))
        ]
        largest = max(sizes, default=0)
        if largest > self.limit:
            raise ConfigError(
                f"the config describes a tensor of {largest} numbers, and the weights saved with it allow "
                f"for {self.limit}: do not use this folder"
            )
        return func(*args, **(kwargs or {}))
