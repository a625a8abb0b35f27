"""Tasks, heads and the model around them."""

from __future__ import annotations

import copy
import inspect
import os
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
import torchmetrics as tm
from torch import Tensor
from tqdm import tqdm

from transformers4rec._legacy import legacy
from transformers4rec._registry import camelcase_to_snakecase
from transformers4rec.torch.model.summary import SequenceSummary
from transformers4rec.torch.typing import TabularData
from transformers4rec.torch.utils.padding import pad_inputs
from transformers4rec.torch.utils.torch_utils import LossMixin, MetricsMixin


def name_fn(name: str | None, inp: str) -> str | None:
    """Both names with a slash between them."""
    return f"{name}/{inp}" if name else None


def _identity(x: Any) -> Any:
    return x


@legacy
class PredictionTask(torch.nn.Module, LossMixin, MetricsMixin):
    """What is predicted from the body's output, with its loss and metrics.

    Args:
        loss: of predictions and targets.
        metrics: of predictions and targets.
        target_name: column of the targets.
        task_name: by which results are found; made of class and target if not given.
        forward_to_prediction_fn: applied to predictions before metrics.
        task_block: before the predictions.
        pre: makes the predictions.
        summary_type: how a sequence becomes one vector, "last", "first" or "mean"; None for every position.
    """

    def __init__(
        self,
        loss: torch.nn.Module,
        metrics: Iterable[tm.Metric] | None = None,
        target_name: str | None = None,
        task_name: str | None = None,
        forward_to_prediction_fn: Callable[[Tensor], Tensor] = _identity,
        task_block: Any = None,
        pre: Any = None,
        summary_type: str | None = "last",
    ) -> None:
        super().__init__()
        self.summary_type = summary_type
        self.sequence_summary = SequenceSummary(summary_type)
        self.target_name = target_name
        self.forward_to_prediction_fn = forward_to_prediction_fn
        self.set_metrics(metrics)
        self.loss = loss
        self.pre = pre
        self.task_block = task_block
        self._task_name = task_name

    def build(
        self,
        body: Any,
        input_size: Any,
        inputs: Any = None,
        device: Any = None,
        task_block: Any = None,
        pre: Any = None,
    ) -> None:
        """Makes the blocks after a body; a head calls it.

        Args:
            body: the body.
            input_size: size of its output.
            inputs: the input block.
            device: where to put the task.
            task_block: takes the place of the task's own.
            pre: the same.
        """
        if task_block:
            self.task_block = task_block
        if pre:
            self.pre = pre
        if self.task_block:
            self.task_block = self._built(self.task_block, input_size)
            input_size = self.task_block.output_size()
        if self.pre:
            self.pre = self._built(self.pre, input_size)
        if device:
            self.to(device)
        self.built = True

    @staticmethod
    def _built(block: Any, input_size: Any) -> Any:
        # A module serves several tasks as a pattern, so each takes a copy.
        return copy.deepcopy(block) if isinstance(block, torch.nn.Module) else block.build(input_size)

    def forward(
        self, inputs: Tensor, targets: Tensor | None = None, training: bool = False, testing: bool = False
    ) -> Any:
        """Predictions, in training and evaluation with loss and labels.

        Args:
            inputs: (B, D), or (B, T, D) to be summarised.
            targets: (B,), or (B, T) without a summary.
            training: whether this is training.
            testing: whether it is evaluation; neither means inference.

        Raises:
            ValueError: if targets are missing, or are no matrix where there is no summary.
        """
        x = inputs
        if x.dim() == 3 and self.summary_type:
            x = self.sequence_summary(x)
        if self.task_block:
            x = self.task_block(x)
        if self.pre:
            x = self.pre(x)
        if not training and not testing:
            return x
        if targets is None:
            raise ValueError(
                f"task {self.task_name!r} got no targets: the batch has no column {self.target_name!r}"
            )
        if self.summary_type is None and targets.dim() != 2:
            raise ValueError(
                f"without a summary targets have to be (rows, positions), got {tuple(targets.shape)}: give "
                "summary_type, or a list column as target"
            )
        return {"loss": self.loss(x, target=targets), "labels": targets, "predictions": x}

    @property
    def task_name(self) -> str:
        """By which results are found."""
        if self._task_name:
            return self._task_name
        name = camelcase_to_snakecase(type(self).__name__)
        return name_fn(self.target_name, name) or name

    def child_name(self, name: str) -> str | None:
        """A name below the task's."""
        return name_fn(self.task_name, name)

    def set_metrics(self, metrics: Iterable[tm.Metric] | None) -> None:
        """Takes other metrics."""
        self.metrics = torch.nn.ModuleList(metrics)

    def calculate_metrics(self, predictions: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Adds a batch to the metrics and gives its own values, by name."""
        from transformers4rec.torch.model.prediction_task import BinaryClassificationTask

        whole = tuple(type(metric) for metric in BinaryClassificationTask.DEFAULT_METRICS)
        predictions = self.forward_to_prediction_fn(predictions)
        outputs = {}
        for metric in self.metrics:
            if isinstance(metric, whole):
                targets = targets.int()
            outputs[self.metric_name(metric)] = metric(predictions, targets)
        return outputs

    def compute_metrics(self, **kwargs: Any) -> dict[str, Any]:
        """The metrics over all batches since the last reset, by name."""
        return {self.metric_name(metric): metric.compute() for metric in self.metrics}

    def metric_name(self, metric: tm.Metric) -> str:
        """Name of a metric, below the task's."""
        return self.child_name(camelcase_to_snakecase(type(metric).__name__)) or ""

    def reset_metrics(self) -> None:
        """Forgets all batches."""
        for metric in self.metrics:
            metric.reset()

    def to_head(self, body: Any, inputs: Any = None, **kwargs: Any) -> Head:
        """A head with this one task."""
        return Head(body, self, inputs=inputs, **kwargs)

    def to_model(self, body: Any, inputs: Any = None, **kwargs: Any) -> Model:
        """A model with this one task."""
        return Model(Head(body, self, inputs=inputs, **kwargs), **kwargs)


@legacy
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
        prediction_tasks: PredictionTask | list[PredictionTask],
        task_blocks: Any = None,
        task_weights: list[float] | None = None,
        loss_reduction: str = "mean",
        inputs: Any = None,
    ) -> None:
        super().__init__()
        self.body = body
        self.loss_reduction = loss_reduction
        tasks = prediction_tasks if isinstance(prediction_tasks, list) else [prediction_tasks]
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
                f"the output size of the body, a {type(self.body).__name__}, is not known: wrap a module of your own "
                "in tr.Block(module, output_size)"
            )
        if device:
            self.to(device)
        for name, task in self.prediction_task_dict.items():
            named = isinstance(task_blocks, dict) and name in task_blocks
            block = task_blocks[name] if named else task_blocks
            task.build(self.body, input_size, inputs=inputs, device=device, task_block=block)
        self.input_size = input_size

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

        weights = task_weight_dict or {}
        kinds = (
            ([Tags.BINARY, Tags.CLASSIFICATION], BinaryClassificationTask),
            (Tags.REGRESSION, RegressionTask),
        )
        columns = [(name, task) for tags, task in kinds for name in schema.select_by_tag(tags).column_names]
        return cls(
            body,
            [task(name) for name, task in columns],
            task_blocks=task_blocks,
            task_weights=[weights.get(name, 1.0) for name, _ in columns],
            loss_reduction=loss_reduction,
            inputs=inputs,
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
            "predictions": {name: result["predictions"] for name, result in results.items()},
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

    def to_model(self, **kwargs: Any) -> Model:
        """A model with this one head."""
        return Model(self, **kwargs)


def _one() -> float:
    return 1.0


def _output_metrics(metrics: dict[str, Any]) -> dict[str, Any]:
    """The one task's metrics, or those of all by name."""
    first = next(iter(metrics.values()), None)
    return first if len(metrics) == 1 and isinstance(first, dict) else metrics


@legacy
class Model(torch.nn.Module, LossMixin, MetricsMixin):
    """One head or several, and what trains and evaluates them.

    Args:
        *head: the heads.
        head_weights: weights of their losses.
        head_reduction: "mean" or "sum" of the losses.
        optimizer: class of the optimiser for ``to_lightning``.
        name: shown when the model is printed.
        max_sequence_length: ragged sequences are cut to it, oldest positions kept.
        top_k: how many items to answer at inference; all scores if None.

    Raises:
        ValueError: if there are not as many weights as heads.
    """

    # Read by Hugging Face's Trainer: forward's **kwargs do not mean that the model scales its loss by itself.
    accepts_loss_kwargs = False

    def __init__(
        self,
        *head: Head,
        head_weights: list[float] | None = None,
        head_reduction: str = "mean",
        optimizer: type[torch.optim.Optimizer] = torch.optim.Adam,
        name: str | None = None,
        max_sequence_length: int | None = None,
        top_k: int | None = None,
    ) -> None:
        if head_weights and (not isinstance(head_weights, list) or len(head_weights) != len(head)):
            raise ValueError(
                f"head_weights is {head_weights!r}: give a list of {len(head)}, one for each head"
            )
        super().__init__()
        self.name = name
        self.heads = torch.nn.ModuleList(head)
        self.head_weights = head_weights or [1.0] * len(head)
        self.head_reduction = head_reduction
        self.optimizer = optimizer
        self.max_sequence_length = max_sequence_length
        self.top_k = top_k

    def forward(
        self,
        inputs: TabularData,
        targets: Any = None,
        training: bool = False,
        testing: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Every task's result, in training and evaluation with the losses in one.

        Args:
            inputs: columns of a batch; ragged ones as ``<name>__values`` and ``<name>__offsets``.
            targets: one tensor, or tensors by column.
            training: whether this is training.
            testing: whether it is evaluation; neither means inference.
            **kwargs: of the heads.

        Returns:
            Predictions; or "loss", "labels" and "predictions". By task where there are several.
        """
        inputs = {name: x.float() if torch.is_floating_point(x) else x for name, x in inputs.items()}
        inputs = pad_inputs(inputs, self.max_sequence_length)
        if isinstance(targets, dict) and not targets:
            targets = None
        arguments = {
            **kwargs,
            "targets": targets,
            "training": training,
            "testing": testing,
            "call_body": True,
        }
        if not training and not testing:
            outputs: dict[str, Any] = {}
            for head in self.heads:
                outputs.update(head(inputs, top_k=self.top_k, **arguments))
            return next(iter(outputs.values())) if len(outputs) == 1 else outputs
        results = [head(inputs, **arguments) for head in self.heads]
        losses = torch.stack(
            [result["loss"] * weight for result, weight in zip(results, self.head_weights, strict=True)]
        )
        labels = {name: label for result in results for name, label in result["labels"].items()}
        predictions = {name: x for result in results for name, x in result["predictions"].items()}
        alone = len(labels) == 1
        return {
            "loss": getattr(losses, self.head_reduction)(),
            "labels": next(iter(labels.values())) if alone else labels,
            "predictions": next(iter(predictions.values())) if alone else predictions,
        }

    def calculate_metrics(self, predictions: Any, targets: Any) -> dict[str, Any]:
        """Adds a batch to the metrics of every task and gives its own values.

        Args:
            predictions: as ``forward`` gave them.
            targets: its labels.
        """
        values: dict[str, Any] = {}
        for head in self.heads:
            values.update(head.calculate_metrics(predictions, targets))
        return values

    def compute_metrics(self, mode: str | None = None) -> dict[str, Any]:
        """The metrics over all batches since the last reset."""
        values: dict[str, Any] = {}
        for head in self.heads:
            values.update(head.compute_metrics(mode=mode))
        return values

    def reset_metrics(self) -> None:
        """Forgets all batches."""
        for head in self.heads:
            head.reset_metrics()

    def to_lightning(self) -> Any:
        """This model as a LightningModule, trained by its optimiser class with a learning rate of 0.001."""
        from transformers4rec.torch.model.lightning import BlockWithHeadLightning

        return BlockWithHeadLightning(self)

    def fit(
        self,
        dataloader: Any,
        optimizer: Any = torch.optim.Adam,
        eval_dataloader: Any = None,
        num_epochs: int = 1,
        amp: bool = False,
        train: bool = True,
        verbose: bool = True,
        compute_metric: bool = True,
    ) -> np.ndarray:
        """Trains, without the Trainer.

        Metrics are not reset between epochs, as in 23.12.0.

        Args:
            dataloader: batches of inputs and targets.
            optimizer: class or instance.
            eval_dataloader: evaluated and printed after each epoch.
            num_epochs: how many.
            amp: automatic mixed precision on CUDA.
            train: whether weights change.
            verbose: progress bar and printed metrics.
            compute_metric: whether metrics follow training.

        Returns:
            (num_epochs,) mean loss of each epoch.
        """
        batches = dataloader.dataset if isinstance(dataloader, torch.utils.data.DataLoader) else dataloader
        if inspect.isclass(optimizer):
            optimizer = optimizer(self.parameters())
        self.train(mode=train)
        epoch_losses = []
        with torch.set_grad_enabled(mode=train):
            for _ in range(num_epochs):
                losses = []
                for inputs, targets in tqdm(batches) if verbose else batches:
                    with torch.autocast("cuda", enabled=amp):
                        output = self(inputs, targets=targets, training=True)
                    losses.append(float(output["loss"]))
                    if compute_metric:
                        self.calculate_metrics(output["predictions"], targets=output["labels"])
                    if train:
                        optimizer.zero_grad()
                        output["loss"].backward()
                        optimizer.step()
                if verbose:
                    tqdm.write(str(self.compute_metrics(mode="train")))
                    if eval_dataloader:
                        tqdm.write(str(self.evaluate(eval_dataloader, verbose=False)))
                epoch_losses.append(np.mean(losses))
        return np.array(epoch_losses)

    def evaluate(
        self,
        dataloader: Any,
        targets: Any = None,
        training: bool = False,
        testing: bool = True,
        verbose: bool = True,
        mode: str = "eval",
    ) -> dict[str, Any]:
        """The metrics over a data loader, without the Trainer.

        Dropout stays as it is, as in 23.12.0: call ``model.eval()`` first.

        Args:
            dataloader: batches of inputs and targets.
            targets: not used.
            training: as for ``forward``.
            testing: as for ``forward``.
            verbose: progress bar.
            mode: put before the names of tasks.
        """
        batches = dataloader.dataset if isinstance(dataloader, torch.utils.data.DataLoader) else dataloader
        self.reset_metrics()
        with torch.no_grad():
            for inputs, labels in tqdm(batches) if verbose else batches:
                output = self(inputs, targets=labels, training=training, testing=testing)
                self.calculate_metrics(output["predictions"], targets=output["labels"])
        return self.compute_metrics(mode=mode)

    def _get_name(self) -> str:
        return self.name or super()._get_name()

    @property
    def input_schema(self) -> Any:
        """The columns that the heads take."""
        schemas = [head.body.inputs.schema for head in self.heads]
        return sum(schemas[1:], schemas[0])

    @property
    def output_schema(self) -> Any:
        """The columns of the predictions."""
        from transformers4rec.torch.model.output_schema import output_schema

        return output_schema(self)

    @property
    def prediction_tasks(self) -> list[PredictionTask]:
        """The tasks of all heads."""
        return [task for head in self.heads for task in head.prediction_task_dict.values()]

    def save(self, path: str | os.PathLike[str], model_name: str = "t4rec_model_class") -> None:
        """Not offered: 23.12.0 pickled the whole model here, and whoever loads a pickle runs its code.

        Raises:
            NotImplementedError: names the safe ways.
        """
        raise NotImplementedError(
            "Model.save pickled the model with its code in Transformers4Rec 23.12.0; this version does not. Write the "
            "weights with safetensors.torch.save_model(model, 'model.safetensors') or torch.save(model.state_dict(), "
            "'pytorch_model.bin'), or use merlin_models_torch.Model, whose save(folder) keeps everything. "
            "See migration_guides/from-transformers4rec.md#saving"
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str], model_name: str = "t4rec_model_class") -> Model:
        """Not offered: it would unpickle, and whoever loads a pickle runs its code.

        Raises:
            NotImplementedError: names the safe ways.
        """
        raise NotImplementedError(
            f"{os.fspath(path)}/{model_name}.pkl is a pickle, which runs code when it is read; it is never loaded "
            "here. Build the model and load its weights: model.load_state_dict(torch.load('pytorch_model.bin', "
            "weights_only=True)). `merlin-migrate checkpoint` tells how to turn an old pickle into weights. "
            "See migration_guides/from-transformers4rec.md#saving"
        )
