"""Losses and gradients of a softmax over a catalogue, tile by tile."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function

from merlin_models_torch._memory import keep_freed_memory
from merlin_models_torch._pages import use_large_pages
from merlin_models_torch._processor import is_narrow_amd, is_wide_amd
from merlin_models_torch._products import product, put_product
from merlin_models_torch.outputs.tiles import Tiles

Reduction = Literal["mean", "sum", "none"]

# Numbers from which a gradient is worth its memory being kept: what glibc would map anew each time.
_LARGE_GRADIENT = 2**15
# Log-sum-exps up to which, either side of 0, exponentials keep their precision: float32 ends at 88.
_LARGEST_EXPONENT = 60.0
# exp(x) is 2 to this times x.
_TWOS = math.log2(math.e)


@dataclass(frozen=True)
class Plan:
    """What stays the same for all pieces of one loss."""

    tiles: Tiles
    smoothing: float
    compute: torch.dtype
    wide: torch.dtype

    @property
    def gradient(self) -> torch.dtype:
        """The dtype of products with probabilities: float16 would lose the small ones."""
        return self.wide if self.compute == torch.float16 else self.compute


class _Tile(NamedTuple):
    """Exponentials of the scores of some targets and items.

    Args:
        share: (n, v); times ``exp(shift)`` they are the exponentials of the scores.
        shift: (n,).
        lse: (n,) log-sum-exp of the scores.
    """

    share: Tensor
    shift: Tensor
    lse: Tensor


def _tile(
    hidden: Tensor, weight: Tensor, bias: Tensor | None, plan: Plan, lse: Tensor | None = None
) -> _Tile:
    """One tile of vectors in ``plan.compute``.

    ``lse`` is that of the whole rows where it is known and the tile's own is of no interest.
    """
    on_cpu = hidden.device.type == "cpu"
    exponentials = on_cpu and not is_wide_amd()
    if exponentials and (lse is None or _needs_no_shift(lse)):
        tile = _plain_tile(hidden, weight, bias, plan, lse)
        if lse is not None or _needs_no_shift(tile.lse):
            return tile
    scores = _scores(hidden, weight, bias, plan)
    if exponentials:
        shift = scores.amax(1) if lse is None else lse
        share = scores.sub_(shift[:, None]).exp_()
        return _Tile(share, shift, shift + share.sum(1).log() if lse is None else lse)
    largest = scores.amax(1)
    # torch's fused kernel is faster than exp alone. The largest probability is exp(0) / sum, which gives the
    # sum back without another pass. On other devices than CPU writing over the input is not promised.
    share = torch.softmax(scores, 1, out=scores) if on_cpu else torch.softmax(scores, 1)
    own = largest - share.amax(1).log()
    return _Tile(share, own, own)


def _needs_no_shift(lse: Tensor) -> bool:
    """Whether exponentials of scores with such sums neither overflow nor are lost, nor their inverse."""
    return bool((lse.abs() <= _LARGEST_EXPONENT).all())


def _plain_tile(hidden: Tensor, weight: Tensor, bias: Tensor | None, plan: Plan, lse: Tensor | None) -> _Tile:
    """A tile of the exponentials themselves, which spares looking for the largest and taking it off."""
    in_twos = plan.compute == torch.float32 and is_narrow_amd()
    if in_twos:
        hidden, bias = hidden * _TWOS, None if bias is None else bias * _TWOS
    # Where they are rounded anyway, by torch's kernel, which computes them wide.
    at_once = plan.gradient == torch.bfloat16 and bias is None
    scores = torch.mm(hidden, weight.t()) if at_once else _scores(hidden, weight, bias, plan)
    share = scores.exp2_() if in_twos else scores.exp_()
    total = share.sum(1, dtype=plan.wide).log() if lse is None else lse
    return _Tile(share, torch.zeros_like(total), total)


def _scores(hidden: Tensor, weight: Tensor, bias: Tensor | None, plan: Plan) -> Tensor:
    """(n, v) scores of one tile in the wide dtype."""
    if plan.compute == plan.wide:
        scores = product(hidden, weight.t())
    else:
        scores = torch.mm(hidden, weight.t()).to(plan.wide)
    return scores if bias is None else scores.add_(bias)


def _cut(bias: Tensor | None, items: slice) -> Tensor | None:
    return None if bias is None else bias[items]


def log_sum_exp(hidden: Tensor, weight: Tensor, bias: Tensor | None, plan: Plan) -> Tensor:
    """(N,) log-sum-exp of each row's scores; -inf where there are no items."""
    lse = hidden.new_full((hidden.shape[0],), -torch.inf)
    queries = hidden.to(plan.compute)
    for rows in plan.tiles.over_targets(hidden.shape[0]):
        for items in plan.tiles.over_items(weight.shape[0]):
            part = _tile(queries[rows], weight[items].to(plan.compute), _cut(bias, items), plan).lse
            lse[rows] = torch.logaddexp(lse[rows], part)
    return lse


def target_scores(hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, plan: Plan) -> Tensor:
    """(N,) scores of the targets, rounded as the matrix product rounds: no sure answer has a loss below 0."""
    chosen = hidden.to(plan.compute).to(plan.wide) * weight[targets].to(plan.compute).to(plan.wide)
    score = chosen.sum(1).to(plan.compute).to(plan.wide)
    return score if bias is None else score + bias[targets]


def losses(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    plan: Plan,
    lse: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Loss and log-sum-exp of each target, both (N,)."""
    if lse is None:
        lse = log_sum_exp(hidden, weight, bias, plan)
    score = target_scores(hidden, weight, bias, targets, plan)
    if not plan.smoothing:
        return lse - score, lse
    mean = hidden @ weight.mean(0, dtype=plan.wide)
    if bias is not None:
        mean = mean + bias.mean()
    return lse - (1 - plan.smoothing) * score - plan.smoothing * mean, lse


def gradients(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    scale: Tensor,
    needs: tuple[bool, bool, bool],
    plan: Plan,
    lse: Tensor | None,
) -> tuple[Tensor | None, Tensor | None, Tensor | None, Tensor]:
    """Gradients of ``(scale * losses).sum()`` for hidden, weight and bias, and the log-sum-exp.

    Args:
        hidden: (N, D).
        weight: (V, D).
        bias: (V,) or nothing.
        targets: (N,).
        scale: (N,) gradient of each loss.
        needs: which of hidden, weight and bias need a gradient.
        plan: pieces, smoothing and dtypes.
        lse: (N,) if known; may be left out if the tiles are kept.
    """
    of_hidden, of_weight, of_bias, found = softmax_gradients(hidden, weight, bias, scale, needs, plan, lse)
    # Minus the gradient of (1 - e) x_y + e mean(x).
    certain, even = 1 - plan.smoothing, plan.smoothing / weight.shape[0]
    scaled = hidden * scale[:, None]
    if of_hidden is not None:
        of_hidden.addcmul_(weight[targets].to(plan.wide), scale[:, None], value=-certain)
        if even:
            of_hidden -= torch.outer(scale, weight.sum(0, dtype=plan.wide)) * even
    if of_weight is not None:
        of_weight.index_add_(0, targets, scaled, alpha=-certain)
        if even:
            of_weight -= scaled.sum(0) * even
    if of_bias is not None:
        of_bias.index_add_(0, targets, scale, alpha=-certain)
        if even:
            of_bias -= scale.sum() * even
    return of_hidden, None if of_weight is None else of_weight.to(weight.dtype), of_bias, found


def softmax_gradients(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    scale: Tensor,
    needs: tuple[bool, bool, bool],
    plan: Plan,
    lse: Tensor | None,
) -> tuple[Tensor | None, Tensor | None, Tensor | None, Tensor]:
    """The part of :func:`gradients` that is due to the log-sum-exp, in the wide dtype.

    ``lse`` may be that of more items than ``weight`` has: the others are scored elsewhere.
    """
    (count, width), catalogue = hidden.shape, weight.shape[0]
    of_hidden = hidden.new_zeros(count, width) if needs[0] else None
    if needs[1] and hidden.device.type == "cpu" and catalogue * width >= _LARGE_GRADIENT:
        keep_freed_memory()
    of_weight = hidden.new_empty(catalogue, width) if needs[1] else None
    if of_weight is not None:
        use_large_pages(of_weight, written=False)
    of_bias = hidden.new_zeros(catalogue) if needs[2] else None
    found = hidden.new_empty(count) if lse is None else lse

    queries = hidden.to(plan.compute)

    def tile(rows: slice, items: slice, lse: Tensor | None) -> tuple[_Tile, Tensor | None]:
        vectors = weight[items].to(plan.compute)
        found = _tile(queries[rows], vectors, _cut(bias, items), plan, lse)
        found = found._replace(share=found.share.to(plan.gradient))
        if not needs[0]:
            return found, None
        if plan.gradient != plan.compute:
            vectors = weight[items].to(plan.gradient)
        # While the tile is near: what it is multiplied by is known only later.
        return found, product(found.share, vectors)

    for rows in plan.tiles.over_targets(count):
        kept = []
        if lse is None:
            kept = [tile(rows, items, None) for items in plan.tiles.over_items(catalogue)]
            found[rows] = torch.stack([part.lse for part, _ in kept]).logsumexp(0)
        for number, items in enumerate(plan.tiles.over_items(catalogue)):
            part, pull = kept[number] if kept else tile(rows, items, found[rows])
            share, factor = part.share, scale[rows] * (part.shift - found[rows]).exp()
            if of_hidden is not None and pull is not None:
                of_hidden[rows].addcmul_(pull, factor[:, None])
            if of_bias is not None:
                of_bias[items].addmv_(share.t().to(plan.wide), factor)
            if of_weight is not None:
                # The first targets write, the others add: this spares filling a catalogue with zeros.
                known = rows.start > 0
                scaled = (hidden[rows] * factor[:, None]).to(plan.gradient)
                if plan.gradient == plan.wide:
                    put_product(of_weight[items], share.t(), scaled, add=known)
                elif known:
                    of_weight[items] += share.t() @ scaled
                else:
                    of_weight[items] = share.t() @ scaled
    return of_hidden, of_weight, of_bias, found


class TiledSoftmaxCrossEntropy(Function):
    """Cross entropy whose gradients are made in the forward pass where that saves scoring everything twice.

    They can be where the gradient of every loss is known beforehand (up to a common factor) and tiles are
    kept; else the backward pass makes them. The backward pass that hands them out does not keep
    them, and another one over the same graph computes them again.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        plan: Plan,
        reduction: Reduction,
    ) -> Tensor:
        ctx.gradients, ctx.plan, ctx.reduction = None, plan, reduction
        lse = None
        with without_autocast(hidden.device):
            if reduction != "none" and plan.tiles.keep and hidden.shape[0]:
                count = hidden.shape[0]
                scale = hidden.new_full((count,), 1 / count if reduction == "mean" else 1.0)
                needs = ctx.needs_input_grad[:3]
                *ready, lse = gradients(hidden, weight, bias, targets, scale, needs, plan, None)
                ctx.gradients = ready
            each, lse = losses(hidden, weight, bias, targets, plan, lse)
        ctx.save_for_backward(hidden, weight, bias, targets, lse)
        return reduced(each, reduction)

    @staticmethod
    def backward(ctx: Any, *above: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "softmax_cross_entropy has no second derivatives: leave out create_graph=True, "
                "or use softmax_cross_entropy_plain"
            )
        hidden, weight, bias, targets, lse = ctx.saved_tensors
        (grad,) = above
        with without_autocast(hidden.device):
            ready, ctx.gradients = ctx.gradients, None
            if ready is not None:
                # Usually 1, and then there is no need to go through a gradient as large as the catalogue.
                if grad.device.type != "cpu" or grad.item() != 1:
                    ready = [None if g is None else g.mul_(grad) for g in ready]
            elif hidden.shape[0]:
                if ctx.reduction == "mean":
                    grad = grad / hidden.shape[0]
                scale = grad.to(ctx.plan.wide).expand(hidden.shape[0]).contiguous()
                needs = ctx.needs_input_grad[:3]
                ready = gradients(hidden, weight, bias, targets, scale, needs, ctx.plan, lse)[:3]
            else:
                inputs = zip((hidden, weight, bias), ctx.needs_input_grad, strict=False)
                ready = [torch.zeros_like(t) if needed else None for t, needed in inputs]
        return *ready, None, None, None


def reduced(each: Tensor, reduction: Reduction) -> Tensor:
    """(N,) losses reduced as asked; the mean over none is 0."""
    if reduction == "none":
        return each
    total = each.sum()
    return total / max(each.shape[0], 1) if reduction == "mean" else total


def without_autocast(device: torch.device) -> AbstractContextManager[Any]:
    """Autocast off: which products are narrow is decided here, one by one."""
    if not torch.is_autocast_enabled(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)
