"""Samplers: their distribution is the one they state, the cache is a queue, estimates by hand."""

import math
from math import log
from typing import Any

import pytest
import torch
from torch import nn

import merlin_models_torch as mm
from merlin_models_torch.outputs import (
    CachedNegatives,
    InBatchNegatives,
    MixedNegatives,
    NegativeSampler,
    PopularityNegatives,
    UniformNegatives,
)
from merlin_models_torch.outputs.frequency import ItemFrequency

SIZE = 9
COUNTS = [5, 0, 1, 2, 3, 4, 0, 1, 5]  # row 0 is padding, and never drawn


def built(sampler: NegativeSampler, **options: int) -> NegativeSampler:
    sampler.build(SIZE, **options)
    return sampler


@pytest.mark.parametrize(
    "sampler",
    [
        UniformNegatives(40_000),
        PopularityNegatives(40_000),
        PopularityNegatives(40_000, counts=COUNTS),
        PopularityNegatives(40_000, counts=COUNTS, power=0.5),
    ],
)
def test_draws_follow_the_stated_expectation(sampler: NegativeSampler) -> None:
    built(sampler)
    generator = torch.Generator().manual_seed(0)
    drawn = sampler(torch.tensor([3]), generator=generator).ids
    expected = sampler.expected(torch.arange(1, SIZE), rows=1)
    times = drawn.bincount(minlength=SIZE)
    assert times[0] == 0
    assert expected.sum().item() == pytest.approx(40_000, rel=1e-5)
    # Five standard deviations of a binomial.
    assert ((times[1:] - expected).abs() <= 5 * expected.sqrt() + 1e-3).all()
    assert torch.equal(drawn, sampler(torch.tensor([3]), generator=torch.Generator().manual_seed(0)).ids)


def test_log_uniform_probabilities_and_their_inverse_by_hand() -> None:
    sampler = PopularityNegatives(1)
    sampler.build(8, first=1)  # items 1 to 7: ranks 0 to 6, log(R + 1) = log 8
    chances = [log((k + 2) / (k + 1)) / log(8) for k in range(7)]
    assert sampler.expected(torch.arange(1, 8), rows=3).tolist() == pytest.approx(chances)
    # 8^u is 1, 2 and 4 at u = 0, 1/3 and 2/3: ranks 0, 1 and 3 begin there.
    draws = torch.tensor([0.0, 0.33, 0.34, 0.66, 0.67, 0.999999])
    assert sampler.at(draws).tolist() == [1, 1, 2, 3, 4, 7]


def test_rare_items_of_a_large_catalogue_are_drawn_too() -> None:
    size = 50_000_000
    sampler = PopularityNegatives(1_000_000)
    sampler.build(size)
    drawn = sampler(torch.zeros(1), generator=torch.Generator().manual_seed(0)).ids
    rare = drawn[drawn > size // 2]
    # log(2) / log(R + 1) of the draws. About n^2 / (2 * 0.72 * R / 2) of them come twice if all can come.
    assert len(rare) == pytest.approx(1e6 * math.log(2) / math.log(size), rel=0.02)
    assert len(rare) - len(rare.unique()) < 100


def test_counts_and_their_inverse_by_hand() -> None:
    sampler = PopularityNegatives(16, counts=[9, 4, 0, 12])
    sampler.build(4, first=1)
    assert sampler.expected(torch.tensor([1, 2, 3]), rows=1).tolist() == pytest.approx([4.0, 0.0, 12.0])
    assert sampler.at(torch.tensor([0.0, 0.24, 0.25, 0.99])).tolist() == [1, 1, 3, 3]
    rooted = PopularityNegatives(1, counts=[9, 4, 0, 16], power=0.5)
    rooted.build(4, first=1)
    assert rooted.expected(torch.tensor([1, 3]), rows=1).tolist() == pytest.approx([2 / 6, 4 / 6])


def test_frequency_estimate_by_hand() -> None:
    frequency = ItemFrequency(5, rate=0.5)
    frequency.observe(torch.tensor([2, 3, 2, 4]))
    # The first time all targets so far over the times in the batch: 4 / 2, 4 / 1, 4 / 1.
    assert frequency(torch.tensor([2, 3, 4])).tolist() == pytest.approx([1 / 2, 1 / 4, 1 / 4])
    frequency.observe(torch.tensor([3, 3]))
    # Item 3: six targets so far, the last at four, so two gaps of 1: the mean of 4 and 1 is 2.5, and of 2.5
    # and 1 is 1.75.
    assert frequency(torch.tensor([2, 3])).tolist() == pytest.approx([1 / 2, 1 / 1.75])
    # Never seen: once among the six so far.
    assert frequency(torch.tensor([1])).item() == pytest.approx(1 / 6)


def test_frequency_estimate_approaches_the_true_shares() -> None:
    shares = torch.tensor([0.0, 0.5, 0.3, 0.2])
    generator = torch.Generator().manual_seed(0)
    frequency = ItemFrequency(4, rate=0.01)
    for _ in range(2000):
        frequency.observe(torch.multinomial(shares, 8, replacement=True, generator=generator))
    torch.testing.assert_close(frequency(torch.arange(1, 4)), shares[1:], rtol=0.15, atol=0)


def test_negatives_of_the_batch_are_its_targets() -> None:
    sampler = built(InBatchNegatives(counts=COUNTS))
    ids, vectors = torch.tensor([3, 5, 3]), torch.eye(3)
    drawn = sampler(ids, vectors=vectors)
    assert drawn.ids is ids
    assert drawn.vectors is vectors
    assert sampler.expected(torch.tensor([5, 2]), rows=3).tolist() == pytest.approx([3 * 4 / 21, 3 * 1 / 21])


def test_the_cache_is_a_queue_of_the_latest_targets() -> None:
    sampler = built(CachedNegatives(3, counts=COUNTS), width=2)

    def step(*ids: int) -> list[int]:
        targets = torch.tensor(ids)
        vectors = torch.stack([targets, -targets], 1).float()
        drawn = sampler(targets, vectors=vectors)
        assert drawn.vectors is not None
        assert torch.equal(drawn.vectors[:, 0].long(), drawn.ids)
        expected = sampler.expected(torch.tensor([5]), rows=2).item()
        assert expected == pytest.approx(len(drawn.ids) * 4 / 21)
        sampler.observe(targets, vectors=vectors)
        return sorted(drawn.ids.tolist())

    assert step(1, 2) == []
    assert step(3, 4) == [1, 2]
    assert step(5) == [2, 3, 4]
    assert step(5, 6, 7, 8) == [3, 4, 5]
    assert step(1) == [6, 7, 8]


def test_the_cache_survives_saving() -> None:
    sampler = built(CachedNegatives(3))
    sampler.observe(torch.tensor([4, 2, 4, 7]))
    again = built(CachedNegatives(3))
    again.load_state_dict(sampler.state_dict())
    assert torch.equal(again(torch.tensor([1])).ids, sampler(torch.tensor([1])).ids)
    probe = torch.arange(1, SIZE)
    torch.testing.assert_close(again.expected(probe, rows=1), sampler.expected(probe, rows=1))


def test_a_mixture_joins_negatives_and_adds_expectations() -> None:
    parts = [InBatchNegatives(counts=COUNTS), UniformNegatives(4), PopularityNegatives(6)]
    mixed = built(MixedNegatives(*parts))
    drawn = mixed(torch.tensor([3, 5]), generator=torch.Generator().manual_seed(0))
    assert len(drawn.ids) == 2 + 4 + 6
    assert drawn.ids[:2].tolist() == [3, 5]
    probe = torch.arange(1, SIZE)
    expected = sum(part.expected(probe, rows=2) for part in parts)
    torch.testing.assert_close(mixed.expected(probe, rows=2), expected)


def test_errors_say_what_to_do() -> None:
    with pytest.raises(ValueError, match="count is 0, expected at least 1"):
        UniformNegatives(0)
    with pytest.raises(ValueError, match="capacity is 0, expected at least 1"):
        CachedNegatives(0)
    with pytest.raises(ValueError, match=r"power is 0\.5, but there are no counts"):
        PopularityNegatives(3, power=0.5)
    with pytest.raises(ValueError, match=r"counts have shape \(2,\), but the catalogue has 9 rows"):
        built(PopularityNegatives(3, counts=[1, 2]))
    with pytest.raises(ValueError, match="counts has a negative number or only zeros"):
        built(InBatchNegatives(counts=[0] * SIZE))
    with pytest.raises(ValueError, match="there is no sampler to mix"):
        MixedNegatives()
    with pytest.raises(RuntimeError, match="put it into a Model"):
        InBatchNegatives().expected(torch.tensor([1]), rows=1)


@pytest.mark.parametrize("given", [[mm.outputs.UniformNegatives(3)], "popularity", nn.Identity()])
def test_what_is_no_sampler_is_refused(given: Any) -> None:
    text = f"negatives is a {type(given).__name__}, expected a sampler such as UniformNegatives"
    with pytest.raises(TypeError, match=text):
        mm.ContrastiveOutput(negatives=given)
    with pytest.raises(TypeError, match=text):
        mm.TwoTowerOutput("item_id", size=5, negatives=given)
