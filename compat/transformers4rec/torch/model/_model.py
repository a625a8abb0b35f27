"""The model around the heads."""

from __future__ import annotations

import inspect
import os
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from transformers4rec._legacy import legacy
from transformers4rec.torch._outputs import Outputs
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
        predictions = Outputs()
        for result in results:
            predictions.update({name: result["predictions"].raw(name) for name in result["predictions"]})
        alone = next(iter(labels)) if len(labels) == 1 else None
        return Outputs(
            loss=getattr(losses, self.head_reduction)(),
            labels=labels if alone is None else labels[alone],
            predictions=predictions if alone is None else predictions.raw(alone),
        )

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
                    losses.append(output["loss"].item())
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
        from transformers4rec.torch.model._output_schema import output_schema

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
            "Model.save pickled the model with its code in Transformers4Rec 23.12.0; this version does not. "
            "Write the weights with safetensors.torch.save_model(model, 'model.safetensors') or "
            "torch.save(model.state_dict(), 'pytorch_model.bin'), or use merlin_models_torch.Model, whose "
            "save(folder) keeps everything. See migration_guides/from-transformers4rec.md#checkpoints"
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str], model_name: str = "t4rec_model_class") -> Model:
        """Not offered: it would unpickle, and whoever loads a pickle runs its code.

        Raises:
            NotImplementedError: names the safe ways.
        """
        raise NotImplementedError(
            f"{os.fspath(path)}/{model_name}.pkl is a pickle, which runs code when it is read; it is never "
            "loaded here. Build the model and load its weights: "
            "model.load_state_dict(torch.load('pytorch_model.bin', weights_only=True)). An old pickle "
            "becomes weights by torch.save(model.state_dict(), 'pytorch_model.bin') where Transformers4Rec "
            "23.12.0 is installed. See migration_guides/from-transformers4rec.md#checkpoints"
        )
