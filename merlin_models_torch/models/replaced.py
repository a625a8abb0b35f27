"""A session model that also learns to find replaced items."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from merlin_models_torch._modes import eval_mode
from merlin_models_torch.batch import Batch
from merlin_models_torch.blocks.mlp import MLPBlock
from merlin_models_torch.data import Vocabulary
from merlin_models_torch.masking.replaced import ReplacedMasking, draw_items
from merlin_models_torch.outputs import CategoricalOutput
from merlin_models_torch.serialize import serializable
from merlin_models_torch.training.compiling import outside_graphs
from merlin_models_torch.training.model import Model
from merlin_models_torch.training.optim import OptimizerChoice, OptimizerConfig
from merlin_models_torch.training.pairs import as_batch
from merlin_models_torch.training.sample import sample_batch


@serializable
class ReplacedItemModel(Model):
    """A :class:`Model` trained to name hidden items and to find replaced ones (Clark et al. 2020, ELECTRA).

    Generator and discriminator are one body with one set of item embeddings, because the answers are the
    generator's. The loss is the output's for naming (the paper's generator) plus ``detection_weight`` times
    the binary cross entropy over all positions in use; no gradient flows through the drawing of items. The
    discriminator sees item ids and columns of the session; other lists would tell the item that was there,
    and are 0 in that part.

    Logged besides what :class:`Model` logs: ``train_detection_loss``.

    Args:
        *blocks: as for :class:`Model`; the input block's masking is :class:`ReplacedMasking`, the output a
            :class:`CategoricalOutput`.
        detection_weight: of the second loss, 50 in the paper.
        optimizer: of :class:`Model`.
        vocabularies: of :class:`Model`.
        seed: of :class:`Model`.

    Raises:
        ValueError: if masking or output are others, or the weight is not positive.

    Example:
        >>> inputs = mm.TabularInputBlock(schema, embedding_dim=8, masking=mm.ReplacedMasking())
        >>> body = mm.TransformerBlock(8, heads=2, layers=1, max_length=30)
        >>> output = mm.CategoricalOutput(weight_tying=True)
        >>> model = ReplacedItemModel(inputs, mm.MLPBlock([8]), body, output)
        >>> model.predict(files.test[0], k=3).num_rows == files.counts["test"]
        True
    """

    also_logged = ("train_detection_loss",)
    output: CategoricalOutput

    def __init__(
        self,
        *blocks: nn.Module,
        detection_weight: float = 50.0,
        optimizer: OptimizerConfig | OptimizerChoice | None = None,
        vocabularies: Mapping[str, Vocabulary] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(*blocks, optimizer=optimizer, vocabularies=vocabularies, seed=seed)
        if not isinstance(self.inputs.masking, ReplacedMasking):
            raise ValueError(
                f"the masking is {type(self.inputs.masking).__name__}, expected ReplacedMasking: give it to "
                "the input block, or use Model"
            )
        if not isinstance(self.output, CategoricalOutput):
            raise ValueError(
                f"the output is {type(self.output).__name__}, expected CategoricalOutput, which names items"
            )
        if detection_weight <= 0:
            raise ValueError(f"detection_weight must be positive, got {detection_weight}: or use Model")
        self.masking = self.inputs.masking
        self.detection_weight = detection_weight
        width = self._width()
        self.detector = nn.Sequential(
            MLPBlock([width], in_features=width, activation="gelu"), nn.Linear(width, 1)
        )

    def _width(self) -> int:
        with eval_mode(self.body), torch.no_grad():
            return int(self.body(self.inputs.for_prediction(sample_batch(self.schema))).shape[-1])

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Both losses of one batch, weighted: a scalar."""
        batch = as_batch(batch, self.output)
        generator = self._generator(batch_idx)
        planned = self._planned(batch, "train", generator)
        hidden = self.hidden_states(planned)
        detection = self.detection_loss(planned, self.drawn(hidden, planned, generator=generator))
        return self._weighted(hidden, detection, planned)

    @outside_graphs
    def _weighted(self, hidden: Tensor, detection: Tensor, planned: Batch) -> Tensor:
        self._note_targets(planned)
        naming = self.output.loss(hidden, planned)
        loss = naming + self.detection_weight * detection
        self.log("train_loss", loss.detach(), prog_bar=True, batch_size=len(planned))
        self.log("train_detection_loss", detection.detach(), batch_size=len(planned))
        if self._single:
            return loss
        # Each loss is a mean of its own: over hidden items, and over all items in use.
        return naming * self._share(self.output.count(planned), planned) + (
            self.detection_weight * detection * self._share(_in_use(planned), planned)
        )

    @outside_graphs
    def drawn(self, hidden: Tensor, planned: Batch, *, generator: torch.Generator | None = None) -> Tensor:
        """An item for each hidden position, drawn from the model's own answers.

        Args:
            hidden: (B, T, D) from the body.
            planned: with the training plan.
            generator: source of the draws.

        Returns:
            (N,) int64 item rows.
        """
        return draw_items(
            self.output.queries(hidden.detach(), planned),
            self.output.item_vectors,
            bias=self.output.bias,
            temperature=self.output.temperature,
            never=tuple(sorted({*self.output.exclude, *self.never_answered})),
            generator=generator,
        )

    def detection_loss(self, planned: Batch, drawn: Tensor) -> Tensor:
        """Binary cross entropy of "this item was replaced", the mean over all positions in use: a scalar.

        Args:
            planned: with the training plan.
            drawn: (N,) int64, what stands in place of the hidden items.
        """
        shown = self.with_replaced(planned, drawn)
        return self._detection_loss(self.body(shown), shown)

    @outside_graphs
    def _detection_loss(self, hidden: Tensor, shown: Batch) -> Tensor:
        if shown.plan is None:
            raise ValueError("the batch has no masking plan: prepare it by inputs.for_training()")
        logits = self.detector(shown.plan.queries(hidden))[:, 0]
        return binary_cross_entropy_with_logits(logits, shown.plan.items().to(logits.dtype))

    @outside_graphs
    def with_replaced(self, planned: Batch, drawn: Tensor) -> Batch:
        """The batch that the discriminator sees, with :meth:`ReplacedMasking.detect`'s plan."""
        item_id = self.inputs.item_id
        if item_id is None or planned.plan is None:
            raise ValueError("the batch has no masking plan: prepare it by inputs.for_training()")
        ids, plan = self.masking.detect(planned.padded(item_id), planned.plan, drawn)
        others = {
            name: torch.zeros_like(planned.padded(name)) for name in self.inputs.sequences if name != item_id
        }
        return planned.with_features({**others, item_id: ids}).with_plan(plan)

    def init_arguments(self) -> dict[str, Any]:
        """What builds this model again; the vocabularies are saved beside it."""
        return {**super().init_arguments(), "detection_weight": self.detection_weight}


def _in_use(planned: Batch) -> int:
    """Positions that detection asks about."""
    return 0 if planned.plan is None else int(planned.plan.lengths.sum())
