"""A model: input block, body and output, as a LightningModule that is saved to a folder."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from lightning.pytorch.plugins.precision import MixedPrecision
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from merlin_models_torch._processes import destroy_group_at_exit, has_group
from merlin_models_torch.batch import Batch
from merlin_models_torch.blocks.base import Block
from merlin_models_torch.data import Vocabulary
from merlin_models_torch.inputs import TabularInputBlock
from merlin_models_torch.masking import Mode
from merlin_models_torch.outputs import Output
from merlin_models_torch.outputs.answered import check_answered
from merlin_models_torch.outputs.growth import Start
from merlin_models_torch.schema import ColumnSchema, Schema, Selection
from merlin_models_torch.serialize import serializable
from merlin_models_torch.training.answering import Answering
from merlin_models_torch.training.clipping import clip_gradients, has_special_gradient
from merlin_models_torch.training.compiling import has_ragged, outside_graphs
from merlin_models_torch.training.evaluation import STAGES, Evaluation, without_targets
from merlin_models_torch.training.monitors import check_monitors
from merlin_models_torch.training.optim import (
    MissingOptimizer,
    OptimizerChoice,
    OptimizerConfig,
    as_config,
    savable,
)
from merlin_models_torch.training.pairs import Rows, as_batch
from merlin_models_torch.training.planning import input_blocks, planned, planned_outside, width_of
from merlin_models_torch.training.precision import accept_batches, in_dtype
from merlin_models_torch.training.resuming import random_states, restore_random_states
from merlin_models_torch.training.sample import sample_batch
from merlin_models_torch.training.split import carry_state


@serializable
class Model(Answering):
    """Blocks and an output, trained by a stock ``lightning.Trainer``.

    Everything has its size when the constructor returns: a batch of two made-up rows goes through the blocks
    once. Random choices of training (masks) depend on the seed, the step and the rank only, and a checkpoint
    holds the state of torch's generators and the place in the data, so that a run resumed from it ends as one
    that was never stopped, bit by bit on CPU.

    The loss is the mean over the targets of a batch, of all processes together: two processes learn what one
    learns with their joined batch. ``accumulate_grad_batches`` gives each batch the same weight, however many
    targets it has, and equals the joined batch where all have the same number.

    Logged: see :attr:`metric_names`.

    Args:
        *blocks: among the first is the :class:`TabularInputBlock` (or several), the last is the output.
        optimizer: optimiser and schedule; or a name, class, callable or ready optimiser, see there.
        vocabularies: original ids by domain name, so that answers carry them.
        seed: of the random choices of training.

    Raises:
        ValueError: if there is no input block or no output.

    Example:
        >>> inputs = mm.TabularInputBlock(schema, embedding_dim=8, masking=mm.CausalMasking())
        >>> body = mm.TransformerBlock(8, heads=2, layers=1, max_length=30)
        >>> model = mm.Model(inputs, mm.MLPBlock([8]), body, mm.CategoricalOutput(weight_tying=True))
        >>> model.predict(files.test[0], k=3).num_rows == files.counts["test"]
        True
    """

    also_logged: tuple[str, ...] = ()
    """Names that a subclass, or a callback of yours, logs besides; callbacks may look at them."""

    def __init__(
        self,
        *blocks: nn.Module,
        optimizer: OptimizerConfig | MissingOptimizer | OptimizerChoice | None = None,
        vocabularies: Mapping[str, Vocabulary] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if len(blocks) < 2 or not isinstance(blocks[-1], Output):
            raise ValueError(
                "a model takes an input block, further blocks, and an output as the last of them "
                "(Lightning's checkpoints hold none: build the model and give ckpt_path=, or mm.load what "
                "save() wrote)"
            )
        self.body = blocks[0] if len(blocks) == 2 and isinstance(blocks[0], Block) else Block(*blocks[:-1])
        self.output: Any = blocks[-1]
        # References for access by name; the modules themselves are registered once, under the body.
        self._inputs = input_blocks(self.body)
        if self.output.needs_plan and self.inputs.masking is None:
            raise ValueError("next-item prediction needs a masking: give it to the TabularInputBlock")
        self.optimizer = optimizer
        self._carried: tuple[torch.optim.Optimizer, ...] = ()
        self.vocabularies = dict(vocabularies or {})
        self.seed = seed
        self._resumed: Any = None
        self._learned = False
        self._materialize()
        output: Any = self.output
        self._check_top_ks()
        self.evaluations = nn.ModuleDict({stage: Evaluation(output.make_metrics()) for stage in STAGES})

    def _materialize(self) -> None:
        """Passes made-up rows as long as they may get through the blocks: what does not fit says so now."""
        rows = sample_batch(self.schema, length=(self.inputs.max_sequence_length or 2) + 1)
        self.body.eval()
        with torch.no_grad():
            for mode in ("evaluate", "predict", "train"):
                generator = torch.Generator().manual_seed(0)
                width = width_of(self.body(self._planned(rows, mode, generator)))
        self.body.train()
        self.output.build(self.inputs, width)

    def _planned(self, batch: Batch, mode: Mode, generator: torch.Generator | None = None) -> Batch:
        if not self.output.needs_plan:
            mode = "predict"
        batch = in_dtype(batch, next(self.parameters()).dtype)
        # Sequences of matrices, such as an exported program takes, are planned within the graph.
        plan = planned_outside if mode != "predict" or has_ragged(batch) else planned
        return plan(self._inputs, batch, mode, generator=generator)

    @property
    def inputs(self) -> TabularInputBlock:
        """The input block; of several the one with a masking, or the first."""
        return self._inputs[0]

    @property
    def input_blocks(self) -> tuple[TabularInputBlock, ...]:
        """All input blocks."""
        return self._inputs

    @property
    def schema(self) -> Schema:
        """The columns that the model reads."""
        schema = self.inputs.schema
        for other in self._inputs[1:]:
            schema = schema + other.schema
        return schema

    def forward(self, batch: Rows) -> Any:
        """What the output's ``forward`` gives for prediction.

        Args:
            batch: the rows, or their columns by name.

        Returns:
            Logits of what comes next, one row a session, (B, V), from a :class:`CategoricalOutput`; (B,) from
            a :class:`BinaryOutput` or :class:`RegressionOutput`.

        Raises:
            ValueError: if a session has no items and the masking no place to answer it from.
        """
        batch = self._planned(as_batch(batch, self.output), "predict")
        found = self.output(self.hidden_states(batch), batch)
        for logits in self._of_items(found):
            check_answered(logits, batch)
        return found

    @property
    def optimizer(self) -> OptimizerConfig | MissingOptimizer:
        """The optimiser and its schedule; may be set to whatever the constructor takes."""
        return self._optimizer

    @optimizer.setter
    def optimizer(self, value: OptimizerConfig | MissingOptimizer | OptimizerChoice | None) -> None:
        self._optimizer = as_config(value)

    def configure_optimizers(self) -> Any:
        """The optimiser and its schedule, as Lightning takes them.

        Raises:
            ValueError: for a parameter without a size, an optimiser that does not fit the model's parameters,
                or none in a loaded model whose optimiser could not be saved.
        """
        config = self.optimizer
        if isinstance(config, MissingOptimizer):
            config.build(self)
        # A gradient scaler and clipping cannot both act on a fused optimiser.
        scaled = getattr(self.trainer.precision_plugin, "scaler", None) is not None
        optimizer = config.build(self, fused=not scaled)
        if config.carry_over:
            for previous in self._carried:
                carry_state(previous, optimizer)
            self._carried = (optimizer,)
        scheduler = config.lightning_scheduler(optimizer, self.trainer)
        return {"optimizer": optimizer, **({"lr_scheduler": scheduler} if scheduler else {})}

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clips as the Trainer says, and sparse gradients with the others."""
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        # Without a scaler, Lightning refuses a fused optimiser for no reason.
        precision = self.trainer.precision_plugin
        unscaled = isinstance(precision, MixedPrecision) and precision.scaler is None
        if gradient_clip_val and (unscaled or has_special_gradient(parameters)):
            clip_gradients(parameters, gradient_clip_val, by=gradient_clip_algorithm or "norm")
        else:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def setup(self, stage: str) -> None:
        """Lets the Trainer's precision pass batches on, and a process group end before Python does."""
        accept_batches(self.trainer.precision_plugin)
        if has_group():
            destroy_group_at_exit()

    def on_fit_start(self) -> None:
        """A model that is in eval mode, as a loaded one, learns; parts that alone are in it stay so.

        Raises:
            ValueError: if a callback or schedule looks at a metric which is not logged, with the names of
                those that are.
        """
        if not self.training:
            self.train()
        check_monitors(self.trainer, [*self.metric_names, *self.also_logged])
        self._learned = False

    @property
    def metric_names(self) -> tuple[str, ...]:
        """What is logged, for ``EarlyStopping`` and ``ModelCheckpoint``.

        ``train_loss``; ``val_loss`` and the output's metrics as ``val_<metric>_at_<k>`` or
        ``val_<target>_<metric>``; the same with ``test``. Empty where an output of your own has metrics
        without ``names``.
        """
        names = {stage: self._evaluation(stage).names for stage in STAGES}
        if any(of_stage is None for of_stage in names.values()):
            return ()
        return ("train_loss", *(f"{stage}_{name}" for stage in STAGES for name in names[stage] or ()))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of one batch, or of a pair of columns and labels, under the training plan: a scalar."""
        batch = as_batch(batch, self.output)
        generator = self._generator(batch_idx)
        planned = self._planned(batch, "train", generator)
        return self._loss(self.hidden_states(planned), planned, generator)

    @outside_graphs
    def _loss(self, hidden: Any, planned: Batch, generator: torch.Generator) -> Tensor:
        self._note_targets(planned)
        loss: Tensor = self.output.loss(hidden, planned, generator=generator)
        self.log("train_loss", loss.detach(), prog_bar=True, batch_size=len(planned))
        return loss if self._single else loss * self._share(self.output.count(planned), planned)

    def _note_targets(self, planned: Batch) -> None:
        """Remembers for the end of the epoch whether there was anything to learn."""
        self._learned = self._learned or self._has_targets(planned)

    @property
    def is_sharded(self) -> bool:
        """Whether rows of some tables are in other processes; all of them have to ask at the same time."""
        return any(isinstance(parameter, DTensor) for parameter in self.parameters())

    @property
    def _single(self) -> bool:
        return not torch.distributed.is_initialized() or torch.distributed.get_world_size() == 1

    def _share(self, count: int, batch: Batch) -> Tensor:
        """Turns the mean of the ranks' gradients into the gradient of one mean over all their targets."""
        count = 0 if batch.filler else count
        total = torch.tensor(float(count), device=self.device)
        torch.distributed.all_reduce(total)
        return count * torch.distributed.get_world_size() / total.clamp(min=1)

    @outside_graphs
    def _generator(self, batch_idx: int) -> torch.Generator:
        # Distinct for each (seed, epoch, batch, rank) and computed from them alone, so that resuming needs no
        # state.
        numbers = (self.seed, self.current_epoch, batch_idx, self.global_rank)
        mixed = 0
        for number in numbers:
            mixed = (mixed * 1_000_003 + number + 1) % (2**63)
        return torch.Generator(device=self.device).manual_seed(mixed)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps the state of torch's generators, which dropout draws from."""
        checkpoint["random_states"] = random_states(self.device)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Remembers that state until training goes on."""
        self._resumed = checkpoint.get("random_states")

    def on_train_start(self) -> None:
        """A resumed run draws what the run would have drawn that was never stopped."""
        if self._resumed is not None:
            restore_random_states(self._resumed, self.device)
            self._resumed = None

    def on_train_epoch_end(self) -> None:
        """Refuses to go on with rows that there is nothing to learn from.

        Raises:
            ValueError: if no row of the epoch gave a target.
        """
        if not self._anywhere(self._learned):
            raise ValueError(without_targets("train"))

    def _anywhere(self, here: bool) -> bool:
        return self.trainer.strategy.reduce_boolean_decision(here, all=False)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Loss and metrics of one batch under the evaluation plan."""
        self._evaluation_step(batch, "val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Loss and metrics of one batch under the evaluation plan."""
        self._evaluation_step(batch, "test")

    def _evaluation_step(self, batch: Batch, stage: str) -> None:
        batch = as_batch(batch, self.output)
        planned = self._planned(batch, "evaluate")
        counts = self._has_targets(planned)
        if counts or self.is_sharded:
            evaluation = self._evaluation(stage) if counts else None
            self._evaluate(self.hidden_states(planned), batch, planned, evaluation)

    @outside_graphs
    def _has_targets(self, planned: Batch) -> bool:
        return not planned.filler and self.output.count(planned) > 0

    @outside_graphs
    def _evaluate(self, hidden: Any, batch: Batch, planned: Batch, evaluation: Evaluation | None) -> None:
        seen = self._seen(batch, planned, getattr(self.output, "exclude_seen", False))
        # What counts for nothing is computed for the sake of the processes that wait for this one.
        into = evaluation or Evaluation(self.output.make_metrics()).to(self.device)
        into.update(self.output, hidden, planned, seen=seen, never=self._never())

    def _evaluation(self, stage: str) -> Evaluation:
        return cast(Evaluation, self.evaluations[stage])

    def on_validation_epoch_start(self) -> None:
        """Forgets what the metrics saw before."""
        self._evaluation("val").reset()

    def on_test_epoch_start(self) -> None:
        """Forgets what the metrics saw before."""
        self._evaluation("test").reset()

    def on_validation_epoch_end(self) -> None:
        """Logs the metrics over all batches and ranks.

        Raises:
            ValueError: if no row gave a target; in the course of training that is a warning.
        """
        self._log_evaluation("val")

    def on_test_epoch_end(self) -> None:
        """Logs the metrics over all batches and ranks.

        Raises:
            ValueError: if no row gave a target.
        """
        self._log_evaluation("test")

    def _log_evaluation(self, stage: str) -> None:
        if not self._anywhere(self._evaluation(stage).loss.update_called):
            if self.trainer.state.fn != TrainerFn.FITTING:
                raise ValueError(without_targets(stage))
            if not self.trainer.sanity_checking:
                # What was learned is worth more than what could not be measured.
                warnings.warn(without_targets(stage), stacklevel=2)
            return
        for name, value in self._evaluation(stage).compute().items():
            self.log(f"{stage}_{name}", value, prog_bar=name == "loss")

    def select(self, selection: Selection, *, copy: bool = False) -> nn.Module:
        """The part that depends on some columns alone: see :func:`merlin_models_torch.selection.select`."""
        from merlin_models_torch.selection import select

        return select(self, selection, copy=copy)

    def extract(self, selection: Selection, *, copy: bool = False) -> nn.Module:
        """A table or tower by itself: see :func:`merlin_models_torch.selection.extract`."""
        from merlin_models_torch.selection import extract

        return extract(self, selection, copy=copy)

    def grow(
        self,
        columns: ColumnSchema | Schema,
        *,
        start: Start = "random",
        generator: torch.Generator | None = None,
    ) -> None:
        """Makes room for new ids: see :func:`merlin_models_torch.training.growth.grow`."""
        from merlin_models_torch.training.growth import grow

        grow(self, columns, start=start, generator=generator)

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Writes the model to a folder: see :func:`merlin_models_torch.training.saving.save`."""
        from merlin_models_torch.training.saving import save

        return save(self, folder, overwrite=overwrite)

    def init_arguments(self) -> dict[str, Any]:
        """What builds this model again; the vocabularies are saved beside it."""
        # A chain is written block by block, any other block (or class of chain) as itself.
        body = [*self.body] if type(self.body) is Block else [self.body]
        return {"blocks": [*body, self.output], "optimizer": savable(self.optimizer), "seed": self.seed}
