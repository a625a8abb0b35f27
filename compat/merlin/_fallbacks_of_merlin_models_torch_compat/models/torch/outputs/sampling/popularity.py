"""``merlin.models.torch.outputs.sampling.popularity``: negatives by a log-uniform distribution of ids."""

from __future__ import annotations

from typing import Any

import torch
from merlin.models._legacy import legacy
from merlin.models.torch.registry import registry
from torch import Tensor, nn


@legacy
class LogUniformSampler(nn.Module):
    """Ids with probability ``(log(id + 2) - log(id + 1)) / log(max_id + 1)``: the first come most often.

    Args:
        max_n_samples: negatives at most.
        max_id: largest id.
        min_id: those before it are never drawn.
        unique_sampling: none comes twice, so that there may be fewer.
        n_samples_multiplier_before_unique: how many are drawn for each that is wanted.

    Raises:
        ValueError: if a number is not positive.
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
        for name, value in (("max_id", max_id), ("max_n_samples", max_n_samples)):
            if value <= 0:
                raise ValueError(f"{name} is {value}, expected a positive number")
        self.max_id, self.max_n_samples = max_id, max_n_samples
        self.unique_sampling = unique_sampling
        draws = max_n_samples * n_samples_multiplier_before_unique if unique_sampling else max_n_samples
        self.n_sample = int(draws)
        dist = self.get_log_uniform_distr(max_id, min_id or 0)
        self.register_buffer("dist", dist)
        self.register_buffer("unique_sampling_dist", self.get_unique_sampling_distr(dist, self.n_sample))

    def get_log_uniform_distr(self, max_id: int, min_id: int = 0) -> Tensor:
        """(max_id,) or, with ``min_id``, (max_id + ...) probabilities of the ids."""
        steps = torch.arange(1.0, max_id - min_id + 2.0).log()
        return torch.cat([steps.new_zeros(min_id), steps.diff() / steps[-1]])

    def get_unique_sampling_distr(self, dist: Tensor, n_sample: int) -> Tensor:
        """``1 - (1 + p) ** -n``, which 23.12 took for the probability that an id is drawn at least once.

        That is ``1 - (1 - p) ** n``, which the core's samplers use.
        """
        return (-torch.expm1(-n_sample * torch.log1p(dist.double()))).float()

    def sample(self, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Negatives, and the probabilities of labels and negatives.

        Args:
            labels: (B,), (B, 1) or (1, B) int64.

        Raises:
            TypeError: if the labels are no tensor.
            ValueError: if they are none of these, or outside of the ids.
        """
        if not torch.is_tensor(labels):
            raise TypeError(f"labels are a {type(labels).__name__}, expected a tensor of int64")
        if labels.dtype != torch.long:
            raise ValueError(f"labels are of {labels.dtype}, expected int64")
        if labels.dim() > 2 or (labels.dim() == 2 and min(labels.shape) > 1):
            raise ValueError(f"labels are {tuple(labels.shape)}, expected one for each row")
        if labels.shape[0] == 0:
            raise ValueError("there are no labels: give at least one")
        if bool((labels < 0).any()) or bool((labels > self.max_id).any()):
            raise ValueError(f"labels are from {labels.min()} to {labels.max()}, expected 0 to {self.max_id}")
        with torch.no_grad():
            drawn = torch.multinomial(self.dist, self.n_sample, replacement=True).unique()
            negatives = drawn[: self.max_n_samples].to(labels.device)
            known = self.unique_sampling_dist if self.unique_sampling else self.dist
            return negatives, known[labels], known[negatives]


@registry.register("popularity")
@legacy
class PopularityBasedSampler(nn.Module):
    """Negatives by popularity, for an output that gives their vectors.

    Args:
        max_num_samples: negatives at most.
        unique_sampling: none comes twice.
        n_samples_multiplier_before_unique: how many are drawn for each that is wanted.
    """

    def __init__(
        self,
        max_num_samples: int = 10,
        unique_sampling: bool = True,
        n_samples_multiplier_before_unique: int = 2,
    ) -> None:
        super().__init__()
        self.labels = torch.ones((1, 1), dtype=torch.int64)
        self.max_num_samples = max_num_samples
        self.unique_sampling = unique_sampling
        self.n_samples_multiplier_before_unique = n_samples_multiplier_before_unique
        self.register_buffer("negative", None)
        self.register_buffer("negative_id", None)

    def forward(self, positive: Tensor, positive_id: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Vectors (N, D) and ids (N,) of negatives.

        Raises:
            RuntimeError: if no output gives vectors.
        """
        if not hasattr(self, "to_call"):
            raise RuntimeError("the sampler has no output that gives vectors: call set_to_call")
        self.negative_id, _, _ = self.sampler.sample(self.labels)
        self.negative = self.to_call.embedding_lookup(torch.squeeze(self.negative_id))
        return self.negative, self.negative_id

    def set_to_call(self, to_call: Any) -> None:
        """Sets the output that gives the vectors, and with it the number of ids."""
        self.to_call = to_call
        self.sampler = LogUniformSampler(
            max_n_samples=self.max_num_samples,
            max_id=to_call.num_classes,
            unique_sampling=self.unique_sampling,
            n_samples_multiplier_before_unique=self.n_samples_multiplier_before_unique,
        )
