"""Methods that users override, called with no more than they take."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

from transformers import Trainer as BaseTrainer

from transformers4rec._legacy import tell_once

NEWER_ARGUMENTS = {
    "compute_loss": ("num_items_in_batch",),
    "training_step": ("num_items_in_batch",),
    "log": ("start_time",),
    "create_optimizer": ("model",),
    "get_optimizer_cls_and_kwargs": ("model",),
    "prediction_step": ("training", "testing"),
    "_maybe_log_save_evaluate": ("grad_norm", "start_time", "learning_rate"),
    "_tune_save_checkpoint": ("checkpoint_dir",),
}
"""Methods of the Trainer, and arguments that programs of transformers 4.30 do not take in their overrides."""

NEVER_CALLED = {"_rotate_checkpoints", "_sorted_checkpoints", "prediction_loop", "_gather_and_numpify"}
"""Methods of the Trainer of transformers 4.30 that nothing calls any more."""


def adapt(cls: type) -> None:
    """Wraps the methods that a class overrides, where they take less than transformers 5 gives them.

    Args:
        cls: a subclass of the Trainer.
    """
    for name in NEVER_CALLED & vars(cls).keys():
        tell_once(
            f"{name} of a trainer",
            f"{cls.__name__}.{name} is not called: transformers 5 has no such method. Use a callback, such "
            "as on_save. See migration_guides/what-differs.md",
        )
    for name, newer in NEWER_ARGUMENTS.items():
        method = vars(cls).get(name)
        order = list(inspect.signature(getattr(BaseTrainer, name)).parameters)
        if isinstance(method, staticmethod):
            setattr(cls, name, staticmethod(accepting(method.__func__, newer, order)))
        elif method is not None:
            setattr(cls, name, accepting(method, newer, order))


def accepting(method: Callable[..., Any], newer: tuple[str, ...], order: list[str]) -> Callable[..., Any]:
    """A method that is given some arguments only if it has them.

    Args:
        method: with ``self`` first, unless it is static.
        newer: names of these arguments.
        order: names of the arguments that transformers 5 may give by position; ``newer`` that are not among
            them come last.
    """
    parameters = inspect.signature(method).parameters.values()
    names = {parameter.name for parameter in parameters}
    kinds = {parameter.kind for parameter in parameters}
    missing = [name for name in newer if name not in names]
    if not missing or kinds & {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}:
        return method
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    count = sum(parameter.kind in positional for parameter in parameters)
    dropped = {place for place, name in enumerate(order) if name in missing}

    @wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        # A class below, written for 4.30 too, gives no more than the method takes: nothing is to be dropped.
        if len(args) > count or not kwargs.keys().isdisjoint(missing):
            args = tuple(value for place, value in enumerate(args) if place not in dropped)[:count]
        return method(*args, **{name: value for name, value in kwargs.items() if name not in missing})

    return call
