"""Log loss by hand."""

from math import log

import pytest
import torch

from merlin_models_torch.metrics import LogLoss


def test_the_mean_over_labels_whatever_the_batches() -> None:
    metric = LogLoss()
    metric.update(torch.tensor([0.9, 0.2, 0.6]), torch.tensor([1, 0, 0]))
    metric.update(torch.tensor([0.5]), torch.tensor([1]))
    expected = -(log(0.9) + log(0.8) + log(0.4) + log(0.5)) / 4
    assert metric.compute().item() == pytest.approx(expected)


def test_sure_and_wrong_is_large_but_finite_and_sure_and_right_is_zero() -> None:
    step = torch.finfo(torch.float32).eps
    wrong, right = LogLoss(), LogLoss()
    wrong.update(torch.tensor([0.0, 1.0]), torch.tensor([1, 0]))
    assert wrong.compute().item() == pytest.approx(-log(step))
    right.update(torch.tensor([0.0, 1.0]), torch.tensor([0, 1]))
    assert right.compute().item() == pytest.approx(0, abs=1e-6)
