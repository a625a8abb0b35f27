"""Accumulated gradients as transformers 4.30 counted them: over the end of an epoch.

Where an epoch's batches do not fill whole steps, the batches left over wait for those of the next epoch, and
an epoch counts as its whole steps. Transformers 5 takes a step with the batches left over instead.
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import Any

import torch
from accelerate import skip_first_batches
from torch.optim.lr_scheduler import ReduceLROnPlateau


def leaves_batches(args: Any, batches: int | None) -> bool:
    """Whether some batches of an epoch wait for the next one.

    Args:
        args: of training.
        batches: in an epoch; None if that is not known.
    """
    every = args.gradient_accumulation_steps
    return batches is not None and batches > every and batches % every != 0


def planned_steps(args: Any, batches: int) -> tuple[int, int, int]:
    """Epochs, steps of an epoch and steps of the training.

    Args:
        args: of training.
        batches: in an epoch.
    """
    per_epoch = batches // args.gradient_accumulation_steps
    if args.max_steps > 0:
        return math.ceil(args.max_steps / per_epoch), per_epoch, args.max_steps
    return math.ceil(args.num_train_epochs), per_epoch, math.ceil(args.num_train_epochs * per_epoch)


def run_epoch(
    trainer: Any,
    *,
    model: Any,
    epoch: int,
    train_dataloader: Any,
    steps_in_epoch: int,
    trial: Any,
    ignore_keys_for_eval: Any,
    start_time: float,
    resume_from_checkpoint: str | None,
    epochs_trained: int,
    steps_trained_in_current_epoch: int,
    **_: Any,
) -> None:
    """One pass over the data.

    Args:
        trainer: of Hugging Face.
        model: perhaps wrapped.
        epoch: its number.
        train_dataloader: batches.
        steps_in_epoch: number of batches.
        trial: of a search.
        ignore_keys_for_eval: passed on.
        start_time: of training, passed on.
        resume_from_checkpoint: where an earlier training goes on from.
        epochs_trained: epochs of the earlier training.
        steps_trained_in_current_epoch: batches of the first epoch that the earlier training has seen.
    """
    args, every = trainer.args, trainer.args.gradient_accumulation_steps
    trainer.current_gradient_accumulation_steps = every
    first = epoch == epochs_trained
    if first:
        trainer._batches_since_start = 0
    skipped = steps_trained_in_current_epoch if first and resume_from_checkpoint is not None else 0
    restore = first and resume_from_checkpoint is not None
    passed_on = {"trial": trial, "epoch": epoch, "ignore_keys_for_eval": ignore_keys_for_eval}
    loader = skip_first_batches(train_dataloader, skipped) if skipped else train_dataloader
    for step, inputs in enumerate(loader):
        if restore:
            trainer._load_rng_state(resume_from_checkpoint)
            restore = False
        if step % every == 0:
            trainer.control = trainer.callback_handler.on_step_begin(args, trainer.state, trainer.control)
        trainer._batches_since_start += 1
        full = trainer._batches_since_start % every == 0
        trainer.accelerator.gradient_state._set_sync_gradients(full)
        with nullcontext() if full else trainer.accelerator.no_sync(model=model):
            _add_loss(trainer, trainer.training_step(model, inputs))
        trainer.current_flos += float(trainer.floating_point_ops(inputs))
        if full:
            _take_step(trainer, model)
            trainer.state.epoch = epoch + (step + 1 + skipped) / steps_in_epoch
            trainer.control = trainer.callback_handler.on_step_end(args, trainer.state, trainer.control)
            trainer._maybe_log_save_evaluate(
                trainer._tr_loss, None, model, start_time=start_time, **passed_on
            )
        else:
            trainer.control = trainer.callback_handler.on_substep_end(args, trainer.state, trainer.control)
        if trainer.control.should_epoch_stop or trainer.control.should_training_stop:
            break
    trainer.control = trainer.callback_handler.on_epoch_end(args, trainer.state, trainer.control)
    trainer._maybe_log_save_evaluate(trainer._tr_loss, None, model, start_time=start_time, **passed_on)


def _add_loss(trainer: Any, loss: torch.Tensor) -> None:
    """Adds the loss of a batch to what is logged; one that is no number counts as the mean so far."""
    if trainer.args.logging_nan_inf_filter and not torch.isfinite(loss):
        loss = trainer._tr_loss / (1 + trainer.state.global_step - trainer._globalstep_last_logged)
    trainer._tr_loss += loss


def _take_step(trainer: Any, model: Any) -> None:
    if trainer.args.max_grad_norm > 0:
        trainer._clip_grad_norm(model)
    handler, args = trainer.callback_handler, trainer.args
    trainer.control = handler.on_pre_optimizer_step(args, trainer.state, trainer.control)
    trainer.optimizer.step()
    trainer.control = handler.on_optimizer_step(args, trainer.state, trainer.control)
    moves = not isinstance(trainer.lr_scheduler, ReduceLROnPlateau)
    if moves and not trainer.accelerator.optimizer_step_was_skipped:
        trainer.lr_scheduler.step()
    model.zero_grad()
    trainer.state.global_step += 1
