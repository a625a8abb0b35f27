"""A body and the tasks on it."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import torch

from transformers4rec._legacy import legacy
from transformers4rec.torch._outputs import Outputs, outputs_of
from transformers4rec.torch.block._reading import read_by
from transformers4rec.torch.model._reader import only_reader
from transformers4rec.torch.model._task import PredictionTask
from transformers4rec.torch.typing import TabularData
from transformers4rec.torch.utils.torch_utils import LossMixin, MetricsMixin


@legacy(home="transformers4rec.torch.model.base")
class Head(torch.nn.Module, LossMixin, MetricsMixin):
    """A body and the tasks on it.

    Args:
        body: block that knows its output's size.
        prediction_tasks: one task or several.
        task_blocks: block before each task, or blocks by name of the task.
        task_weights: weights of the losses, in the order of the tasks.
        loss_reduction: "mean" or "sum" of the losses.
        inputs: the input block; the body's own if not given.

    Raises:
        ValueError: if the body does not know the size of its output.
    """

    def __init__(
        self,
        body: Any,
        prediction_tasks: PredictionTask | list[PredictionTask] | None,
        task_blocks: Any = None,
        task_weights: list[float] | None = None,
        loss_reduction: str = "mean",
        inputs: Any = None,
    ) -> None:
        super().__init__()
        self.body = body
        self.loss_reduction = loss_reduction
        tasks = prediction_tasks if isinstance(prediction_tasks, list) else [prediction_tasks]
        if not prediction_tasks:
            tasks = []
        self.prediction_task_dict = torch.nn.ModuleDict()
        for task in tasks:
            self.prediction_task_dict[task.task_name] = task
        self._task_weights: defaultdict[str, float] = defaultdict(_one)
        for task, weight in zip(tasks, task_weights or [], strict=False):
            self._task_weights[task.task_name] = weight
        self.build(inputs=inputs, task_blocks=task_blocks)

    def build(self, inputs: Any = None, device: Any = None, task_blocks: Any = None) -> None:
        """Makes the blocks of every task."""
        input_size = getattr(self.body, "output_size", lambda: None)()
        if not input_size:
            raise ValueError(
                f"the output size of the body, a {type(self.body).__name__}, is not known: wrap a module of "
                "your own in tr.Block(module, output_size)"
            )
        if device:
            self.to(device)
        for name, task in self.prediction_task_dict.items():
            named = isinstance(task_blocks, dict) and name in task_blocks
            block = task_blocks[name] if named else task_blocks
            task.build(self.body, input_size, inputs=inputs, device=device, task_block=block)
        self.input_size = input_size

    @classmethod
    @legacy(home="transformers4rec.torch.model.base")
    def from_schema(
        cls,
        schema: Any,
        body: Any,
        task_blocks: Any = None,
        task_weight_dict: dict[str, float] | None = None,
        loss_reduction: str = "mean",
        inputs: Any = None,
    ) -> Head:
        """A head with a task for each column that the schema tags as binary or regression target.

        Args:
            schema: of the columns.
            body: block that knows its output's size.
            task_blocks: block before each task, or blocks by name of the task.
            task_weight_dict: weights of the losses by column.
            loss_reduction: "mean" or "sum" of the losses.
            inputs: the input block.
        """
        from merlin.schema import Tags

        from transformers4rec.torch.model.prediction_task import BinaryClassificationTask, RegressionTask

        kinds = (
            ([Tags.BINARY, Tags.CLASSIFICATION], BinaryClassificationTask),
            (Tags.REGRESSION, RegressionTask),
        )
        return cls._of_targets(
            kinds,
            schema,
            body,
            weights=task_weight_dict,
            task_blocks=task_blocks,
            loss_reduction=loss_reduction,
            inputs=inputs,
        )

    @classmethod
    def _of_targets(
        cls, kinds: Any, schema: Any, body: Any, weights: dict[str, float] | None, **options: Any
    ) -> Any:
        """A head with a task for each column of some tags.

        Args:
            kinds: pairs of tags and the class of their tasks, which come in this order.
            schema: of the columns.
            body: block that knows its output's size.
            weights: of the losses by column, 1 where there is none.
            **options: of the head.
        """
        columns = [(name, task) for tags, task in kinds for name in schema.select_by_tag(tags).column_names]
        return cls(
            body,
            [task(name) for name, task in columns],
            task_weights=[(weights or {}).get(name, 1.0) for name, _ in columns],
            **options,
        )

    def pop_labels(self, inputs: TabularData) -> TabularData:
        """Takes the columns named like the tasks out of the inputs."""
        return {name: inputs.pop(name) for name in self.prediction_task_dict}

    def forward(
        self,
        body_outputs: Any,
        training: bool = False,
        testing: bool = False,
        targets: Any = None,
        call_body: bool = False,
        top_k: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """Every task's result, in training and evaluation with the losses in one.

        Args:
            body_outputs: the body's output, or its input with ``call_body``.
            training: whether this is training.
            testing: whether it is evaluation; neither means inference.
            targets: one tensor, or tensors by column.
            call_body: whether the body has to run first.
            top_k: how many items to answer at inference; all scores if None.
            **kwargs: of the body and the tasks.

        Returns:
            Predictions by task; or "loss", and "labels" and "predictions" by task.
        """
        from transformers4rec.torch.model.prediction_task import NextItemPredictionTask

        if call_body:
            with read_by(only_reader(self, targets=training or testing)):
                body_outputs = self.body(body_outputs, training=training, testing=testing, **kwargs)
        results = {}
        for name, task in self.prediction_task_dict.items():
            label = targets
            arguments = dict(kwargs)
            if training or testing:
                label = targets.get(task.target_name) if isinstance(targets, dict) else targets
                label = None if label is None else label.float()
            elif isinstance(task, NextItemPredictionTask):
                arguments["top_k"] = top_k
            results[name] = task(body_outputs, targets=label, training=training, testing=testing, **arguments)
        if not training and not testing:
            return results
        losses = torch.stack([result["loss"] * self._task_weights[name] for name, result in results.items()])
        return {
            "loss": getattr(losses, self.loss_reduction)(),
            "labels": {name: result["labels"] for name, result in results.items()},
            "predictions": outputs_of({name: _predictions(result) for name, result in results.items()}),
        }

    def calculate_metrics(self, predictions: Any, targets: Any) -> dict[str, Any]:
        """Adds a batch to the metrics of every task and gives its own values.

        Args:
            predictions: of the one task, or by task.
            targets: the same.
        """
        values: dict[str, Any] = {}
        for name, task in self.prediction_task_dict.items():
            label = targets[name] if isinstance(targets, dict) else targets
            output = predictions[name] if isinstance(predictions, dict) else predictions
            values.update(task.calculate_metrics(predictions=output, targets=label))
        return _output_metrics(values)

    def compute_metrics(self, mode: str | None = None) -> dict[str, Any]:
        """The metrics over all batches since the last reset, by task if there are several."""
        return _output_metrics(
            {
                f"{mode}_{name}" if mode else name: task.compute_metrics()
                for name, task in self.prediction_task_dict.items()
            }
        )

    def reset_metrics(self) -> None:
        """Forgets all batches."""
        for task in self.prediction_task_dict.values():
            task.reset_metrics()

    @property
    def task_blocks(self) -> dict[str, Any]:
        """Block before each task."""
        return {name: task.task_block for name, task in self.prediction_task_dict.items()}

    def to_model(self, **kwargs: Any) -> Any:
        """A model with this one head."""
        from transformers4rec.torch.model._model import Model

        return Model(self, **kwargs)


def _predictions(result: dict[str, Any]) -> Any:
    """A task's predictions, still deferred if they are."""
    return result.raw("predictions") if isinstance(result, Outputs) else result["predictions"]


def _one() -> float:
    return 1.0


def _output_metrics(metrics: dict[str, Any]) -> dict[str, Any]:
    """The one task's metrics, or those of all by name."""
    first = next(iter(metrics.values()), None)
    return first if len(metrics) == 1 and isinstance(first, dict) else metrics
