"""The model around the heads."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch

from transformers4rec._legacy import legacy, tell_once
from transformers4rec.torch._outputs import kept, outputs_of
from transformers4rec.torch.model import _loops, _saved
from transformers4rec.torch.model._head import Head
from transformers4rec.torch.model._task import PredictionTask
from transformers4rec.torch.typing import TabularData
from transformers4rec.torch.utils.padding import pad_inputs
from transformers4rec.torch.utils.torch_utils import LossMixin, MetricsMixin


@legacy(home="transformers4rec.torch.model.base")
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
        # A module of one's own may be a head, without tasks.
        _tell_of_shared_metrics(
            self.prediction_tasks if all(hasattr(h, "prediction_task_dict") for h in head) else []
        )

    def __getattr__(self, name: str) -> Any:
        """What is left to say of an attribute that is not there: where programs of before 23.02 find it."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name not in ("module", "wrapper_module"):
                raise
            raise AttributeError(
                f"a Model has no {name!r}: since 23.02 trainer.model is the model itself, without an "
                f"HFWrapper around it, so leave .{name} out"
            ) from None

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
            inputs: columns of a batch; ragged ones as ``<name>__values`` and ``<name>__offsets``. Its columns
                of other floating-point types become float32 in place.
            targets: one tensor, or tensors by column.
            training: whether this is training.
            testing: whether it is evaluation; neither means inference.
            **kwargs: of the heads.

        Returns:
            Predictions; or "loss", "labels" and "predictions". By task where there are several.
        """
        # In the caller's dictionary, as 23.12.0: programs give it to a block later, which takes float32 only.
        for name, x in inputs.items():
            if torch.is_floating_point(x):
                inputs[name] = x.float()
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
        predictions: dict[str, Any] = {}
        for result in results:
            predictions.update(kept(result["predictions"]))
        alone = next(iter(labels)) if len(labels) == 1 else None
        return outputs_of(
            {
                "loss": getattr(losses, self.head_reduction)(),
                "labels": labels if alone is None else labels[alone],
                "predictions": outputs_of(predictions) if alone is None else predictions[alone],
            }
        )

    def compute_loss(
        self, inputs: TabularData, targets: Any, compute_metrics: bool = True, **kwargs: Any
    ) -> torch.Tensor:
        """The loss of a batch, which 23.12.0 names and the models of ``merlin.models.torch`` had.

        Args:
            inputs: columns by name.
            targets: by name of the column, or one tensor.
            compute_metrics: whether metrics follow.
            **kwargs: of ``forward``.
        """
        result = self(inputs, targets=targets, training=True, **kwargs)
        if compute_metrics:
            self.calculate_metrics(result["predictions"], result["labels"])
        loss: torch.Tensor = result["loss"]
        return loss

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
        from transformers4rec.torch.model._lightning import BlockWithHeadLightning

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
            eval_dataloader: evaluated and printed after each epoch, with ``verbose``.
            num_epochs: how many.
            amp: automatic mixed precision on CUDA.
            train: whether weights change.
            verbose: progress bar and printed metrics.
            compute_metric: whether metrics follow training.

        Returns:
            (num_epochs,) mean loss of each epoch.
        """
        return _loops.fit(
            self,
            dataloader,
            optimizer,
            eval_dataloader,
            num_epochs=num_epochs,
            amp=amp,
            train=train,
            verbose=verbose,
            compute_metric=compute_metric,
        )

    def measure(self, inputs: TabularData, targets: Any, *, training: bool, testing: bool) -> None:
        """Adds a batch of :meth:`evaluate` to the metrics."""
        output = self(inputs, targets=targets, training=training, testing=testing)
        self.calculate_metrics(output["predictions"], targets=output["labels"])

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
        return _loops.evaluate(
            self, dataloader, training=training, testing=testing, verbose=verbose, mode=mode
        )

    def _get_name(self) -> str:
        return self.name or super()._get_name()

    @property
    def input_schema(self) -> Any:
        """The columns that the heads take, as a schema of ``merlin.schema``."""
        from transformers4rec.torch.model._schemas import input_schema

        return input_schema(self)

    @property
    def output_schema(self) -> Any:
        """The columns of the predictions."""
        from transformers4rec.torch.model._schemas import output_schema

        return output_schema(self)

    @property
    def prediction_tasks(self) -> list[PredictionTask]:
        """The tasks of all heads."""
        return [task for head in self.heads for task in head.prediction_task_dict.values()]

    def save(self, path: str | os.PathLike[str], model_name: str = "t4rec_model_class") -> None:
        """Writes the model to two files, ``<model_name>.json`` and ``<model_name>.safetensors``.

        23.12.0 pickled it to ``<model_name>.pkl``; whoever loads a pickle runs its code.

        Args:
            path: folder, made if it is not there.
            model_name: name of the files.

        Raises:
            SavedModelError: if part of the model is of the user's program.
        """
        _saved.save(self, path, model_name)

    @classmethod
    def load(cls, path: str | os.PathLike[str], model_name: str = "t4rec_model_class") -> Model:
        """The model that :meth:`save` wrote, built without code of the program that made it.

        Args:
            path: folder.
            model_name: name of the files.

        Raises:
            NotImplementedError: if there is only a pickle, which is never loaded; names the safe ways.
            SavedModelError: if the files are damaged or name what is not trusted.
        """
        model = _saved.load(path, model_name)
        if not isinstance(model, Model):
            raise _saved.SavedModelError(f"{os.fspath(path)} holds a {type(model).__name__}, not a Model")
        return model


def _tell_of_shared_metrics(tasks: list[PredictionTask]) -> None:
    metrics = [id(metric) for task in tasks for metric in task.metrics]
    if len(set(metrics)) < len(metrics):
        tell_once(
            "tasks share metrics",
            "two tasks share metrics, as default ones are, so each reports what both measured together, as "
            "in Transformers4Rec 23.12.0: give each task its own metrics=[...]",
        )
