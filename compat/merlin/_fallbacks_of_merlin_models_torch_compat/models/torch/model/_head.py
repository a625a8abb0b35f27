"""The head of V1: a body and the tasks on it, for tags that the later head does not look for."""

from __future__ import annotations

from typing import Any

import torch
from merlin.models._legacy import legacy
from merlin.schema import Tags
from torch import Tensor
from transformers4rec.torch.model._head import Head as LaterHead
from transformers4rec.torch.model._head import _output_metrics


@legacy(home="merlin.models.torch.model.base")
class Head(LaterHead):
    """A body and the tasks on it.

    Args:
        body: block that knows its output's size.
        prediction_tasks: one task or several.
        task_blocks: block before each task, or blocks by name of the task.
        task_weights: weights of the losses, in the order of the tasks.
        loss_reduction: "mean" or "sum" of the losses.
        inputs: the input block; the body's own if not given.
    """

    def __init__(
        self,
        body: Any,
        prediction_tasks: Any,
        task_blocks: Any = None,
        task_weights: list[float] | None = None,
        loss_reduction: str = "mean",
        inputs: Any = None,
    ) -> None:
        super().__init__(body, prediction_tasks, task_blocks, task_weights, loss_reduction, inputs)

    @classmethod
    @legacy(home="merlin.models.torch.model.base")
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
        from merlin.models.torch.model.prediction_task import BinaryClassificationTask, RegressionTask

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

    def forward(  # type: ignore[override]
        self,
        body_outputs: Any,
        training: bool = False,
        call_body: bool = False,
        always_output_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Predictions by task, of a single task alone; also in training.

        Args:
            body_outputs: the body's output, or its input with ``call_body``.
            training: given to the body.
            call_body: whether the body has to run first.
            always_output_dict: whether those of a single task are by task, too.
            **kwargs: of the tasks.
        """
        hidden = self._hidden(body_outputs, training=training, call_body=call_body)
        results = {name: task(hidden, **kwargs) for name, task in self.prediction_task_dict.items()}
        return next(iter(results.values())) if len(results) == 1 and not always_output_dict else results

    def _hidden(self, inputs: Any, *, training: bool, call_body: bool) -> Any:
        return self.body(inputs, training=training) if call_body else inputs

    def compute_loss(
        self,
        body_outputs: Any,
        targets: Any,
        training: bool = False,
        compute_metrics: bool = True,
        call_body: bool = False,
        **kwargs: Any,
    ) -> Tensor:
        """The tasks' losses in one, which the metrics follow.

        Args:
            body_outputs: the body's output, or its input with ``call_body``.
            targets: by name of the column, or one tensor.
            training: given to the body.
            compute_metrics: whether the metrics follow.
            call_body: whether the body has to run first.
            **kwargs: of the tasks.
        """
        hidden = self._hidden(body_outputs, training=training, call_body=call_body)
        losses = [
            task.compute_loss(hidden, targets, compute_metrics=compute_metrics, **kwargs)
            * self._task_weights[name]
            for name, task in self.prediction_task_dict.items()
        ]
        whole: Tensor = getattr(torch.stack(losses), self.loss_reduction)()
        return whole

    def measured(
        self, inputs: Any, targets: Any, mode: str = "val", forward: bool = True, call_body: bool = False
    ) -> dict[str, Tensor]:
        """:meth:`calculate_metrics`, by name also where there is one metric only."""
        hidden = self._hidden(inputs, training=False, call_body=call_body)
        values: dict[str, Tensor] = {}
        for task in self.prediction_task_dict.values():
            values.update(task.calculate_metrics(hidden, targets, mode=mode, forward=forward))
        return values

    def calculate_metrics(  # type: ignore[override]
        self,
        body_outputs: Any,
        targets: Any,
        mode: str = "val",
        forward: bool = True,
        call_body: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Adds a batch to the metrics of every task and gives its own values; of a single metric, the value.

        Args:
            body_outputs: the body's output, or its input with ``call_body``.
            targets: by name of the column, or one tensor.
            mode: not used.
            forward: whether predictions have still to be made.
            call_body: whether the body has to run first.
            **kwargs: not used.
        """
        return _output_metrics(self.measured(body_outputs, targets, mode, forward, call_body))

    def compute_metrics(self, mode: str | None = "val") -> dict[str, Any]:
        """The metrics over all batches since the last reset, by task if there are several."""
        return super().compute_metrics(mode=mode)

    def to_model(self, **kwargs: Any) -> Any:
        """V1's model with this one head."""
        from merlin.models.torch.model.base import Model

        return Model(self, **kwargs)
