"""Arguments of the Trainer: Hugging Face's of today and of version 4.30, and Transformers4Rec's own."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

from deprecation import DeprecatedWarning
from transformers import TrainingArguments
from transformers.integrations.integration_utils import default_logdir

from transformers4rec import _processes
from transformers4rec._legacy import absent, legacy, warn_user

__getattr__ = absent(__name__, "T4RecTrainingArgumentsTF")

_GUIDE = "See migration_guides/from-transformers4rec.md#training"

_RENAMED = {
    "no_cuda": "use_cpu",
    "evaluation_strategy": "eval_strategy",
    "per_gpu_train_batch_size": "per_device_train_batch_size",
    "per_gpu_eval_batch_size": "per_device_eval_batch_size",
    "xpu_backend": "ddp_backend",
    "torchdynamo": "torch_compile_backend",
    "push_to_hub_token": "hub_token",
}
"""Arguments that have another name in transformers 5; the new one gets the value."""

_WITHOUT_EFFECT = (
    "fp16_backend",
    "fp16_opt_level",
    "group_by_length",
    "half_precision_backend",
    "include_inputs_for_metrics",
    "jit_mode_eval",
    "mp_parameters",
    "ray_scope",
    "sharded_ddp",
    "tpu_metrics_debug",
    "tpu_num_cores",
    "use_ipex",
    "use_legacy_prediction_loop",
    "use_mps_device",
)
"""Arguments that nothing reads any more, in transformers 5 or with the loaders of this package."""


def _gone(default: Any, help: str) -> Any:
    """A field of transformers 4.30 that transformers 5 does not have."""
    return field(default=default, metadata={"help": help})


@legacy
@dataclass
class T4RecTrainingArguments(TrainingArguments):
    """Arguments of the Trainer.

    Args:
        max_sequence_length: length of list columns in batches.
        shuffle_buffer_size: of the "pyarrow" loader.
        data_loader_engine: registered name of the loader.
        eval_on_test_set: kept for programs that read it.
        eval_steps_on_train_set: batches of an evaluation with the prefix "train".
        predict_top_k: items that predictions keep of each row, all scores for 0; metrics do not depend on it.
        learning_rate_num_cosine_cycles_by_epoch: waves of the cosine schedules in one epoch.
        log_predictions: whether the trainer's ``log_predictions_callback`` is called at each evaluation step.
        compute_metrics_each_n_steps: evaluation steps from one update of the metrics to the next.
        experiments_group: kept for programs that read it.

    All others are those of ``transformers.TrainingArguments``, of today and of version 4.30.
    """

    max_sequence_length: int | None = field(default=None, metadata={"help": "length of list columns"})
    shuffle_buffer_size: int = field(default=0, metadata={"help": "of the pyarrow loader"})
    data_loader_engine: str = field(default="merlin", metadata={"help": "name of the data loader"})
    eval_on_test_set: bool = field(default=False, metadata={"help": "kept for programs that read it"})
    eval_steps_on_train_set: int = field(
        default=20, metadata={"help": "steps of evaluating on training data"}
    )
    predict_top_k: int = field(default=100, metadata={"help": "items kept of each prediction"})
    learning_rate_num_cosine_cycles_by_epoch: float = field(
        default=1.25, metadata={"help": "waves of the cosine schedules in one epoch"}
    )
    log_predictions: bool = field(default=False, metadata={"help": "call log_predictions_callback"})
    compute_metrics_each_n_steps: int = field(default=1, metadata={"help": "steps between metric updates"})
    experiments_group: str = field(default="default", metadata={"help": "kept for programs that read it"})

    # Defaults of transformers 4.30 where transformers 5 has others.
    optim: str = field(default="adamw_hf", metadata={"help": "the optimiser"})
    report_to: list[str] | None = field(
        default=None, metadata={"help": "loggers; all that are installed by default"}
    )

    overwrite_output_dir: bool = _gone(False, "kept for programs that read it")
    evaluation_strategy: str = _gone("no", "eval_strategy")
    per_gpu_train_batch_size: int | None = _gone(None, "per_device_train_batch_size")
    per_gpu_eval_batch_size: int | None = _gone(None, "per_device_eval_batch_size")
    warmup_ratio: float = _gone(0.0, "not used, give warmup_steps")
    logging_dir: str | None = _gone(None, "folder of TensorBoard's logs")
    save_safetensors: bool = _gone(False, "write model.safetensors instead of pytorch_model.bin")
    no_cuda: bool = _gone(False, "use_cpu")
    past_index: int = _gone(-1, "index of the model's output to keep")
    adafactor: bool = _gone(False, "optim='adafactor'")
    fsdp_min_num_params: int = _gone(0, "min_num_params of fsdp_config")
    fsdp_transformer_layer_cls_to_wrap: str | None = _gone(
        None, "transformer_layer_cls_to_wrap of fsdp_config"
    )
    torchdynamo: str | None = _gone(None, "torch_compile_backend")
    xpu_backend: str | None = _gone(None, "ddp_backend")
    push_to_hub_model_id: str | None = _gone(None, "hub_model_id")
    push_to_hub_token: str | None = _gone(None, "hub_token")
    push_to_hub_organization: str | None = _gone(None, "put before hub_model_id and a slash")
    fp16_backend: str = _gone("auto", "without effect")
    fp16_opt_level: str = _gone("O1", "without effect")
    half_precision_backend: str = _gone("auto", "without effect")
    group_by_length: bool = _gone(False, "without effect")
    include_inputs_for_metrics: bool = _gone(False, "without effect")
    jit_mode_eval: bool = _gone(False, "without effect")
    mp_parameters: str = _gone("", "without effect")
    ray_scope: str | None = _gone("last", "without effect")
    sharded_ddp: str = _gone("", "without effect")
    tpu_metrics_debug: bool = _gone(False, "without effect")
    tpu_num_cores: int | None = _gone(None, "without effect")
    use_ipex: bool = _gone(False, "without effect")
    use_legacy_prediction_loop: bool = _gone(False, "without effect")
    use_mps_device: bool = _gone(False, "without effect")

    framework: ClassVar[str] = "pt"

    def __post_init__(self) -> None:
        for old, new in _RENAMED.items():
            if self._given(old):
                _warn(old, f"Write {new} instead")
                setattr(self, new, getattr(self, old))
        for old in _WITHOUT_EFFECT:
            if self._given(old):
                _warn(old, "It has no effect, leave it out")
        self._take_others()
        legacy_optimizer = self.optim == "adamw_hf"
        if legacy_optimizer:
            self.optim = "adamw_torch"  # Hugging Face's check of the name does not know it any more
        best = self.metric_for_best_model
        if self.greater_is_better is None and best is not None:
            self.greater_is_better = best not in ("loss", "eval_loss")
            if self.greater_is_better and best.endswith("loss"):
                warn_user(
                    f"metric_for_best_model={best!r} takes the model with the largest loss for the best, as "
                    "in Transformers4Rec 23.12.0: give greater_is_better=False"
                )
        self.report_to = "all" if self.report_to is None else self.report_to
        super().__post_init__()
        if (self.fp16 or self.fp16_full_eval) and self.device.type == "cpu":
            raise ValueError(
                "fp16 and fp16_full_eval need an accelerator, the device is cpu: leave them out or give bf16"
            )
        if legacy_optimizer:
            self.optim = "adamw_hf"
        self.evaluation_strategy = self.eval_strategy
        self.no_cuda = self.use_cpu
        self.local_rank = self.local_process_index
        if self.logging_dir is None:
            self.logging_dir = os.path.join(self.output_dir, default_logdir())
        if self.run_name is None:
            self.run_name = self.output_dir  # as loggers are told it by transformers 4.30

    def _given(self, name: str) -> bool:
        return getattr(self, name) != type(self).__dataclass_fields__[name].default

    def _take_others(self) -> None:
        if self.adafactor:
            _warn("adafactor", "Write optim='adafactor' instead")
            self.optim = "adafactor"
        if self.optim == "adamw_apex_fused":
            _warn("optim='adamw_apex_fused'", "Write optim='adamw_torch_fused' instead")
            self.optim = "adamw_torch_fused"
        if self.push_to_hub_model_id is not None:
            _warn("push_to_hub_model_id", "Write hub_model_id='organization/name' instead")
            owner = f"{self.push_to_hub_organization}/" if self.push_to_hub_organization else ""
            self.hub_model_id = owner + self.push_to_hub_model_id
        if not 0 <= self.warmup_ratio <= 1:
            raise ValueError(f"warmup_ratio is {self.warmup_ratio}, expected 0 to 1: give warmup_steps")
        if self.warmup_ratio:
            warn_user(
                "warmup_ratio is not used, as in Transformers4Rec 23.12.0, whose schedules count "
                f"warmup_steps only: give warmup_steps. {_GUIDE}"
            )
        if self.max_grad_norm is None:
            self.max_grad_norm = 0.0  # neither clips
        if self.label_smoothing_factor:
            warn_user(
                "label_smoothing_factor has no effect, as in Transformers4Rec 23.12.0: give the task "
                "loss=LabelSmoothCrossEntropyLoss(smoothing=...)"
            )
            self.label_smoothing_factor = 0.0  # or the Trainer would ask the model for a configuration
        if self.logging_dir is not None:
            _warn("logging_dir", "Set the environment variable TENSORBOARD_LOGGING_DIR instead")
            os.environ["TENSORBOARD_LOGGING_DIR"] = self.logging_dir
        wrapping = {
            "min_num_params": self.fsdp_min_num_params,
            "transformer_layer_cls_to_wrap": self.fsdp_transformer_layer_cls_to_wrap,
        }
        for option, value in wrapping.items():
            if value:
                _warn(f"fsdp_{option}", f"Write fsdp_config={{{option!r}: ...}} instead")
                config = self.fsdp_config if isinstance(self.fsdp_config, dict) else {}
                self.fsdp_config = {**config, option: value}

    def get_warmup_steps(self, num_training_steps: int) -> int:
        """``warmup_steps``, or else the share of the steps that ``warmup_ratio`` is; no schedule asks this.

        Args:
            num_training_steps: of the whole training.
        """
        if self.warmup_ratio and not self.warmup_steps:
            return math.ceil(num_training_steps * self.warmup_ratio)
        steps: int = super().get_warmup_steps(num_training_steps)
        return steps

    @cached_property
    def _setup_devices(self) -> Any:
        """Where the Trainer computes; accelerate makes a process group here, unless there is one."""
        given = _processes.has_group()
        device = super()._setup_devices
        if _processes.has_group() and not given:
            _processes.destroy_group_at_exit()
        return device

    @property
    def place_model_on_device(self) -> bool:
        """Whether the Trainer moves the model: to CUDA only."""
        return self.device.type == "cuda"


def _warn(argument: str, what: str) -> None:
    given = argument if "=" in argument else f"{argument}="
    name = f"transformers4rec.config.trainer.T4RecTrainingArguments({given})"
    warn_user(DeprecatedWarning(name, "0.1.0", "1.0.0", f"{what}. {_GUIDE}"))
