"""Replaced masking: both parts of a training step, and the drawing of items."""

import pytest
import torch

from merlin_models_torch.masking import MaskPlan, RandomMasking, ReplacedMasking, draw_items

IDS = torch.tensor([[5, 6, 7, 0], [8, 9, 0, 0], [1, 2, 3, 4]])
LENGTHS = torch.tensor([3, 2, 4])


def test_the_first_part_evaluation_and_prediction_are_those_of_random_masking() -> None:
    ours, random = ReplacedMasking(probability=0.4), RandomMasking(probability=0.4)
    for seed in range(3):
        have, want = (
            m.train(IDS, LENGTHS, generator=torch.Generator().manual_seed(seed)) for m in (ours, random)
        )
        assert torch.equal(have.replaced, want.replaced)
        assert torch.equal(have.targets, want.targets)
    assert torch.equal(ours.evaluate(IDS, LENGTHS).targets, random.evaluate(IDS, LENGTHS).targets)
    assert torch.equal(ours.predict(IDS, LENGTHS).targeted, random.predict(IDS, LENGTHS).targeted)
    assert [ours.window(mode, 5) for mode in ("train", "evaluate", "predict")] == [5, 6, 5]


def test_the_second_part_by_hand() -> None:
    hidden = torch.tensor([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 1]]).bool()
    first = MaskPlan(hidden, hidden, torch.where(hidden, IDS, 0), LENGTHS, "full")
    # The draw for the second session is by chance the item that was there.
    shown, plan = ReplacedMasking().detect(IDS, first, torch.tensor([11, 8, 12, 13]))
    assert shown.tolist() == [[5, 11, 7, 0], [8, 9, 0, 0], [1, 2, 12, 13]]
    assert plan.targeted.tolist() == (IDS != 0).tolist()
    assert plan.targets.tolist() == [[0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 1]]
    assert plan.items().tolist() == [0, 1, 0, 0, 0, 0, 0, 1, 1]
    assert not plan.replaced.any()
    assert IDS.tolist() == [[5, 6, 7, 0], [8, 9, 0, 0], [1, 2, 3, 4]]


def test_items_are_drawn_from_the_softmax() -> None:
    generator = torch.Generator().manual_seed(0)
    items = torch.randn(6, 3, generator=generator)
    bias = torch.randn(6, generator=generator)
    query = torch.randn(1, 3, generator=generator)
    count = 40_000
    drawn = draw_items(
        query.expand(count, -1), items, bias=bias, temperature=0.7, never=(0, 4), generator=generator
    )
    scores = (items @ query[0] + bias) / 0.7
    scores[[0, 4]] = -torch.inf
    want = scores.softmax(0)
    have = torch.bincount(drawn, minlength=6) / count
    assert (have - want).abs().max() < 4 * 0.5 / count**0.5
    assert have[0] == have[4] == 0


def test_drawing_in_parts_follows_the_generator_and_takes_no_queries() -> None:
    items, queries = torch.randn(7, 3), torch.randn(20, 3)
    runs = [
        draw_items(queries, items, scores=size, generator=torch.Generator().manual_seed(3))
        for size in (21, 21, 7)
    ]
    assert torch.equal(runs[0], runs[1])
    assert all(run.shape == (20,) and run.min() >= 1 for run in runs)
    assert draw_items(queries[:0], items).shape == (0,)


def test_a_probability_outside_its_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"probability must be between 0 and 1, got 1\.5"):
        ReplacedMasking(probability=1.5)
