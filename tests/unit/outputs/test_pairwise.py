"""Losses against negatives by hand."""

from collections.abc import Callable
from math import exp, log

import pytest
import torch
from torch import Tensor

from merlin_models_torch.outputs import (
    bce_loss,
    bpr_loss,
    bpr_max_loss,
    gbce_loss,
    hinge_loss,
    sampled_softmax_loss,
    softmax_cross_entropy,
    top1_loss,
    top1_max_loss,
)

# Sigmoids 3/4 and, of the negatives, 1/2 and 1/4.
POSITIVE = torch.tensor([log(3.0)])
NEGATIVE = torch.tensor([[0.0, -log(3.0)]])


def gbce(positive: Tensor, negative: Tensor, usable: Tensor | None = None) -> Tensor:
    return gbce_loss(positive, negative, usable, sampling_rate=0.2, calibration=0.5)


LOSSES: list[Callable[..., Tensor]] = [
    *(sampled_softmax_loss, bce_loss, gbce, bpr_loss, bpr_max_loss, top1_loss, top1_max_loss, hinge_loss)
]


def sigmoid(x: float) -> float:
    return 1 / (1 + exp(-x))


def test_softmax_by_hand() -> None:
    assert sampled_softmax_loss(POSITIVE, NEGATIVE).item() == pytest.approx(-log(3 / (3 + 1 + 1 / 3)))


def test_binary_cross_entropy_by_hand() -> None:
    assert bce_loss(POSITIVE, NEGATIVE).item() == pytest.approx(-(log(3 / 4) + log(1 / 2) + log(3 / 4)) / 3)


def test_generalised_binary_cross_entropy_by_hand() -> None:
    # a = 1/5 and t = 1/2: b = 1/5 (1/2 (1 - 5) + 5) = 3/5. With t = 1, b = a.
    half = -(3 / 5 * log(3 / 4) + log(1 / 2) + log(3 / 4)) / 3
    whole = -(1 / 5 * log(3 / 4) + log(1 / 2) + log(3 / 4)) / 3
    assert gbce(POSITIVE, NEGATIVE).item() == pytest.approx(half)
    assert gbce_loss(POSITIVE, NEGATIVE, sampling_rate=0.2, calibration=1.0).item() == pytest.approx(whole)
    none = gbce_loss(POSITIVE, NEGATIVE, sampling_rate=0.2, calibration=0.0)
    torch.testing.assert_close(none, bce_loss(POSITIVE, NEGATIVE))


def test_bpr_max_by_hand() -> None:
    # Shares of the negatives by e^0 = 1 and e^-log 3 = 1/3: 3/4 and 1/4.
    likelihood = 3 / 4 * sigmoid(log(3)) + 1 / 4 * sigmoid(2 * log(3))
    expected = -log(likelihood) + 0.5 * (1 / 4 * log(3) ** 2)
    assert bpr_max_loss(POSITIVE, NEGATIVE, penalty=0.5).item() == pytest.approx(expected)


def test_top1_max_by_hand() -> None:
    first = sigmoid(-log(3)) + sigmoid(0)
    second = sigmoid(-2 * log(3)) + sigmoid(log(3) ** 2)
    assert top1_max_loss(POSITIVE, NEGATIVE).item() == pytest.approx(3 / 4 * first + 1 / 4 * second)


def test_losses_of_pairs_by_hand() -> None:
    assert bpr_loss(POSITIVE, NEGATIVE).item() == pytest.approx(-(log(3 / 4) + log(9 / 10)) / 2)
    first, second = sigmoid(-log(3)) + 1 / 2, sigmoid(-2 * log(3)) + sigmoid(log(3) ** 2)
    assert top1_loss(POSITIVE, NEGATIVE).item() == pytest.approx((first + second) / 2)
    assert hinge_loss(POSITIVE, torch.tensor([[0.5, -1.0]])).item() == pytest.approx((1.5 - log(3)) / 2)


@pytest.mark.parametrize("loss", LOSSES)
def test_negatives_that_do_not_count_change_nothing(loss: Callable[..., Tensor]) -> None:
    generator = torch.Generator().manual_seed(0)
    positive, negative = torch.randn(3, generator=generator), torch.randn(3, 5, generator=generator)
    usable = torch.tensor([[True, False, True, False, False], [True] * 5, [False] * 5])
    got = loss(positive, negative, usable)
    torch.testing.assert_close(got[:1], loss(positive[:1], negative[:1, [0, 2]]))
    torch.testing.assert_close(got[1:2], loss(positive[1:2], negative[1:2]))
    scores = [positive.requires_grad_(), negative.requires_grad_()]
    gradients = torch.autograd.grad(loss(*scores, usable).sum(), scores)
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)
    assert not gradients[1][~usable].any()


@pytest.mark.parametrize("loss", LOSSES)
def test_no_negative_at_all_is_finite(loss: Callable[..., Tensor]) -> None:
    got = loss(torch.randn(3), torch.zeros(3, 0))
    assert got.shape == (3,)
    assert got.isfinite().all()


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_are_those_of_differences(loss: Callable[..., Tensor]) -> None:
    generator = torch.Generator().manual_seed(0)
    positive = torch.randn(3, dtype=torch.float64, generator=generator, requires_grad=True)
    negative = torch.randn(3, 4, dtype=torch.float64, generator=generator, requires_grad=True)
    usable = torch.rand(3, 4, generator=generator) > 0.3
    assert torch.autograd.gradcheck(lambda p, n: loss(p, n, usable), (positive, negative))


def test_the_whole_catalogue_as_negatives_is_the_full_softmax() -> None:
    generator = torch.Generator().manual_seed(0)
    queries, table = torch.randn(4, 6, generator=generator), torch.randn(9, 6, generator=generator)
    targets = torch.tensor([3, 0, 8, 3])
    scores = queries @ table.T
    usable = torch.arange(9) != targets[:, None]
    sampled = sampled_softmax_loss(scores.gather(1, targets[:, None])[:, 0], scores, usable)
    torch.testing.assert_close(sampled.mean(), softmax_cross_entropy(queries, table, targets))


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match=r"sampling_rate and calibration are 0 and 0\.75"):
        gbce_loss(POSITIVE, NEGATIVE, sampling_rate=0)
    with pytest.raises(ValueError, match=r"sampling_rate and calibration are 0\.5 and 2"):
        gbce_loss(POSITIVE, NEGATIVE, sampling_rate=0.5, calibration=2)
