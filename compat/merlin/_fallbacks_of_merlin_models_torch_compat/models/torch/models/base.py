"""``merlin.models.torch.models.base``: a model trained by ``pytorch_lightning.Trainer``, as 23.12's were."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from merlin.models._legacy import legacy
from merlin.models.torch.batch import Batch, sample_batch
from merlin.models.torch.block import BatchBlock, Block
from merlin.models.torch.container import step
from merlin.models.torch.outputs.base import ModelOutput
from merlin.models.torch.utils import module_utils
from merlin.models.utils.registry import camelcase_to_snakecase
from merlin_migrate.warnings import warn_legacy
from pytorch_lightning import LightningDataModule, LightningModule
from torch import Tensor, nn
from transformers4rec._legacy import tell_once

_OPTIMIZERS: dict[str, tuple[type[torch.optim.Optimizer], float]] = {
    "sgd": (torch.optim.SGD, 0.01),
    "adam": (torch.optim.Adam, 0.001),
    "adagrad": (torch.optim.Adagrad, 0.01),
}


@legacy
class Model(LightningModule, Block):  # type: ignore[misc]
    """Blocks that take the columns of a batch by name, the last of them an output.

    Args:
        *blocks: the blocks; heads of V1 make a model of V1.
        optimizer: has no effect, as in 23.12: training is by Adam with a learning rate of 0.001.
        initialization: "auto" gives lazy parameters their size when training begins.
        pre: makes the batch.

    Raises:
        ValueError: if ``pre`` is no :class:`BatchBlock`.
    """

    def __new__(cls, *blocks: Any, **options: Any) -> Any:
        """A model of V1 where the first block is one of its heads."""
        from merlin.models.torch.model.base import Model as V1Model
        from transformers4rec.torch.model.base import Head

        if cls is Model and blocks and isinstance(blocks[0], Head):
            warn_legacy("merlin.models.torch.Model")
            return V1Model(*blocks, **options)
        return super().__new__(cls)

    def __init__(
        self,
        *blocks: nn.Module,
        optimizer: Any = torch.optim.Adam,
        initialization: Any = "auto",
        pre: BatchBlock | None = None,
    ) -> None:
        super().__init__()
        if pre is not None and not isinstance(pre, BatchBlock):
            raise ValueError(f"pre is a {type(pre).__name__}, expected a BatchBlock")
        if optimizer is not torch.optim.Adam:
            tell_once(
                "merlin.models.torch.Model ignores its optimizer",
                "optimizer= has no effect, as in merlin.models.torch 23.12, and Adam with a learning rate of "
                "0.001 trains the model: override configure_optimizers, or give optimizer= to "
                "merlin_models_torch.Model",
            )
        # LightningModule does not pass on to BlockContainer.
        self.values = nn.ModuleList(self.wrap_module(block) for block in blocks)
        self.initialization = initialization
        self.pre = BatchBlock() if pre is None else pre

    @property
    def optimizer(self) -> Any:
        """What :meth:`configure_optimizers` made last."""
        return self.__dict__.get("_optimizer")

    def forward(self, inputs: Any, batch: Batch | None = None) -> Any:
        """Predictions of columns by name: one tensor, or tensors by target."""
        whole = self.pre(inputs, batch=batch)
        outputs = whole.inputs()
        for block in self.values:
            outputs = step(block, outputs, whole)
        return outputs

    def initialize(self, data: Any) -> Any:
        """Gives lazy parameters the size that a batch of a data set, a loader, or a batch asks for."""
        return module_utils.initialize(self, data, dtype=self._dtype)

    def setup(self, stage: str) -> None:
        """Initialises from the data that the Trainer got.

        Raises:
            ValueError: if its batches are no pairs of features and targets.
        """
        if self.initialization == "auto" and any(
            isinstance(parameter, nn.parameter.UninitializedParameter) for parameter in self.parameters()
        ):
            batch = _first_batch(self.trainer, stage)
            if not isinstance(batch, (Batch, tuple, list)):
                raise ValueError(
                    f"cannot initialize the model from a loader of {type(batch).__name__}, only of pairs of "
                    "features and targets: call model.initialize(batch) before the training"
                )
            self.initialize(batch if isinstance(batch, Batch) else Batch(*batch))

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """The loss of a batch; loss and metrics are logged as ``train_...``."""
        return self._step(batch, "train")["loss"]

    def validation_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        """Loss and metrics of a batch, logged as ``val_...``."""
        return self._step(batch, "val")

    def test_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        """Loss and metrics of a batch, logged as ``test_...``."""
        return self._step(batch, "test")

    def _step(self, batch: Any, stage: str) -> dict[str, Tensor]:
        features, targets = (batch.features, batch.targets) if isinstance(batch, Batch) else batch
        predictions = self(features, batch=Batch(features, targets))
        results = compute_loss(predictions, targets, self.model_outputs())
        for name, value in results.items():
            self.log(f"{stage}_{name}", value, batch_size=len(next(iter(features.values()))))
        return results

    def configure_optimizers(self, optimizer: Any = None, scheduler: Any = None) -> Any:
        """Adam with a learning rate of 0.001, what is given, or what was made before."""
        own = self.__dict__
        if optimizer is None:
            optimizer = own.get("_optimizer", "adam")
        own["_optimizer"] = create_optimizer(self, optimizer)
        if scheduler is None:
            scheduler = own.get("_scheduler")
        own["_scheduler"] = None if scheduler is None else get_scheduler(own["_optimizer"], scheduler)
        made = [own["_optimizer"]]
        return made if own["_scheduler"] is None else (made, [own["_scheduler"]])

    def model_outputs(self) -> list[ModelOutput]:
        """The outputs inside."""
        return self.find(ModelOutput)

    def first(self) -> nn.Module:
        """The first block."""
        return self.values[0]

    def last(self) -> nn.Module:
        """The last block."""
        return self.values[-1]


def _first_batch(trainer: Any, stage: str) -> Any:
    loop = getattr(trainer, f"{getattr(stage, 'value', stage)}_loop")
    loader = loop._data_source.dataloader()
    return next(iter(loader[0] if isinstance(loader, (list, tuple)) else loader))


@legacy
class MultiLoader(LightningDataModule):
    """Loaders of training, validation and test.

    Args:
        train: a data set or a loader.
        valid: a data set or a loader.
        test: a data set or a loader.
        batch_size: rows of a batch, of a data set.
        repartition: number of parts of data sets; a loader shares any file among processes.
    """

    def __init__(
        self, train: Any, valid: Any = None, test: Any = None, batch_size: int = 1024, repartition: Any = None
    ) -> None:
        super().__init__()
        self.repartition = repartition
        self.batch_size = batch_size
        self.train = train
        self.batch = sample_batch(train, batch_size=1, shuffle=False)
        if valid is not None:
            self.val_dataloader = lambda: self._loader(valid, "valid")
        if test is not None:
            self.test_dataloader = lambda: self._loader(test, "test")

    def train_dataloader(self) -> Any:
        """The loader of training."""
        return self._loader(self.train, "train")

    def teardown(self, stage: str) -> None:
        """Stops the loaders and lets go of them."""
        for name in [name for name in self.__dict__ if name.startswith("loader_")]:
            loader = self.__dict__.pop(name)
            if hasattr(loader, "stop"):
                loader.stop()

    def _loader(self, data: Any, name: str) -> Any:
        from merlin.dataloader.torch import Loader

        loader = data
        if hasattr(data, "to_ddf"):
            rows = data.repartition(npartitions=self.repartition) if self.repartition else data
            loader = Loader(rows, batch_size=self.batch_size)
        setattr(self, f"loader_{name}", loader)
        return loader


@legacy
def compute_loss(
    predictions: Any, targets: Any, model_outputs: Sequence[Any], compute_metrics: bool = True
) -> dict[str, Tensor]:
    """The mean of the outputs' losses, and their metrics.

    Metrics of two outputs that have one name overwrite each other, as in 23.12.

    Args:
        predictions: one tensor, or tensors by target.
        targets: one tensor, or tensors by target.
        model_outputs: the outputs.
        compute_metrics: whether metrics are wanted.

    Raises:
        RuntimeError: if there is no output, or a prediction is missing.
        ValueError: if predictions or targets are no tensors.
    """
    if not model_outputs:
        raise RuntimeError("the model has no output: end it with one")
    for what, given in (("predictions", predictions), ("targets", targets)):
        if given is not None and not isinstance(given, (Tensor, dict)):
            raise ValueError(f"{what} are a {type(given).__name__}, expected a tensor or tensors by name")
    results: dict[str, Tensor] = {}
    total: Any = 0.0
    for output in model_outputs:
        name = output.output_schema.first.name
        if isinstance(predictions, dict) and name not in predictions:
            raise RuntimeError(f"there is no prediction of {name!r}, only of {sorted(predictions)}")
        predicted = predictions[name] if isinstance(predictions, dict) else predictions
        wanted = _target(output, targets, name, predicted)
        total = total + output.loss(predicted, wanted) / len(model_outputs)
        for metric in output.metrics if compute_metrics else ():
            metric.to(predicted.device)
            results[camelcase_to_snakecase(type(metric).__name__)] = _measured(metric, predicted, wanted)
    return {"loss": total, **results}


def _target(output: Any, targets: Any, name: str, predicted: Tensor) -> Tensor:
    if hasattr(output, "negative_sampling") and output.target.shape == predicted.shape:
        return output.target  # type: ignore[no-any-return]  # of the negatives that it drew
    found = targets.get(name) if isinstance(targets, dict) else targets
    if found is None:
        return torch.ones_like(predicted) * output.target
    if found.numel() == predicted.numel():
        return found.reshape(predicted.shape).to(predicted.dtype)
    one_hot: Tensor = nn.functional.one_hot(found.reshape(-1).long(), predicted.shape[-1])
    return one_hot.to(predicted.dtype)


def _measured(metric: Any, predicted: Tensor, wanted: Tensor) -> Tensor:
    """A metric of the batch; one of rankings counts each row as a query."""
    if "indexes" not in inspect.signature(metric.update).parameters:
        return metric(predicted, wanted)  # type: ignore[no-any-return]
    rows = torch.arange(predicted.shape[0], device=predicted.device)[:, None].expand_as(predicted)
    value: Tensor = metric(predicted, wanted.bool(), indexes=rows)
    return value


@legacy
def create_optimizer(module: nn.Module, opt: Any) -> torch.optim.Optimizer:
    """An optimiser over a module's parameters.

    Args:
        module: the module.
        opt: "sgd", "adam" or "adagrad", a class, or an instance, which is made anew for other parameters.

    Raises:
        ValueError: if the name is not known.
        TypeError: if it is none of these.
    """
    parameters = list(module.parameters())
    if isinstance(opt, str):
        if opt.lower() not in _OPTIMIZERS:
            raise ValueError(f"optimizer is {opt!r}, expected one of {sorted(_OPTIMIZERS)}")
        cls, rate = _OPTIMIZERS[opt.lower()]
        return cls(parameters, lr=rate)  # type: ignore[call-arg]
    if isinstance(opt, type) and issubclass(opt, torch.optim.Optimizer):
        return opt(parameters, lr=0.01)  # type: ignore[call-arg]
    if isinstance(opt, torch.optim.Optimizer):
        held = [id(p) for group in opt.param_groups for p in group["params"]]
        if held == [id(p) for p in parameters]:
            return opt
        made: Any = type(opt)
        return made(parameters, **opt.defaults)  # type: ignore[no-any-return]
    raise TypeError(f"optimizer is a {type(opt).__name__}, expected a name, a class or an instance")


@legacy
def get_scheduler(optimizer: torch.optim.Optimizer, scheduler: Any) -> Any:
    """A schedule of an optimiser: a class, or an instance, which is made anew for another optimiser.

    Raises:
        TypeError: if it is neither.
    """
    kind = torch.optim.lr_scheduler.LRScheduler
    if isinstance(scheduler, kind):
        made: Any = type(scheduler)
        return scheduler if scheduler.optimizer is optimizer else made(optimizer)
    if isinstance(scheduler, type) and issubclass(scheduler, kind):
        own: Any = scheduler
        return own(optimizer)
    raise TypeError(f"scheduler is a {type(scheduler).__name__}, expected a class or an instance")
