"""One batch through a model, for training loops of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from merlin_models_torch.batch import Batch
from merlin_models_torch.masking import Mode
from merlin_models_torch.outputs import ItemOutput
from merlin_models_torch.training.evaluation import Evaluation
from merlin_models_torch.training.model import Model
from merlin_models_torch.training.pairs import Rows, as_batch
from merlin_models_torch.training.planning import planned


class Step:
    """One batch through a model: what ``lightning.Trainer`` would compute of it.

    The model goes through the batch when something of it is asked for, and once: in train or eval mode, with
    or without gradients, as the caller has set it.

    Args:
        model: the model.
        batch: as a loader gives it; or columns by name, alone or in a pair with labels.
        mode: "train", "evaluate" (the last items are hidden and predicted) or "predict".
        generator: makes the random choices of training; torch's own if not given.

    A ``training_step`` of your own may return a loss of its scores and targets.

    Example:
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> before = Step(model, batch, "train").loss
        >>> before.backward()
        >>> optimizer.step()
        >>> bool(Step(model, batch, "train").loss < before)
        True
    """

    def __init__(
        self, model: Model, batch: Rows, mode: Mode = "train", *, generator: torch.Generator | None = None
    ) -> None:
        self.model = model
        self.batch = as_batch(batch, model.output)
        self._learns = mode == "train"
        self.mode: Mode = mode if model.output.needs_plan else "predict"
        self.generator = generator

    @cached_property
    def planned(self) -> Batch:
        """The batch with the plan of its sequences."""
        made = planned(self.model.input_blocks, self.batch, self.mode, generator=self.generator)
        if self._learns:
            # A training_step of your own may take its loss from here: there was something to learn.
            self.model._note_targets(made)
        return made

    @cached_property
    def hidden(self) -> Any:
        """What the body gives."""
        return self.model.body(self.planned)

    @cached_property
    def loss(self) -> Tensor:
        """A scalar, the mean over the targets."""
        loss: Tensor = self.model.output.loss(self.hidden, self.planned, generator=self.generator)
        return loss

    @cached_property
    def scores(self) -> Any:
        """What the output's ``forward`` gives: logits (N, V) of items, numbers (B,), or these by target."""
        return self.model.output(self.hidden, self.planned)

    @property
    def targets(self) -> Tensor:
        """(N,) what is to be answered: item rows or labels. There is none in prediction."""
        targets: Tensor = self.model.output.targets(self.planned)
        return targets

    @property
    def count(self) -> int:
        """Targets in the batch."""
        return int(self.model.output.count(self.planned))

    @property
    def results(self) -> dict[str, Any]:
        """The loss, to be learned from, and the output's metrics of this batch alone, by name."""
        loss = self.loss  # first, as the body runs once and has to be learned from
        metrics = Evaluation(self.model.output.make_metrics()).to(self.model.device)
        with torch.no_grad():
            self.update(metrics)
        return {**metrics.compute(), "loss": loss}

    def update(self, evaluation: Evaluation, *, never: Sequence[int] = ()) -> None:
        """Adds the batch to a measurement of the model, such as ``model.evaluations["val"]``.

        Args:
            evaluation: its ``reset()`` forgets everything, its ``compute()`` gives the loss and the metrics
                by name. A batch without targets adds nothing.
            never: item rows that are no answers, besides those that the model never gives.
        """
        if not self.count:
            return
        output = self.model.output
        seen = None
        if isinstance(output, ItemOutput):
            seen = self.model._seen(self.batch, self.planned, output.exclude_seen)
        evaluation.update(output, self.hidden, self.planned, seen=seen, never=self.model._never(never))
