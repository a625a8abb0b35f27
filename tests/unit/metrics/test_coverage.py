"""Coverage by hand."""

import pytest
import torch

from merlin_models_torch.metrics import Coverage


def test_items_count_once_over_batches_and_only_among_the_first_k() -> None:
    coverage = Coverage(7, k=2, exclude=(0, 1))
    coverage.update(torch.tensor([[2, 3, 4], [3, 2, 5]]))
    assert coverage.compute().item() == pytest.approx(2 / 5)
    coverage.update(torch.tensor([[6, -1, 5], [0, 1, 5]]))
    # 2, 3 and 6 of the items 2 to 6; padding, unknown and places without an answer do not count.
    assert coverage.compute().item() == pytest.approx(3 / 5)
    whole = Coverage(7, exclude=(0, 1))
    whole.update(torch.tensor([[2, 3, 4], [3, 2, 5], [6, -1, 5], [0, 1, 5]]))
    assert whole.compute().item() == 1


def test_processes_join_what_they_answered() -> None:
    parts = [Coverage(5), Coverage(5)]
    parts[0].update(torch.tensor([[1, 2]]))
    parts[1].update(torch.tensor([[2, 3]]))
    # What torchmetrics does between processes, with the gathering done by hand.
    gathered = torch.stack([part.answered for part in parts])
    parts[0].answered = parts[0]._reductions["answered"](gathered)  # type: ignore[operator]
    assert parts[0].compute().item() == pytest.approx(3 / 4)


def test_errors_say_what_to_do() -> None:
    with pytest.raises(ValueError, match="the catalogue has 1 rows of which none is an item"):
        Coverage(1)
    with pytest.raises(ValueError, match="k is 0, expected at least 1"):
        Coverage(5, k=0)
    with pytest.raises(ValueError, match="coverage at 3 needs 3 answers for each query, got 2"):
        Coverage(5, k=3).update(torch.tensor([[1, 2]]))
    with pytest.raises(ValueError, match="answers hold row 9, but the catalogue has rows 0 to 4"):
        Coverage(5).update(torch.tensor([[1, 9]]))
