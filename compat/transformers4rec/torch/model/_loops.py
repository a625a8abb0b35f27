"""Training and evaluation of a model without the Trainer."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from transformers4rec._legacy import tell_once


def batches_of(dataloader: Any, *, progress: bool) -> Iterable[Any]:
    """What 23.12.0 walks through: a torch loader's dataset, which the loaders of this library batch.

    Args:
        dataloader: a loader, or anything of inputs and targets.
        progress: whether a bar is shown.
    """
    if type(dataloader) is DataLoader and dataloader.batch_sampler is not None:
        tell_once(
            "dataset of a loader",
            "Model.fit and Model.evaluate go through the dataset of a torch DataLoader row by row and leave "
            "its batches out, as in Transformers4Rec 23.12.0: give batches in another iterable, "
            "such as list(loader)",
        )
    batches = dataloader.dataset if isinstance(dataloader, DataLoader) else dataloader
    return tqdm(batches) if progress else batches


@dataclass
class Fitting:
    """One model in training.

    Args:
        model: the model.
        optimizer: takes a step for each batch; None to leave the weights alone.
        amp: automatic mixed precision on CUDA.
        measure: whether the model's metrics follow.
    """

    model: Any
    optimizer: torch.optim.Optimizer | None
    amp: bool = False
    measure: bool = True

    def epoch(self, batches: Iterable[Any]) -> float:
        """The mean loss of some batches of inputs and targets, each a step."""
        return float(np.mean([self.step(inputs, targets) for inputs, targets in batches]))

    def step(self, inputs: Any, targets: Any) -> float:
        """The loss of a batch before its step."""
        with torch.autocast("cuda", enabled=self.amp):
            loss: Tensor = self.model.compute_loss(inputs, targets, compute_metrics=self.measure)
        if self.optimizer is not None:
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        return loss.item()


def fit(
    model: Any,
    dataloader: Any,
    optimizer: Any,
    eval_dataloader: Any,
    *,
    num_epochs: int,
    amp: bool,
    train: bool,
    verbose: bool,
    compute_metric: bool,
) -> np.ndarray:
    """See ``Model.fit``."""
    if inspect.isclass(optimizer):
        optimizer = optimizer(model.parameters())
    fitting = Fitting(model, optimizer if train else None, amp, compute_metric)
    model.train(mode=train)
    losses = []
    with torch.set_grad_enabled(mode=train):
        for epoch in range(num_epochs):
            losses.append(fitting.epoch(batches_of(dataloader, progress=verbose)))
            if not verbose:
                continue
            if epoch and compute_metric:
                tell_once(
                    "metrics add up",
                    "the metrics that Model.fit prints are over all epochs since the last reset, as in "
                    "Transformers4Rec 23.12.0: fit one epoch at a time and call model.reset_metrics() before",
                )
            tqdm.write(str(model.compute_metrics(mode="train")))
            if eval_dataloader:
                tqdm.write(str(model.evaluate(eval_dataloader, verbose=False)))
    return np.array(losses)


def evaluate(
    model: Any, dataloader: Any, *, training: bool, testing: bool, verbose: bool, mode: str
) -> dict[str, Any]:
    """See ``Model.evaluate``."""
    if any(isinstance(part, torch.nn.Dropout) and part.training and part.p for part in model.modules()):
        tell_once(
            "dropout in evaluation",
            "Model.evaluate leaves dropout on, as in Transformers4Rec 23.12.0, so its metrics are too low: "
            "call model.eval() before",
        )
    model.reset_metrics()
    with torch.no_grad():
        for inputs, targets in batches_of(dataloader, progress=verbose):
            model.measure(inputs, targets, training=training, testing=testing)
    metrics: dict[str, Any] = model.compute_metrics(mode=mode)
    return metrics
