"""Ranking metrics: values by hand, means over rows, one ranking for all."""

import math

import pytest
import torch
from transformers4rec.torch import ranking_metric as rm

from tests.compat.small import batch, model

SCORES = torch.tensor([[0.9, 0.8, 0.7, 0.1], [0.1, 0.9, 0.2, 0.8], [0.4, 0.3, 0.2, 0.1]])
TARGETS = torch.tensor([1, 2, 3])  # ranks 2, 3 and 4


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("precision", [0, (1 / 3 + 1 / 3) / 3]),
        ("recall", [0, 2 / 3]),
        ("map", [0, (1 / 2 + 1 / 3) / 3]),
        ("mrr", [0, (1 / 2 + 1 / 3) / 3]),
        ("dcg", [0, (1 / math.log2(3) + 1 / 2) / 3]),
        ("ndcg", [0, (1 / math.log2(3) + 1 / 2) / 3]),
    ],
)
def test_values_by_hand(name, expected):
    cls = type(rm.ranking_metrics_registry.parse(name))
    torch.testing.assert_close(
        cls(top_ks=[1, 3], labels_onehot=True)(SCORES, TARGETS), torch.tensor(expected)
    )


@pytest.mark.parametrize(
    "name", ["precision_at", "recall_at", "avg_precision_at", "mrr_at", "dcg_at", "ndcg_at"]
)
def test_labels_in_a_matrix_give_the_same(name):
    cls = type(rm.ranking_metrics_registry.parse(name))
    labels = torch.nn.functional.one_hot(TARGETS, 4).float()
    torch.testing.assert_close(
        cls(top_ks=[2, 3])(SCORES, labels), cls(top_ks=[2, 3], labels_onehot=True)(SCORES, TARGETS)
    )


def test_ndcg_counts_only_the_relevant_items_that_it_found():
    labels = torch.tensor([[1.0, 0.0, 0.0, 1.0]])
    scores = torch.tensor([[0.1, 0.9, 0.8, 0.7]])
    # One relevant item of two is among the best three, at rank 3: the best order would have it at rank 1.
    torch.testing.assert_close(rm.NDCGAt(top_ks=[3])(scores, labels), torch.tensor(0.5))


def test_the_mean_is_over_rows_not_over_batches():
    metric = rm.RecallAt(top_ks=[2, 3], labels_onehot=True)
    metric.update(SCORES[:1], TARGETS[:1])
    metric.update(SCORES[1:], TARGETS[1:])
    torch.testing.assert_close(metric.compute(), torch.tensor([1 / 3, 2 / 3]))
    metric.reset()
    metric.update(SCORES[1:], TARGETS[1:])
    torch.testing.assert_close(metric.compute(), torch.tensor([0, 1 / 2]))


def test_a_metric_of_ones_own_gets_scores_and_one_hot_labels():
    class Hits(rm.RankingMetric):
        def _metric(self, ks, scores, labels):
            best = scores.argmax(1)
            return labels.gather(1, best[:, None]).expand(-1, len(ks))

    metric = Hits(top_ks=[1, 2], labels_onehot=True)
    assert not metric.shares_ranking
    torch.testing.assert_close(metric(SCORES, torch.tensor([0, 1, 3])), torch.tensor([2 / 3, 2 / 3]))


def test_a_tasks_metrics_equal_each_by_itself():
    built = model().eval()
    output = built(batch(8), testing=True)
    values = built.calculate_metrics(output["predictions"], output["labels"])
    for metric in built.prediction_tasks[0].metrics:
        name = f"next-item/{'ndcg' if isinstance(metric, rm.NDCGAt) else 'recall'}_at"
        alone = type(metric)(top_ks=metric.top_ks, labels_onehot=True)
        torch.testing.assert_close(values[name], alone(output["predictions"], output["labels"]))
    assert set(built.compute_metrics(mode="eval")) == {
        f"next-item/{name}_at_{k}" for name in ("ndcg", "recall") for k in (5, 10)
    }


def test_a_single_cut_off_and_the_default_ones():
    assert rm.RecallAt().top_ks == [2, 5]
    assert rm.RecallAt(top_ks=3).top_ks == [3]
    assert rm.RecallAt(top_ks=3, labels_onehot=True)(SCORES, TARGETS).dim() == 0


def test_more_answers_than_items_are_refused():
    with pytest.raises(RuntimeError, match="the best 5 of 4 items are asked for"):
        rm.RecallAt(top_ks=[5], labels_onehot=True)(SCORES, TARGETS)


def test_ids_without_labels_onehot_are_refused():
    with pytest.raises(ValueError, match="give ids with labels_onehot=True"):
        rm.RecallAt(top_ks=[2])(SCORES, TARGETS[:, None])


@pytest.mark.parametrize("top_ks", [[2, 5], [3]], ids=["two cut-offs", "one"])
def test_a_batchs_own_value_is_that_of_a_new_metric(top_ks):
    generator = torch.Generator().manual_seed(0)
    batches = [
        (torch.rand(rows, 9, generator=generator), torch.randint(0, 9, (rows,), generator=generator))
        for rows in (4, 1, 7)
    ]
    metric = rm.NDCGAt(top_ks=top_ks, labels_onehot=True)
    for scores, labels in batches:
        new = rm.NDCGAt(top_ks=top_ks, labels_onehot=True)
        new.update(scores, labels)
        own = metric(scores, labels)
        assert own.shape == new.compute().shape
        assert torch.equal(own, new.compute())
    together = rm.NDCGAt(top_ks=top_ks, labels_onehot=True)
    together.update(
        torch.cat([scores for scores, _ in batches]), torch.cat([labels for _, labels in batches])
    )
    torch.testing.assert_close(metric.compute(), together.compute())


def test_a_batch_costs_no_copies_of_earlier_ones(monkeypatch):
    monkeypatch.setattr(rm.RankingMetric, "_copy_state_dict", lambda self: pytest.fail("states are copied"))
    metric = rm.RecallAt(top_ks=[1], labels_onehot=True)
    for label in (0, 1):
        assert metric(torch.tensor([[1.0, 0.0]]), torch.tensor([label])).item() == 1 - label
    assert metric.compute().item() == 0.5


def test_a_metric_with_a_mean_of_its_own_gives_it_for_a_batch_too():
    class Largest(rm.RecallAt):
        def compute(self):
            return torch.cat(self.metric_mean).amax(0)

    metric = Largest(top_ks=[1], labels_onehot=True)
    metric(torch.tensor([[1.0, 0.0]]), torch.tensor([0]))
    assert metric(torch.eye(2), torch.tensor([0, 0])).item() == 1.0
    assert metric(torch.tensor([[1.0, 0.0]]), torch.tensor([1])).item() == 0.0


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ([1, 2, 60], "a target is 1 or 60, but the items are 0 to 8"),
        ([-1, 2, 3], "a target is -1 or 3"),
        ([1], "there are 1 targets for 3 rows of scores"),
    ],
)
def test_targets_that_are_no_items(targets, message):
    metric = rm.NDCGAt(top_ks=[2], labels_onehot=True)
    with pytest.raises((RuntimeError, ValueError), match=message):
        metric(torch.rand(3, 9), torch.tensor(targets))
