"""Random masking: its guarantees, its distribution, its determinism."""

import pytest
import torch

from merlin_models_torch.masking import RandomMasking

LENGTHS = torch.randint(1, 12, (400,), generator=torch.Generator().manual_seed(0))
IDS = (torch.arange(11) < LENGTHS[:, None]) * torch.randint(
    1, 99, (400, 11), generator=torch.Generator().manual_seed(1)
)


def _train(seed: int, probability: float = 0.3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return RandomMasking(probability=probability).train(IDS, LENGTHS, generator=generator).targeted


@pytest.mark.parametrize("probability", [0.01, 0.3, 0.99])
def test_every_session_that_allows_it_has_a_target_and_a_visible_item(probability: float) -> None:
    hidden = _train(0, probability)
    inside = torch.arange(11) < LENGTHS[:, None]
    several = LENGTHS > 1
    assert not (hidden & ~inside).any()
    assert hidden.any(1)[several].all()
    assert (inside & ~hidden).any(1)[several].all()
    assert not hidden[~several].any()


def test_a_session_without_items_has_no_target_and_changes_no_other() -> None:
    ids, lengths = torch.tensor([[4, 5, 6], [0, 0, 0], [7, 8, 0]]), torch.tensor([3, 0, 2])
    full = torch.tensor([[4, 5, 6], [1, 2, 3], [7, 8, 0]]), torch.tensor([3, 3, 2])
    for seed in range(20):
        plans = [
            RandomMasking(probability=0.5).train(*rows, generator=torch.Generator().manual_seed(seed))
            for rows in ((ids, lengths), full)
        ]
        assert not plans[0].targeted[1].any()
        assert torch.equal(plans[0].targets[[0, 2]], plans[1].targets[[0, 2]])
    none = RandomMasking().train(ids[:, :0], torch.zeros(3, dtype=torch.int64))
    assert none.items().tolist() == []


def test_items_are_hidden_with_the_probability_asked_for() -> None:
    long = torch.full((2000,), 11)
    ids = torch.ones(2000, 11, dtype=torch.int64)
    plan = RandomMasking(probability=0.4).train(ids, long, generator=torch.Generator().manual_seed(0))
    # One further item is forced in each session: p + (1 - p) / 11 of the positions.
    expected = 0.4 + 0.6 / 11
    assert plan.targeted.float().mean().item() == pytest.approx(expected, abs=4 * (0.25 / 22000) ** 0.5)
    assert plan.targeted.float().mean(0).std() < 0.02


def test_the_same_seed_hides_the_same_items() -> None:
    assert torch.equal(_train(7), _train(7))
    assert not torch.equal(_train(7), _train(8))


def test_evaluation_hides_the_last_item_and_prediction_appends_a_hidden_one() -> None:
    evaluation = RandomMasking().evaluate(IDS, LENGTHS)
    prediction = RandomMasking().predict(IDS, LENGTHS)
    assert prediction.extend == 1
    assert prediction.targeted.shape == (400, 12)
    for row, length in enumerate(LENGTHS.tolist()):
        assert prediction.targeted[row].nonzero().flatten().tolist() == [length]
        expected = [length - 1] if length > 1 else []
        assert evaluation.replaced[row].nonzero().flatten().tolist() == expected
        assert evaluation.targets[row].sum() == (IDS[row, length - 1] if length > 1 else 0)
    assert torch.equal(prediction.lengths, LENGTHS + 1)


def test_padding_is_visible_only_where_asked() -> None:
    assert RandomMasking().evaluate(IDS, LENGTHS).visible().sum(-1).flatten().tolist() == LENGTHS.tolist()
    assert RandomMasking(attend_to_padding=True).evaluate(IDS, LENGTHS).visible().all()


def test_a_probability_outside_its_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"probability must be between 0 and 1, got 1"):
        RandomMasking(probability=1)
