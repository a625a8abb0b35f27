"""Methods of the Trainer of transformers 4.30 that transformers 5 lacks or does not call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from transformers import Trainer as BaseTrainer
from transformers.trainer_pt_utils import nested_gather


class FormerMethods:
    """Put before Hugging Face's Trainer in the bases."""

    # An own ``training_step`` of that time asks for these before it leaves the rest to the accelerator.
    do_grad_scaling = False
    use_apex = False
    use_cuda_amp = False
    use_cpu_amp = False
    # Of 23.12.0, for an own ``prediction_step``.
    _use_cuda_amp = False

    @property
    def tokenizer(self) -> Any:
        """What transformers 5 names the processing class."""
        return self.processing_class

    @tokenizer.setter
    def tokenizer(self, value: Any) -> None:
        self.processing_class = value

    def metrics_format(self, metrics: dict[str, float]) -> dict[str, float]:
        """Figures as people read them, a function in transformers 5.

        Args:
            metrics: what ``train``, ``evaluate`` or ``predict`` measured.
        """
        return BaseTrainer.metrics_format(metrics)

    def _nested_gather(self, tensors: Any, name: str | None = None) -> Any:
        return nested_gather(tensors, self.args.parallel_mode, name)

    def _pad_across_processes(self, tensor: Any, pad_index: int = -100) -> Any:
        return self.accelerator.pad_across_processes(tensor, dim=1, pad_index=pad_index)

    def _prepare_for_training(self, max_steps: int, *args: Any, **kwargs: Any) -> Any:
        """Calls an override of ``create_optimizer_and_scheduler``; transformers 5 calls its parts only."""
        if type(self).create_optimizer_and_scheduler is BaseTrainer.create_optimizer_and_scheduler:
            return super()._prepare_for_training(max_steps, *args, **kwargs)
        self.create_optimizer_and_scheduler(num_training_steps=max_steps)
        with _already_made(self):
            return super()._prepare_for_training(max_steps, *args, **kwargs)


@contextmanager
def _already_made(trainer: Any) -> Iterator[None]:
    """Optimiser and schedule are the trainer's, and not made a second time."""
    trainer._created_lr_scheduler = False  # or it would be thrown away
    trainer.create_optimizer = lambda model=None: trainer.optimizer
    trainer.create_scheduler = lambda num_training_steps, optimizer=None: trainer.lr_scheduler
    try:
        yield
    finally:
        del trainer.create_optimizer, trainer.create_scheduler
