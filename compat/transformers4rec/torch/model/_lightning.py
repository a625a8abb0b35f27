"""A model as a LightningModule."""

from __future__ import annotations

from typing import Any

import torch

# Programs of 23.12.0 import Lightning by its old name, whose Trainer takes no module of the new one.
# Distributions of ``lightning`` bring both.
try:
    from pytorch_lightning import LightningModule
except ImportError:
    from lightning import LightningModule


class BlockWithHeadLightning(LightningModule):
    """Trains a model by ``pytorch_lightning.Trainer``.

    Args:
        model: the model.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.parent = model

    def forward(
        self, inputs: Any, targets: Any = None, training: bool = False, testing: bool = False, **kwargs: Any
    ) -> Any:
        """What the model gives."""
        return self.parent(inputs, targets=targets, training=training, testing=testing, **kwargs)

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        """The loss of a batch of inputs and targets."""
        inputs, targets = batch
        loss = self.parent(inputs, targets=targets, training=True)["loss"]
        self.log("train_loss", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The model's optimiser class with a learning rate of 0.001."""
        return self.parent.optimizer(self.parent.parameters(), lr=1e-3)
