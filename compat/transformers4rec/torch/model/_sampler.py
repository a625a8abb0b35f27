"""Negatives of the sampled softmax."""

from __future__ import annotations

import torch
from torch import Tensor

from merlin_models_torch.outputs.distinct import draw_distinct, log_uniform
from transformers4rec._legacy import legacy, tell_once


@legacy(home="transformers4rec.torch.model.prediction_task")
class LogUniformSampler(torch.nn.Module):
    """Draws items by the log-uniform distribution, for ids that are sorted by falling popularity.

    Args:
        max_n_samples: items at most.
        max_id: rows of the catalogue.
        min_id: the first row that is drawn.
        unique_sampling: whether probabilities are those of being drawn at least once. Repeated items are left
            out in any case, and of more than ``max_n_samples`` those of the lowest ids stay.
        n_samples_multiplier_before_unique: draws for each item, with ``unique_sampling``.

    Raises:
        ValueError: if a number is below 1.
    """

    dist: Tensor
    unique_sampling_dist: Tensor

    def __init__(
        self,
        max_n_samples: int,
        max_id: int,
        min_id: int | None = 0,
        unique_sampling: bool = True,
        n_samples_multiplier_before_unique: int = 2,
    ) -> None:
        super().__init__()
        for name, value in {"max_id": max_id, "max_n_samples": max_n_samples}.items():
            if value <= 0:
                raise ValueError(f"{name} is {value}: give a positive number")
        self.max_id = max_id
        self.unique_sampling = unique_sampling
        self.max_n_samples = max_n_samples
        self.n_sample = max_n_samples * (n_samples_multiplier_before_unique if unique_sampling else 1)
        dist = self.get_log_uniform_distr(max_id, min_id or 0)
        self.register_buffer("dist", dist)
        self.register_buffer("unique_sampling_dist", self.get_unique_sampling_distr(dist, self.n_sample))

    def get_log_uniform_distr(self, max_id: int, min_id: int = 0) -> Tensor:
        """(max_id,) chance of each item."""
        return log_uniform(max_id, first=min_id)

    def get_unique_sampling_distr(self, dist: Tensor, n_sample: int) -> Tensor:
        """(max_id,) chance of each item to be drawn at least once, a little less than it is: 1 - (1 + p)^-n.

        23.12.0 has a sign wrong; the chance is 1 - (1 - p)^n.
        """
        return 1 - (1 + dist.double()).pow(-n_sample).float()

    def sample(self, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Negatives (M,), and the chances of labels (N,) and negatives (M,).

        Args:
            labels: (N,) int64 ids.

        Raises:
            TypeError: if labels are no tensor.
            ValueError: if they have the wrong type, shape or range, or there are none.
        """
        self._check(labels)
        tell_once(
            "sampled softmax keeps the lowest ids",
            "sampled softmax draws twice as many items as it uses and keeps those of the lowest ids, so that "
            "items of high ids are hardly ever negatives, as in Transformers4Rec 23.12.0: "
            "merlin_models_torch.DistinctNegatives(count) keeps random ones. See "
            "migration_guides/what-differs.md",
        )
        with torch.no_grad():
            drawn = draw_distinct(self.dist, self.n_sample, count=self.max_n_samples, keep="lowest")
            negatives = drawn.to(labels.device)
            chances = self.unique_sampling_dist if self.unique_sampling else self.dist
            return negatives, chances[labels], chances[negatives]

    def _check(self, labels: Tensor) -> None:
        if not isinstance(labels, Tensor):
            raise TypeError(f"labels are a {type(labels).__name__}: give a tensor of int64 ids")
        if labels.dtype != torch.long:
            raise ValueError(f"labels are {labels.dtype}: give int64 ids")
        if labels.dim() > 2 or (labels.dim() == 2 and min(labels.shape) > 1):
            raise ValueError(f"labels have shape {tuple(labels.shape)}: give one id for each row")
        if not labels.size(0):
            raise ValueError("there are no labels: leave out batches without targets")
        smallest, largest = (int(value) for value in torch.aminmax(labels))
        if smallest < 0 or largest > self.max_id:
            raise ValueError(f"labels go from {smallest} to {largest}, but must be in 0 to {self.max_id}")

    def forward(self, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See :meth:`sample`."""
        return self.sample(labels)
