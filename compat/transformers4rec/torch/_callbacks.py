"""How callbacks are called, and the one that Transformers4Rec has."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from copy import copy
from functools import lru_cache
from typing import Any

from transformers import trainer_callback
from transformers.trainer_callback import CallbackHandler, TrainerCallback


class DefaultFlowCallback(trainer_callback.DefaultFlowCallback):
    """When to log, evaluate and save; unlike transformers 5, 4.30 did nothing extra after the last step.

    Programs look for it by its name, so it has that of Hugging Face's.
    """

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """Asks for what is due after a step.

        Args:
            args: of training.
            state: of the Trainer.
            control: takes what is due.
            **kwargs: not used.
        """
        if state.global_step < state.max_steps:
            return super().on_step_end(args, state, control, **kwargs)
        going_on = copy(state)
        going_on.max_steps = state.global_step + 1
        control = super().on_step_end(args, going_on, control, **kwargs)
        control.should_training_stop = True
        return control


@lru_cache(maxsize=256)
def _without(method: Callable[..., Any]) -> frozenset[str]:
    """Names of the tokenizer, of 4.30 and of transformers 5, that a callback's method does not take."""
    parameters = inspect.signature(method).parameters.values()
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
        return frozenset()
    return frozenset({"tokenizer", "processing_class"}).difference(parameter.name for parameter in parameters)


class Callbacks(CallbackHandler):
    """Calls callbacks with ``tokenizer`` too, by which transformers 4.30 called ``processing_class``.

    A method that lists its keywords, without ``**kwargs``, gets only those of the two names that it lists.
    """

    @classmethod
    def like(cls, handler: CallbackHandler) -> Callbacks:
        """Takes over from Hugging Face's handler.

        Args:
            handler: made by Hugging Face's Trainer.
        """
        optimisers = handler.optimizer, handler.lr_scheduler
        theirs = trainer_callback.DefaultFlowCallback
        callbacks = [DefaultFlowCallback() if type(each) is theirs else each for each in handler.callbacks]
        return cls(callbacks, handler.model, handler.processing_class, *optimisers)

    def call_event(self, event: str, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """Calls one method of every callback.

        Args:
            event: name of the method.
            args: of training.
            state: of the Trainer.
            control: of the Trainer.
            **kwargs: what else the event tells.
        """
        given = {
            "model": self.model,
            "tokenizer": self.processing_class,
            "processing_class": self.processing_class,
            "optimizer": self.optimizer,
            "lr_scheduler": self.lr_scheduler,
            "train_dataloader": self.train_dataloader,
            "eval_dataloader": self.eval_dataloader,
            **kwargs,
        }
        for callback in self.callbacks:
            method = getattr(callback, event)
            absent = _without(getattr(method, "__func__", method))
            taken = {key: value for key, value in given.items() if key not in absent} if absent else given
            answer = method(args, state, control, **taken)
            control = control if answer is None else answer
        return control


class IncrementalLoggingCallback(TrainerCallback):
    """Adds the steps of each training to those before it.

    Args:
        trainer: the trainer.
    """

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Nothing; subclasses of programs may call it."""

    def on_epoch_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Nothing; subclasses of programs may call it."""

    def on_train_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Adds the steps of the training that ended."""
        self.trainer._increment_past_global_steps(state.global_step)
