"""Distinct negatives: the stated distribution, what is kept, the chance to be drawn."""

from math import log

import pytest
import torch

from merlin_models_torch.outputs import DistinctNegatives
from merlin_models_torch.outputs.distinct import at_least_once, draw_distinct, log_uniform

IDS = torch.arange(1, 30)


def sampler(count: int, **options: object) -> DistinctNegatives:
    made = DistinctNegatives(count, **options)  # type: ignore[arg-type]
    made.build(30, first=1)
    return made


def test_log_uniform_chances_by_hand() -> None:
    chance = log_uniform(5, first=2)  # rows 2, 3, 4: log 2, log 3/2, log 4/3 over log 4
    assert chance.tolist() == pytest.approx([0, 0, 1 / 2, log(1.5) / log(4), log(4 / 3) / log(4)])


def test_chance_of_at_least_one_draw_by_hand() -> None:
    chance = torch.tensor([0.0, 0.5, 0.1, 1e-9])
    expected = [0, 1 - 0.5**3, 1 - 0.9**3, 3e-9]
    assert at_least_once(chance, 3).tolist() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("keep", ["random", "lowest"])
def test_no_item_comes_twice_and_padding_never(keep: str) -> None:
    made = sampler(10, keep=keep)
    for seed in range(20):
        ids = made(IDS, generator=torch.Generator().manual_seed(seed)).ids
        assert len(ids) <= 10
        assert (ids.diff() > 0).all()
        assert ids.min() >= 1
        assert ids.max() < 30


def test_lowest_keeps_the_first_of_the_distinct_items() -> None:
    chance = torch.full((8,), 1 / 8)
    draws = torch.multinomial(chance, 50, replacement=True, generator=torch.Generator().manual_seed(3))
    assert set(draws.tolist()) == set(range(8))
    kept = draw_distinct(chance, 50, count=3, keep="lowest", generator=torch.Generator().manual_seed(3))
    assert kept.tolist() == [0, 1, 2]


def test_random_is_fair_among_items_of_equal_chance() -> None:
    chance, generator = torch.full((8,), 1 / 8), torch.Generator().manual_seed(0)
    kept = [draw_distinct(chance, 50, count=2, generator=generator) for _ in range(2000)]
    times = torch.cat(kept).bincount(minlength=8)
    # 500 of each, five standard deviations of a binomial.
    assert ((times - 500).abs() < 5 * (2000 * 0.25 * 0.75) ** 0.5).all()


def test_expected_is_how_often_items_come() -> None:
    made, generator = sampler(20, tries=1), torch.Generator().manual_seed(1)
    times = sum(made(IDS, generator=generator).ids.bincount(minlength=30) for _ in range(3000))
    expected = made.expected(IDS, rows=1) * 3000
    # Twenty draws never exceed twenty distinct items, so the stated chance is exact.
    assert ((times[1:] - expected).abs() < 5 * (expected * (1 - expected / 3000)).sqrt()).all()  # type: ignore[index]


def test_wrong_options() -> None:
    with pytest.raises(ValueError, match="count is 0 and tries 2, expected at least 1"):
        DistinctNegatives(0)
    with pytest.raises(ValueError, match="keep is 'highest', expected 'random' or 'lowest'"):
        DistinctNegatives(3, keep="highest")  # type: ignore[arg-type]
