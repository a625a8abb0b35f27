"""The measures by hand, and against those of torchmetrics."""

import math

import pytest
import torch
from torchmetrics.functional.retrieval import (
    retrieval_average_precision,
    retrieval_hit_rate,
    retrieval_normalized_dcg,
    retrieval_precision,
    retrieval_recall,
    retrieval_reciprocal_rank,
)

from merlin_models_torch.metrics import (
    MEASURES,
    hit_rate_at,
    map_at,
    mrr_at,
    ndcg_at,
    precision_at,
    recall_at,
    relevance_of,
)

# One query: answers 2, 3 and 5 are relevant, and two more items were not found.
FOUND = torch.tensor([[0, 1, 1, 0, 1]])
COUNT = torch.tensor([5])


def log2(x):
    return math.log2(x)


@pytest.mark.parametrize(
    ("measure", "k", "expected"),
    [
        (hit_rate_at, 1, 0.0),
        (hit_rate_at, 2, 1.0),
        (precision_at, 2, 1 / 2),
        (precision_at, 5, 3 / 5),
        (recall_at, 2, 1 / 5),
        (recall_at, 5, 3 / 5),
        (mrr_at, 1, 0.0),
        (mrr_at, 5, 1 / 2),
        (map_at, 2, (1 / 2) / 2),
        (map_at, 5, (1 / 2 + 2 / 3 + 3 / 5) / 5),
        (ndcg_at, 2, (1 / log2(3)) / (1 + 1 / log2(3))),
        (
            ndcg_at,
            5,
            (1 / log2(3) + 1 / log2(4) + 1 / log2(6))
            / (1 + 1 / log2(3) + 1 / log2(4) + 1 / log2(5) + 1 / log2(6)),
        ),
    ],
)
def test_several_relevant_items_by_hand(measure, k, expected):
    for relevance in (FOUND, FOUND.bool(), FOUND.float()):
        value = measure(relevance, COUNT, k=k)
        torch.testing.assert_close(value, torch.tensor([expected]))


@pytest.mark.parametrize("rank", [1, 2, 7, None])
def test_one_relevant_item_follows_from_its_rank(rank):
    relevance = torch.zeros(1, 10)
    if rank is not None:
        relevance[0, rank - 1] = 1
    one = torch.tensor([1])
    for k in (1, 5, 10):
        hit = float(rank is not None and rank <= k)
        at = rank or 1
        expected = {
            "hit_rate": hit,
            "recall": hit,
            "precision": hit / k,
            "mrr": hit / at,
            "map": hit / at,
            "ndcg": hit / log2(at + 1),
        }
        found = {name: measure(relevance, one, k=k).item() for name, measure in MEASURES.items()}
        assert found == pytest.approx(expected)


def ranked_case(n_relevant, seed, catalogue=40):
    """Scores without ties and relevant items of the whole catalogue, and both in order of score."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.rand(catalogue, generator=generator) + 0.01
    labels = torch.zeros(catalogue, dtype=torch.int64)
    labels[torch.randperm(catalogue, generator=generator)[:n_relevant]] = 1
    return scores, labels, labels[scores.argsort(descending=True)][None], torch.tensor([n_relevant])


@pytest.mark.parametrize("n_relevant", [0, 1, 3, 12])
@pytest.mark.parametrize("k", [1, 4, 10, 40])
def test_equal_to_torchmetrics(n_relevant, k):
    pairs = {
        hit_rate_at: retrieval_hit_rate,
        precision_at: retrieval_precision,
        recall_at: retrieval_recall,
        mrr_at: retrieval_reciprocal_rank,
        ndcg_at: retrieval_normalized_dcg,
    }
    for seed in range(5):
        scores, labels, relevance, count = ranked_case(n_relevant, seed)
        for ours, theirs in pairs.items():
            expected = theirs(scores, labels, top_k=k)
            torch.testing.assert_close(ours(relevance, count, k=k), expected[None].float())
        # Theirs divides by what was found, ours by what could be: the same if everything was found.
        if int(relevance[:, :k].sum()) == min(n_relevant, k):
            expected = retrieval_average_precision(scores, labels, top_k=k)
            torch.testing.assert_close(map_at(relevance, count, k=k), expected[None])


def test_graded_gains_equal_torchmetrics():
    generator = torch.Generator().manual_seed(1)
    scores, gains = torch.rand(30, generator=generator), torch.randint(0, 4, (30,), generator=generator)
    relevance = gains[scores.argsort(descending=True)][None].float()
    ideal = gains.sort(descending=True).values[None]
    count = torch.tensor([int((gains > 0).sum())])
    for k in (1, 5, 30):
        expected = retrieval_normalized_dcg(scores, gains, top_k=k)
        torch.testing.assert_close(ndcg_at(relevance, count, k=k, ideal=ideal), expected[None])
    # An ideal order that is shorter than k has zeros behind it.
    torch.testing.assert_close(
        ndcg_at(relevance, count, k=20, ideal=ideal[:, :3]),
        ndcg_at(relevance, count, k=20, ideal=torch.nn.functional.pad(ideal[:, :3], (0, 27))),
    )


@pytest.mark.parametrize("name", sorted(MEASURES))
def test_nothing_relevant_is_zero_and_rows_are_independent(name):
    relevance = torch.tensor([[0, 0, 0], [0, 1, 1], [1, 0, 0]])
    count = torch.tensor([0, 4, 1])
    together = MEASURES[name](relevance, count, k=3)
    assert together[0] == 0
    alone = [MEASURES[name](relevance[i : i + 1], count[i : i + 1], k=3) for i in range(3)]
    torch.testing.assert_close(together, torch.cat(alone))
    assert together.dtype == torch.float32


@pytest.mark.parametrize("name", sorted(MEASURES))
def test_perfect_ranking_and_later_answers(name):
    """The best ranking is 1, but for the recall of more items than k; answers after k do not count."""
    relevance = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    count = torch.tensor([3, 5])
    expected = torch.tensor([1.0, 3 / 5 if name == "recall" else 1.0])
    torch.testing.assert_close(MEASURES[name](relevance, count, k=3), expected)
    cut = MEASURES[name](relevance[:, :3], count, k=3)
    assert torch.equal(MEASURES[name](relevance, count, k=3), cut)


@pytest.mark.parametrize("name", sorted(MEASURES))
@pytest.mark.parametrize("k", [0, 6])
def test_more_answers_asked_than_given(name, k):
    with pytest.raises(ValueError, match=f"k is {k}, but there are 5 answers"):
        MEASURES[name](FOUND, COUNT, k=k)


def test_relevance_is_a_matrix():
    with pytest.raises(ValueError, match=r"relevance has shape \(5,\)"):
        recall_at(FOUND[0], COUNT, k=1)


def test_relevance_of_one_and_of_several_targets():
    answers = torch.tensor([[4, 7, 9], [1, 2, -1], [5, 6, 8]])
    relevance, count = relevance_of(answers, torch.tensor([7, 3, 5]))
    assert relevance.tolist() == [[False, True, False], [False] * 3, [True, False, False]]
    assert count.tolist() == [1, 1, 1]
    relevance, count = relevance_of(answers, torch.tensor([[9, 4, 3], [2, -1, -1], [-1, -1, -1]]))
    assert relevance.tolist() == [[True, False, True], [False, True, False], [False] * 3]
    assert count.tolist() == [3, 1, 0]
    assert relevance_of(answers, torch.tensor([[4, 0], [0, 0], [0, 0]]), padding=0)[1].tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    "targets", [torch.zeros(2, dtype=torch.int64), torch.zeros(3, 1, 1, dtype=torch.int64)]
)
def test_targets_that_do_not_fit(targets):
    with pytest.raises(ValueError, match="give the targets of each row of answers"):
        relevance_of(torch.zeros(3, 4, dtype=torch.int64), targets)
