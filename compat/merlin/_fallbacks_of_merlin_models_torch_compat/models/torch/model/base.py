"""``merlin.models.torch.model.base`` of V1: the drop-in for Transformers4Rec, whose model lost two things."""

from __future__ import annotations

from typing import Any

import pytorch_lightning
import torch
from merlin.models._legacy import legacy, served
from transformers4rec.torch.model._lightning import BlockWithHeadLightning
from transformers4rec.torch.model.base import Model as LaterModel


class _Trained(pytorch_lightning.LightningModule):
    """The drop-in's module for ``pytorch_lightning.Trainer``, which takes its own kind only."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.parent = model

    forward = BlockWithHeadLightning.forward
    training_step = BlockWithHeadLightning.training_step
    configure_optimizers = BlockWithHeadLightning.configure_optimizers


@legacy
class Model(LaterModel):
    """The model of the drop-in with what only V1 had.

    Args:
        *head: the heads.
        **options: of the drop-in's model.
    """

    def __init__(self, *head: Any, **options: Any) -> None:
        super().__init__(*head, **options)

    def compute_loss(  # type: ignore[override]
        self, inputs: Any, targets: Any, compute_metrics: bool = True, **kwargs: Any
    ) -> torch.Tensor:
        """The loss of a batch.

        Args:
            inputs: columns by name.
            targets: by name of the column, or one tensor.
            compute_metrics: whether metrics follow.
            **kwargs: of the drop-in's ``forward``.
        """
        result = self(inputs, targets=targets, training=True, **kwargs)
        if compute_metrics:
            self.calculate_metrics(result["predictions"], result["labels"])
        loss: torch.Tensor = result["loss"]
        return loss

    def to_lightning(self) -> Any:
        """This model for ``pytorch_lightning.Trainer``."""
        return _Trained(self)


__getattr__ = served(__name__, {"transformers4rec.torch.model.base": "Head PredictionTask name_fn"})
