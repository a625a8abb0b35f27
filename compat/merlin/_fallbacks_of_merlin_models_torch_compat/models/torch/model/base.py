"""``merlin.models.torch.model.base`` of V1: models that answer in training and are asked for a loss."""

from __future__ import annotations

from typing import Any

import pytorch_lightning
import torch
from merlin.models._legacy import legacy, served
from merlin.models.torch.model._head import Head
from merlin.models.torch.model._task import PredictionTask
from torch import Tensor
from transformers4rec.torch.model._lightning import BlockWithHeadLightning as LaterLightning
from transformers4rec.torch.model.base import Model as LaterModel


class BlockWithHeadLightning(pytorch_lightning.LightningModule):
    """A model for ``pytorch_lightning.Trainer``, which takes its own kind of module only.

    Args:
        model: the model.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.parent = model

    configure_optimizers = LaterLightning.configure_optimizers

    def forward(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """What the model gives."""
        return self.parent(inputs, *args, **kwargs)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """The loss of a batch of inputs and targets."""
        loss: Tensor = self.parent.compute_loss(*batch)
        self.log("train_loss", loss)
        return loss


@legacy
class Model(LaterModel):
    """One head or several, and what trains and evaluates them.

    Args:
        *head: the heads.
        **options: ``head_weights``, ``head_reduction``, ``optimizer`` and ``name``.
    """

    def __init__(self, *head: Any, **options: Any) -> None:
        super().__init__(*head, **options)

    def forward(self, inputs: Any, training: bool = False, **kwargs: Any) -> Any:  # type: ignore[override]
        """Predictions, by task where there are several; also in training.

        Args:
            inputs: columns by name.
            training: given to the bodies.
            **kwargs: not used.
        """
        outputs: dict[str, Any] = {}
        for head in self.heads:
            outputs.update(head(inputs, call_body=True, training=training, always_output_dict=True))
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs

    def compute_loss(self, inputs: Any, targets: Any, compute_metrics: bool = True, **kwargs: Any) -> Tensor:
        """The heads' losses in one, which the metrics follow.

        Args:
            inputs: columns by name.
            targets: by name of the column, or one tensor.
            compute_metrics: whether the metrics follow.
            **kwargs: of the heads.
        """
        losses = [
            head.compute_loss(inputs, targets, call_body=True, compute_metrics=compute_metrics, **kwargs)
            * weight
            for head, weight in zip(self.heads, self.head_weights, strict=True)
        ]
        whole: Tensor = getattr(torch.stack(losses), self.head_reduction)()
        return whole

    def calculate_metrics(  # type: ignore[override]
        self,
        inputs: Any,
        targets: Any,
        mode: str = "val",
        call_body: bool = True,
        forward: bool = True,
        **kwargs: Any,
    ) -> dict[str, Tensor]:
        """Adds a batch to the metrics and gives its own values, by name; V1 failed for a single metric.

        Args:
            inputs: columns by name, or what the bodies give without ``call_body``.
            targets: by name of the column, or one tensor.
            mode: not used.
            call_body: whether the bodies have to run first.
            forward: whether predictions have still to be made.
            **kwargs: not used.
        """
        values: dict[str, Tensor] = {}
        for head in self.heads:
            values.update(head.measured(inputs, targets, mode, forward, call_body))
        return values

    def measure(self, inputs: Any, targets: Any, *, training: bool, testing: bool) -> None:
        """Adds a batch of :meth:`evaluate` to the metrics."""
        self.calculate_metrics(inputs, targets)

    def evaluate(  # type: ignore[override]
        self, dataloader: Any, verbose: bool = True, mode: str = "eval"
    ) -> dict[str, Any]:
        """The metrics over batches of inputs and targets.

        Args:
            dataloader: the batches.
            verbose: progress bar.
            mode: put before the names of tasks, where there are several.
        """
        return super().evaluate(dataloader, verbose=verbose, mode=mode)

    def to_lightning(self) -> BlockWithHeadLightning:
        """This model for ``pytorch_lightning.Trainer``."""
        return BlockWithHeadLightning(self)


__all__ = ["Head", "Model", "PredictionTask"]
__getattr__ = served(__name__, {"transformers4rec.torch.model.base": "name_fn"})
