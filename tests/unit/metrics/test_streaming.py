"""Averages over batches and processes."""

import numpy as np
import pytest
import torch

import merlin_models_torch as mm
from merlin_models_torch.metrics import MEASURES, RankingMetrics, RetrievalMetrics, relevance_of
from merlin_models_torch.retrieval import topk_blockwise


def answers_and_targets(n, catalogue=50, k=10, seed=0):
    generator = torch.Generator().manual_seed(seed)
    answers = torch.stack([torch.randperm(catalogue, generator=generator)[:k] for _ in range(n)])
    return answers, torch.randint(0, catalogue, (n,), generator=generator)


def test_values_by_hand():
    metrics = RankingMetrics(metrics=("recall", "precision", "mrr", "map", "ndcg", "hit_rate"), top_ks=(1, 3))
    # Ranks of the targets: 1, 3, none, none.
    answers = torch.tensor([[5, 1, 2], [1, 2, 5], [1, 2, 3], [4, 6, 7]])
    metrics.update(answers, torch.tensor([5, 5, 5, 5]))
    found = {name: value.item() for name, value in metrics.compute().items()}
    assert found == pytest.approx(
        {
            "recall_at_1": 0.25,
            "recall_at_3": 0.5,
            "precision_at_1": 0.25,
            "precision_at_3": 0.5 / 3,
            "mrr_at_1": 0.25,
            "mrr_at_3": (1 + 1 / 3) / 4,
            "map_at_1": 0.25,
            "map_at_3": (1 + 1 / 3) / 4,
            "ndcg_at_1": 0.25,
            "ndcg_at_3": (1 + 1 / 2) / 4,
            "hit_rate_at_1": 0.25,
            "hit_rate_at_3": 0.5,
        }
    )
    assert list(found) == metrics.names


def test_uneven_batches_give_the_mean_over_targets():
    answers, targets = answers_and_targets(103)
    whole, parts = (RankingMetrics(metrics=tuple(MEASURES), top_ks=(1, 5, 10)) for _ in range(2))
    whole.update(answers, targets)
    for start, stop in ((0, 1), (1, 64), (64, 64), (64, 103)):
        parts.update(answers[start:stop], targets[start:stop])
    torch.testing.assert_close(parts.compute(), whole.compute())
    relevance, count = relevance_of(answers, targets)
    for name, measure in MEASURES.items():
        torch.testing.assert_close(whole.compute()[f"{name}_at_5"], measure(relevance, count, k=5).mean())


def test_processes_with_uneven_shares_give_the_mean_over_targets():
    """What torchmetrics does between processes, with the gathering done by hand."""
    answers, targets = answers_and_targets(20)
    whole = RankingMetrics(top_ks=(10,))
    whole.update(answers, targets)
    other = RankingMetrics(top_ks=(10,))
    other.update(answers[3:], targets[3:])
    gathered = iter([other.total, other.count])
    mine = RankingMetrics(top_ks=(10,))
    mine.update(answers[:3], targets[:3])
    mine.distributed_available_fn = lambda: True
    mine.dist_sync_fn = lambda state, group: [state, next(gathered)]
    torch.testing.assert_close(mine.compute(), whole.compute())


def test_several_targets_and_judged_answers():
    metrics = RankingMetrics(metrics=("recall",), top_ks=(2,))
    metrics.update(torch.tensor([[1, 2]]), torch.tensor([[2, 9]]))
    metrics.update_relevance(torch.tensor([[True, True]]), torch.tensor([2]))
    assert metrics.compute()["recall_at_2"].item() == pytest.approx(0.75)


def test_reset_forgets_and_the_state_is_small():
    metrics = RankingMetrics(top_ks=(10,))
    metrics.update(*answers_and_targets(500))
    assert metrics.total.numel() == 2
    metrics.reset()
    answers, _ = answers_and_targets(4, seed=2)
    metrics.update(answers, answers[:, 0])
    assert metrics.compute()["recall_at_10"] == 1
    assert metrics.count == 4


def test_ties_are_answered_in_order_of_row():
    """All scores equal: target in row r has rank r + 1."""
    scores, rows = topk_blockwise(torch.zeros(3, 2), torch.ones(30, 2), k=10, block=4)
    metrics = RankingMetrics(metrics=("mrr",), top_ks=(10,))
    metrics.update(rows, torch.tensor([0, 3, 20]))
    assert scores.unique().tolist() == [0.0]
    assert metrics.compute()["mrr_at_10"].item() == pytest.approx((1 + 1 / 4) / 3)


def test_cut_off_above_the_catalogue_is_named():
    metrics = RankingMetrics(top_ks=(5, 20))
    assert metrics.max_k == 20
    with pytest.raises(ValueError, match="k is 20, but the catalogue has 12 items"):
        topk_blockwise(torch.zeros(1, 2), torch.zeros(12, 2), k=metrics.max_k)
    with pytest.raises(ValueError, match="metrics at 20 need 20 answers for each target, got 12"):
        metrics.update(torch.zeros(1, 12, dtype=torch.int64), torch.zeros(1, dtype=torch.int64))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"metrics": ("recall", "auc")}, "metric 'auc' is not known: choose from hit_rate, map, mrr"),
        ({"metrics": ()}, "metrics is empty, expected names of hit_rate, map"),
    ],
)
def test_wrong_arguments_are_named(arguments, text):
    with pytest.raises(ValueError, match=text):
        RankingMetrics(**arguments)


def test_one_number_or_name_instead_of_several_is_refused_by_name():
    for arguments, text in (
        ({"top_ks": 10}, "top_ks is 10, expected several numbers of answers, such as"),
        ({"top_ks": "10"}, "top_ks is '10', expected several numbers of answers, such as"),
        ({"top_ks": (2.5,)}, "one of top_ks is 2.5, expected a whole number, such as 10"),
        ({"top_ks": (True,)}, "one of top_ks is True, expected a whole number"),
        ({"metrics": "ndcg"}, r"metrics is 'ndcg', expected several names, such as \('ndcg',\)"),
    ):
        for make in (RankingMetrics, RetrievalMetrics, mm.CategoricalOutput):
            with pytest.raises(TypeError, match=f"^{text}"):
                make(**arguments)
    with pytest.raises(TypeError, match=r"^metrics of 'click' is 'auc', expected several names"):
        mm.BinaryOutput("click", metrics="auc")
    for cuts in ((), (0,), (3, -1)):
        with pytest.raises(ValueError, match=r"^top_ks is \(.*\), expected numbers of answers, each"):
            RankingMetrics(top_ks=cuts)
    whole = RankingMetrics(top_ks=[np.int64(3)]).top_ks
    assert whole == (3,)
    assert type(whole[0]) is int


@pytest.mark.parametrize("k", [2.5, "3", None, True])
def test_a_number_of_answers_is_a_whole_number(k):
    with pytest.raises(TypeError, match=f"^k is {k!r}, expected a whole number, such as 10"):
        topk_blockwise(torch.ones(1, 2), torch.ones(5, 2), k=k)
