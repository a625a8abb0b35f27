"""Methods that users override, called with no more than they take."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

NEWER_ARGUMENTS = {
    "compute_loss": ("num_items_in_batch",),
    "training_step": ("num_items_in_batch",),
    "log": ("start_time",),
    "create_optimizer": ("model",),
    "get_optimizer_cls_and_kwargs": ("model",),
    "prediction_step": ("training", "testing"),
}
"""Methods of the Trainer, and arguments that programs of transformers 4.30 do not take in their overrides."""


def adapt(cls: type) -> None:
    """Wraps the methods that a class overrides, where they take less than transformers 5 gives them.

    Args:
        cls: a subclass of the Trainer.
    """
    for name, newer in NEWER_ARGUMENTS.items():
        method = vars(cls).get(name)
        if isinstance(method, staticmethod):
            setattr(cls, name, staticmethod(accepting(method.__func__, newer)))
        elif method is not None:
            setattr(cls, name, accepting(method, newer))


def accepting(method: Callable[..., Any], newer: tuple[str, ...]) -> Callable[..., Any]:
    """A method that is given some arguments only if it has them.

    Args:
        method: with ``self`` first, unless it is static.
        newer: names of these arguments; given by position, they come last.
    """
    parameters = inspect.signature(method).parameters.values()
    names = {parameter.name for parameter in parameters}
    kinds = {parameter.kind for parameter in parameters}
    missing = [name for name in newer if name not in names]
    if not missing or kinds & {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}:
        return method
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    count = sum(parameter.kind in positional for parameter in parameters)

    @wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        return method(*args[:count], **{name: value for name, value in kwargs.items() if name not in missing})

    return call
