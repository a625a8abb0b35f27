"""The Trainer: Hugging Face's of transformers 5, with data, metrics and habits of Transformers4Rec."""

from __future__ import annotations

import logging
import os
from typing import Any

import torch
from merlin_standard_lib import Schema
from torch import Tensor
from torch.optim import Optimizer
from torch.utils.data import Dataset
from transformers import Trainer as BaseTrainer
from transformers.trainer_callback import TrainerCallback
from transformers.trainer_pt_utils import get_parameter_names
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from transformers4rec import _processes
from transformers4rec._legacy import NotGiven, Refused, elsewhere, legacy, tell_once
from transformers4rec.config.trainer import T4RecTrainingArguments
from transformers4rec.torch import _accumulation, _checkpoint, _garbage, _logs, _schedules
from transformers4rec.torch._adamw import AdamW
from transformers4rec.torch._callbacks import Callbacks, IncrementalLoggingCallback
from transformers4rec.torch._evaluation import EvaluationMixin, process_metrics
from transformers4rec.torch._names_of_4_30 import FormerMethods
from transformers4rec.torch._signatures import adapt
from transformers4rec.torch.model.base import Model
from transformers4rec.torch.model.prediction_task import NextItemPredictionTask
from transformers4rec.torch.utils.data_utils import T4RecDataLoader
from transformers4rec.torch.utils.torch_utils import (
    nested_concat,
    nested_detach,
    nested_numpify,
    nested_truncate,
)

__all__ = [
    "DatasetMock",
    "IncrementalLoggingCallback",
    "Model",
    "NextItemPredictionTask",
    "Schema",
    "T4RecDataLoader",
    "T4RecTrainingArguments",
    "Trainer",
    "nested_concat",
    "nested_detach",
    "nested_numpify",
    "nested_truncate",
    "process_metrics",
]

__getattr__ = elsewhere(__name__, {"transformers4rec.torch._before_23_12": "HFWrapper"})
logger = logging.getLogger(__name__)


@legacy
class Trainer(EvaluationMixin, FormerMethods, BaseTrainer):
    """Trains and evaluates a model on parquet files or data loaders.

    Args:
        model: the model.
        args: of training.
        schema: of the columns to read.
        train_dataset_or_path: files, a glob, a table or a Dataset to train on; may be assigned later.
        eval_dataset_or_path: the same to evaluate on.
        test_dataset_or_path: the same to predict for.
        train_dataloader: used instead of a loader of its own.
        eval_dataloader: the same for evaluation.
        test_dataloader: the same for prediction.
        callbacks: of Hugging Face.
        compute_metrics: whether evaluation reports the model's metrics.
        incremental_logging: whether logged steps count on over several calls of ``train``.
        **kwargs: of Hugging Face's Trainer.
    """

    # The loss of a batch is a mean: under accumulated gradients the Trainer has to divide it.
    loss_is_scaled_for_ga = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        adapt(cls)

    def __init__(
        self,
        model: Model,
        args: T4RecTrainingArguments,
        schema: Any = None,
        train_dataset_or_path: Any = None,
        eval_dataset_or_path: Any = None,
        test_dataset_or_path: Any = None,
        train_dataloader: Any = None,
        eval_dataloader: Any = None,
        test_dataloader: Any = None,
        callbacks: list[TrainerCallback] | None = None,
        compute_metrics: bool | None = None,
        incremental_logging: bool = False,
        **kwargs: Any,
    ) -> None:
        callbacks = list(callbacks or [])
        self.incremental_logging = incremental_logging
        if incremental_logging:
            self.past_global_steps = 0
            callbacks.append(IncrementalLoggingCallback(self))
        if "tokenizer" in kwargs:
            kwargs["processing_class"] = kwargs.pop("tokenizer")
        nothing = DatasetMock()
        super().__init__(
            model=model, args=args, train_dataset=nothing, eval_dataset=nothing, callbacks=callbacks, **kwargs
        )
        _processes.let_go_at_exit(self)
        self.callback_handler = Callbacks.like(self.callback_handler)
        self.state.epoch = None
        self.model_accepts_loss_kwargs = False
        # Set by ``train``; a loop of one's own calls ``training_step`` without it.
        self.current_gradient_accumulation_steps = args.gradient_accumulation_steps
        self.compute_metrics = compute_metrics
        self.train_dataset_or_path = train_dataset_or_path
        self.eval_dataset_or_path = eval_dataset_or_path
        self.test_dataset_or_path = test_dataset_or_path
        self.train_dataloader = train_dataloader
        self.eval_dataloader = eval_dataloader
        self.test_dataloader = test_dataloader
        self.schema = schema
        self.device = self.local_rank = self.args.process_index
        self.global_size = self.args.world_size

    # ---- data

    def _loader(self, dataset_or_path: Any, what: str, batch_size: int, shuffle: bool) -> Any:
        if self.schema is None or dataset_or_path is None:
            missing = "schema" if self.schema is None else f"{what}_dataset_or_path"
            refusal = Refused if self.schema is None else NotGiven
            raise refusal(
                f"the Trainer has no {missing}: assign trainer.{missing}, or give {what}_dataloader"
            )
        return T4RecDataLoader.parse(self.args.data_loader_engine).from_schema(
            self.schema,
            dataset_or_path,
            batch_size,
            max_sequence_length=self.args.max_sequence_length,
            drop_last=self.args.dataloader_drop_last,
            shuffle=shuffle,
            shuffle_buffer_size=self.args.shuffle_buffer_size,
            global_rank=self.local_rank,
            global_size=self.global_size,
            device=self.device,
        )

    def get_train_dataloader(self) -> Any:
        """The loader given, or one of ``train_dataset_or_path``."""
        if self.train_dataloader is not None:
            return self.train_dataloader
        return self._loader(self.train_dataset_or_path, "train", self.args.per_device_train_batch_size, True)

    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        """The loader given, or one of ``eval_dataset_or_path``; the argument is not read."""
        given = self.eval_dataset_or_path if self.eval_dataloader is None else self.eval_dataloader
        if (
            eval_dataset is not None
            and not isinstance(eval_dataset, DatasetMock)
            and eval_dataset is not given
        ):
            tell_once(
                "other data to evaluate on",
                "Trainer.evaluate(dataset) evaluates on eval_dataset_or_path or eval_dataloader, whatever it "
                "is given, as in Transformers4Rec 23.12.0: assign trainer.eval_dataset_or_path before",
            )
        if self.eval_dataloader is not None:
            return self.eval_dataloader
        return self._loader(self.eval_dataset_or_path, "eval", self.args.per_device_eval_batch_size, False)

    def get_test_dataloader(self, test_dataset: Any = None) -> Any:
        """The loader given, or one of the data, or of ``test_dataset_or_path``."""
        if self.test_dataloader is not None:
            return self.test_dataloader
        dataset = test_dataset if test_dataset is not None else self.test_dataset_or_path
        return self._loader(dataset, "test", self.args.per_device_eval_batch_size, False)

    def num_examples(self, dataloader: Any) -> int:
        """Batches times their size, which counts the last as full."""
        return len(dataloader) * dataloader._batch_size

    # ---- optimiser and schedule

    def get_decay_parameter_names(self, model: torch.nn.Module) -> list[str]:
        """Parameters that decay: all but biases and layer normalisations, as in transformers 4.30."""
        return [name for name in get_parameter_names(model, [torch.nn.LayerNorm]) if "bias" not in name]

    @staticmethod
    def get_optimizer_cls_and_kwargs(args: Any, model: Any = None) -> tuple[Any, dict[str, Any]]:
        """Class and arguments of the optimiser; the AdamW of transformers 4.30 by default."""
        if args.optim != "adamw_hf":
            return BaseTrainer.get_optimizer_cls_and_kwargs(args, model)
        betas = (args.adam_beta1, args.adam_beta2)
        return AdamW, {"lr": args.learning_rate, "betas": betas, "eps": args.adam_epsilon}

    def reset_lr_scheduler(self) -> None:
        """The next ``train`` begins its schedule anew; without this it goes on where the last one ended."""
        self.lr_scheduler = None

    def create_scheduler(self, num_training_steps: int, optimizer: Optimizer | None = None) -> Any:
        """The schedule of this training, unless there is one of an earlier."""
        if self.lr_scheduler is None:
            self.lr_scheduler = self.get_scheduler(
                self.args.lr_scheduler_type,
                optimizer=self.optimizer if optimizer is None else optimizer,
                num_warmup_steps=self.args.warmup_steps,
                num_training_steps=num_training_steps,
                num_cycles=self.args.learning_rate_num_cosine_cycles_by_epoch * self.args.num_train_epochs,
            )
        return self.lr_scheduler

    get_scheduler = staticmethod(_schedules.get_scheduler)

    # ---- steps

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The model's loss of a batch of inputs and targets, and its outputs if asked for.

        Raises:
            ValueError: if the model gives no loss.
        """
        inputs, targets = inputs
        outputs = model(inputs, targets=targets, training=True)
        if self.args.past_index >= 0:
            self._past = outputs[self.args.past_index]
        if "loss" not in outputs:
            raise ValueError(f"the model gave no 'loss', only {sorted(outputs)}: its forward has to")
        return (outputs["loss"], outputs) if return_outputs else outputs["loss"]

    def set_initial_training_values(self, args: Any, dataloader: Any) -> tuple[Any, ...]:
        """Numbers of epochs, steps and examples; an epoch counts as its whole steps."""
        values = super().set_initial_training_values(args, dataloader)
        batches = values[5]
        if not _accumulation.leaves_batches(args, batches):
            return values
        epochs, per_epoch, steps = _accumulation.planned_steps(args, batches)
        return epochs, per_epoch, *values[2:6], steps

    def _inner_training_loop(self, *args: Any, **kwargs: Any) -> Any:
        with _garbage.of_new_objects():
            return super()._inner_training_loop(*args, **kwargs)

    def _run_epoch(self, **given: Any) -> None:
        loader = given["train_dataloader"]
        if hasattr(loader, "set_epoch"):  # what skips batches to resume has not
            loader.set_epoch(given["epoch"])
        if _accumulation.leaves_batches(self.args, given["steps_in_epoch"]):
            _accumulation.run_epoch(self, **given)
        else:
            super()._run_epoch(**given)

    def _maybe_log_save_evaluate(self, tr_loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Takes the arguments of transformers 4.30 too, which had no norm before the model and no start.

        ``log`` is told what it was then: the rate of the next step, and no norm of the gradients.
        """
        if args and not isinstance(args[0], torch.nn.Module):
            args = args[1:]
        else:
            kwargs.setdefault("start_time", None)
        kwargs.pop("grad_norm", None)
        super()._maybe_log_save_evaluate(tr_loss, None, *args, **{**kwargs, "learning_rate": None})

    # ---- saving

    def _init_training_state(
        self, max_steps: int, steps_in_epoch: int, epochs: int, resume_from_checkpoint: str | None, trial: Any
    ) -> tuple[int, int]:
        since = {f"{kind}_steps": getattr(self.args, f"{kind}_steps") for kind in ("logging", "eval", "save")}
        since |= {"train_batch_size": self._train_batch_size}
        since |= {"stateful_callbacks": self.state.stateful_callbacks}
        with _checkpoint.completed_state(resume_from_checkpoint, since) as folder:
            trained = super()._init_training_state(max_steps, steps_in_epoch, epochs, folder, trial)
        self.state.compute_steps(self.args, max_steps)
        return trained

    def _load_rng_state(self, checkpoint: str | None) -> None:
        with _checkpoint.random_states():
            super()._load_rng_state(checkpoint)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:
        """Writes ``pytorch_model.bin``, or ``model.safetensors`` if asked for, and the arguments."""
        if self.args.should_save:
            state_dict = self.model.state_dict() if state_dict is None else state_dict
            _checkpoint.save(self.args, output_dir or self.args.output_dir, state_dict)

    def _save_checkpoint(self, model: Any, trial: Any, metrics: Any = None) -> None:
        super()._save_checkpoint(model, trial)

    def _save_model_and_checkpoint(self, save_model_class: bool = False) -> None:
        """Writes a checkpoint now.

        Args:
            save_model_class: whether the model is saved too, see ``Model.save``.
        """
        self._save_checkpoint(self.model, trial=None)
        if save_model_class:
            folder = f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
            self.model.save(os.path.join(self.args.output_dir, folder))

    def load_model_trainer_states_from_checkpoint(self, checkpoint_path: str, model: Any = None) -> None:
        """Takes weights and random states of a checkpoint.

        Args:
            checkpoint_path: its folder.
            model: the model that the weights are for; the one saved with the checkpoint if not given.
        """
        self.model = _checkpoint.load(
            checkpoint_path, Model.load(checkpoint_path) if model is None else model
        )

    # ---- logging

    def _increment_past_global_steps(self, current_global_step: int) -> None:
        self.past_global_steps += current_global_step

    def _get_general_global_step(self) -> int:
        return self.past_global_steps + (self.state.global_step if self.model.training else 0)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Logs metrics; those of evaluation keep the prefix ``eval_``.

        Args:
            logs: values by name.
            start_time: of training, not used.
        """
        logs = _logs.renamed(logs)
        if {"loss", "learning_rate"} <= set(logs):
            logs = _logs.of_training(logs, self._get_learning_rate())
        step = self._get_general_global_step() if self.incremental_logging else self.state.global_step
        _logs.write(self, logs, step)


class DatasetMock(Dataset):
    """Stands for the data before there is some: Hugging Face's Trainer asks for a dataset of known length.

    Args:
        nsteps: the length.
    """

    def __init__(self, nsteps: int = 1) -> None:
        self.nsteps = nsteps

    def __len__(self) -> int:
        return self.nsteps


IncrementalLoggingCallback.__module__ = __name__
