"""The right item against some wrong ones: for catalogues too large for a softmax over all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from merlin_models_torch.batch import Batch
from merlin_models_torch.inputs import TabularInputBlock
from merlin_models_torch.outputs.base import Widths
from merlin_models_torch.outputs.categorical import CategoricalOutput
from merlin_models_torch.outputs.growth import Start
from merlin_models_torch.outputs.negatives import Negatives, NegativeSampler, sampler_of
from merlin_models_torch.outputs.pairwise import (
    bce_loss,
    bpr_loss,
    bpr_max_loss,
    gbce_loss,
    hinge_loss,
    sampled_softmax_loss,
    top1_loss,
    top1_max_loss,
)
from merlin_models_torch.schema import ColumnSchema, Schema
from merlin_models_torch.serialize import serializable

ContrastiveLoss = Literal["softmax", "bce", "gbce", "bpr", "bpr_max", "top1", "top1_max", "hinge"]
LogQ = Literal["negatives", "all", "none"]
LOSSES = ("softmax", "bce", "gbce", "bpr", "bpr_max", "top1", "top1_max", "hinge")


@serializable
class ContrastiveOutput(CategoricalOutput):
    """As :class:`CategoricalOutput`, but trained with some negatives instead of the whole catalogue.

    Negatives are shared by all targets of a batch; where one is a target's own item it is left out for that
    target. In evaluation the loss is the softmax over the catalogue, so that it compares with other outputs,
    and answers come from the whole catalogue.

    Args:
        negatives: where they come from; the other targets of the batch if not given.
        loss: "softmax" over the target and its negatives, "bce", "gbce" (Petrov and Macdonald 2023), "bpr"
            (Rendle et al. 2009), "top1", "bpr_max", "top1_max" (Hidasi et al. 2016 and 2018) or "hinge": see
            :mod:`outputs.pairwise`.
        log_q: in "softmax", ``log E`` is taken from scores, E the expected times that the item is among the
            negatives; without it ("none") popular items, which are drawn more often, are pushed down too far.
            From those of the "negatives": then the sum over them estimates that over the catalogue without
            bias (Bengio and Senecal 2008), and many of them give the full softmax. From "all", the target's
            as well, is the correction of Yi et al. 2019, of TensorFlow and of Merlin.
        calibration: of "gbce", its t from 0 to 1.
        penalty: of large scores of negatives in "bpr_max".
        target: as for :class:`CategoricalOutput`, as are the others.
        weight_tying: see there.
        bias: see there.
        normalized: see there.
        temperature: see there.
        exclude: see there.
        exclude_seen: see there.
        metrics: see there.
        top_ks: see there.

    Raises:
        ValueError: if the loss is unknown or a number out of range.
        TypeError: if the negatives are no sampler.

    Example:
        >>> inputs = mm.TabularInputBlock(schema, embedding_dim=8, masking=mm.CausalMasking())
        >>> negatives = mm.outputs.UniformNegatives(16)
        >>> output = mm.ContrastiveOutput(negatives=negatives, loss="gbce", weight_tying=True)
        >>> model = mm.Model(inputs, mm.MLPBlock([8]), mm.GRUBlock(8), output)
        >>> mm.Step(model, batch, "train").loss.isfinite()
        tensor(True)
    """

    reads_targets = True

    def __init__(
        self,
        *,
        negatives: NegativeSampler | None = None,
        loss: ContrastiveLoss = "softmax",
        log_q: LogQ = "negatives",
        calibration: float = 0.75,
        penalty: float = 1.0,
        target: str | ColumnSchema | Schema | None = None,
        weight_tying: bool = False,
        bias: bool = False,
        normalized: bool = False,
        temperature: float = 1.0,
        exclude: Sequence[int] = (0,),
        exclude_seen: bool = False,
        metrics: Sequence[str] = ("recall", "ndcg"),
        top_ks: Sequence[int] | None = None,
    ) -> None:
        super().__init__(
            target=target,
            weight_tying=weight_tying,
            bias=bias,
            normalized=normalized,
            temperature=temperature,
            exclude=exclude,
            exclude_seen=exclude_seen,
            metrics=metrics,
            top_ks=top_ks,
        )
        self.negatives = sampler_of(negatives)
        self.contrast = Contrast(loss, log_q=log_q, calibration=calibration, penalty=penalty)

    def build(self, inputs: TabularInputBlock, width: Widths) -> None:
        """Makes the weights and gives the sampler its sizes; see :meth:`CategoricalOutput.build`."""
        super().build(inputs, width)
        self._build_negatives()

    def _build_negatives(self) -> None:
        first = next(row for row in range(len(self.exclude) + 1) if row not in self.exclude)
        self.negatives.build(self.cardinality, first=first)

    def grow(
        self,
        inputs: TabularInputBlock,
        columns: Schema,
        *,
        start: Start = "random",
        generator: torch.Generator | None = None,
    ) -> None:
        """As :meth:`CategoricalOutput.grow`; the sampler of negatives starts anew."""
        super().grow(inputs, columns, start=start, generator=generator)
        self._build_negatives()

    def loss(self, hidden: Tensor, batch: Batch, *, generator: torch.Generator | None = None) -> Tensor:
        """Mean over the targets: a scalar.

        Args:
            hidden: (B, T, D) or (B, D) from the body.
            batch: with a masking plan or the column of targets.
            generator: draws the negatives.
        """
        if not self.training:
            return super().loss(hidden, batch)
        (queries, ids), catalogue = self.pairs(hidden, batch), self.catalogue
        drawn = self.negatives(ids, generator=generator)
        positive = (queries * catalogue.lookup(ids)).sum(-1)
        negative = queries @ catalogue.lookup(drawn.ids).T
        of_ids, of_drawn = catalogue.biases(ids), catalogue.biases(drawn.ids)
        if of_ids is not None and of_drawn is not None:
            positive, negative = positive + of_ids, negative + of_drawn
        items = self.cardinality - len(self.exclude)
        each = self.contrast(
            positive / self.temperature, negative / self.temperature, ids, drawn, self.negatives, items=items
        )
        self.negatives.observe(ids)
        return each.sum() / max(len(ids), 1)


class Contrast:
    """One of the losses with its numbers, false negatives left out and logQ corrected.

    Args:
        loss: its name.
        log_q: which scores of "softmax" are corrected.
        calibration: of "gbce".
        penalty: of "bpr_max".

    Raises:
        ValueError: if the name is unknown or a number out of range.
    """

    def __init__(self, loss: ContrastiveLoss, *, log_q: LogQ, calibration: float, penalty: float) -> None:
        if loss not in LOSSES:
            raise ValueError(f"loss is {loss!r}, expected one of {', '.join(LOSSES)}")
        if log_q not in ("negatives", "all", "none"):
            raise ValueError(f"log_q is {log_q!r}, expected 'negatives', 'all' or 'none'")
        if not 0 <= calibration <= 1 or penalty < 0:
            raise ValueError(
                f"calibration and penalty are {calibration} and {penalty}, expected a number from 0 to 1 and "
                "one from 0"
            )
        self.loss, self.log_q, self.calibration, self.penalty = loss, log_q, calibration, penalty

    def __call__(
        self,
        positive: Tensor,
        negative: Tensor,
        ids: Tensor,
        drawn: Negatives,
        sampler: NegativeSampler,
        *,
        items: int,
    ) -> Tensor:
        """The loss of each target.

        Args:
            positive: (N,) scores of the targets.
            negative: (N, M) scores of the negatives.
            ids: (N,) int64 targets.
            drawn: the negatives.
            sampler: which drew them.
            items: that can be drawn.

        Returns:
            (N,) float.
        """
        usable = drawn.ids != ids[:, None]
        if self.loss == "softmax":
            if self.log_q != "none":
                negative = negative - _log(sampler.expected(drawn.ids, rows=len(ids)))
            if self.log_q == "all":
                positive = positive - _log(sampler.expected(ids, rows=len(ids)))
            return sampled_softmax_loss(positive, negative, usable)
        if self.loss == "bce":
            return bce_loss(positive, negative, usable)
        if self.loss == "gbce":
            rate = min(1.0, max(1, len(drawn.ids)) / max(1, items - 1))
            return gbce_loss(positive, negative, usable, sampling_rate=rate, calibration=self.calibration)
        if self.loss == "bpr_max":
            return bpr_max_loss(positive, negative, usable, penalty=self.penalty)
        plain = {"bpr": bpr_loss, "top1": top1_loss, "top1_max": top1_max_loss, "hinge": hinge_loss}
        return plain[self.loss](positive, negative, usable)


def _log(expected: Tensor) -> Tensor:
    # A target that a sampler never draws is expected 0 times.
    return expected.clamp(min=1e-12).log()
