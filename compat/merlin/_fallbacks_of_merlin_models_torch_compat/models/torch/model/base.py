"""``merlin.models.torch.model.base`` of V1: the drop-in for Transformers4Rec, but for what it lost since."""

from __future__ import annotations

from typing import Any

import pytorch_lightning
from merlin.models._legacy import legacy, served
from merlin.schema import Tags
from transformers4rec.torch.model._lightning import BlockWithHeadLightning
from transformers4rec.torch.model.base import Head as LaterHead
from transformers4rec.torch.model.base import Model as LaterModel
from transformers4rec.torch.model.prediction_task import BinaryClassificationTask, RegressionTask


class _Trained(pytorch_lightning.LightningModule):
    """The drop-in's module for ``pytorch_lightning.Trainer``, which takes its own kind only."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.parent = model

    forward = BlockWithHeadLightning.forward
    training_step = BlockWithHeadLightning.training_step
    configure_optimizers = BlockWithHeadLightning.configure_optimizers


@legacy
class Head(LaterHead):
    """The head of the drop-in, with tasks for other tags.

    Args:
        *arguments: of the drop-in's head.
        **options: likewise.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)

    @classmethod
    @legacy
    def from_schema(
        cls,
        schema: Any,
        body: Any,
        task_blocks: Any = None,
        task_weight_dict: dict[str, float] | None = None,
        loss_reduction: str = "mean",
        inputs: Any = None,
    ) -> Head:
        """A head with a task for each column tagged BINARY_CLASSIFICATION, then REGRESSION.

        Args:
            schema: of the columns.
            body: block that knows its output's size.
            task_blocks: block before each task, or blocks by name of the task.
            task_weight_dict: weights of the losses by column.
            loss_reduction: "mean" or "sum" of the losses.
            inputs: the input block.
        """
        kinds = ((Tags.BINARY_CLASSIFICATION, BinaryClassificationTask), (Tags.REGRESSION, RegressionTask))
        return cls._of_targets(
            kinds,
            schema,
            body,
            weights=task_weight_dict,
            task_blocks=task_blocks,
            loss_reduction=loss_reduction,
            inputs=inputs,
        )

    def to_model(self, **kwargs: Any) -> Any:
        """V1's model with this one head."""
        return Model(self, **kwargs)


@legacy
class Model(LaterModel):
    """The model of the drop-in with what only V1 had.

    Args:
        *head: the heads.
        **options: of the drop-in's model.
    """

    def __init__(self, *head: Any, **options: Any) -> None:
        super().__init__(*head, **options)

    def to_lightning(self) -> Any:
        """This model for ``pytorch_lightning.Trainer``."""
        return _Trained(self)


__getattr__ = served(__name__, {"transformers4rec.torch.model.base": "PredictionTask name_fn"})
