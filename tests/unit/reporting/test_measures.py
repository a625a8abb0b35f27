"""Groups, probabilities, numbers and directions, each against a plain formula."""

import math

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.classification import BinaryAUROC

import merlin_models_torch as mm
from merlin_models_torch.metrics import RankingMetrics
from merlin_models_torch.reporting.clicks import ClickMeasure
from merlin_models_torch.reporting.embeddings import most_common, principal_plane
from merlin_models_torch.reporting.groups import GroupedMetrics, Popularity, length_group, length_names
from merlin_models_torch.reporting.item_map import categories_of
from merlin_models_torch.reporting.measure import ItemMeasure, cut_offs


class TestGroups:
    def test_lengths_fall_into_the_group_of_their_name(self) -> None:
        names = [name for name, _ in length_names()]
        assert names == ["0", "1", "2", "3–5", "6–10", "11–20", "21–50", "51–100", "101+"]
        lengths = [0, 1, 2, 3, 5, 6, 10, 11, 20, 21, 50, 51, 100, 101, 5000]
        found = [names[group] for group in length_group(torch.tensor(lengths)).tolist()]
        assert found == [
            *("0", "1", "2", "3–5", "3–5", "6–10", "6–10", "11–20", "11–20"),
            *("21–50", "21–50", "51–100", "51–100", "101+", "101+"),
        ]

    def test_fifths_of_events_by_hand(self) -> None:
        # 20 events: item 2 has the first 8, items 1 and 5 the next 4 each, and so on; items 0 and 6 none.
        counts = torch.tensor([0, 4, 8, 2, 1, 4, 0, 1])
        found = Popularity.of_counts(counts)
        assert found.groups.tolist() == [5, 2, 0, 4, 4, 3, 5, 4]
        said = [meaning.rpartition(": ")[2] for _, meaning in found.names()[:5]]
        assert said == ["1 item", "0 items", "1 item", "1 item", "3 items"]

    @given(st.lists(st.integers(0, 50), min_size=1, max_size=60))
    def test_the_more_popular_is_never_in_a_later_fifth(self, counts: list[int]) -> None:
        groups = Popularity.of_counts(torch.tensor(counts)).groups.tolist()
        pairs = list(zip(counts, groups, strict=True))
        assert all(g <= h for a, g in pairs for b, h in pairs if a > b)
        assert all((count == 0) == (group == 5) for count, group in pairs)

    def test_events_are_counted_in_rows_and_lists(self) -> None:
        rows = pa.table({"item_id": [3, 1, 3, None, 0]})
        lists = pa.table({"item_id": [[3], [1, 3, 0], None, []]})
        for table in (rows, lists):
            found = Popularity.of(table, "item_id", 5, told="here")
            assert found.counts.tolist() == [0, 1, 0, 2, 0]
        assert Popularity.of(rows, "item_id", 5, told="here", never=[0, 1]).counts.tolist() == [0, 0, 0, 2, 0]

    def test_every_target_counts_in_its_group_only(self) -> None:
        generator = torch.Generator().manual_seed(0)
        answers = torch.rand(90, 40, generator=generator).topk(10).indices
        targets, groups = torch.randint(40, (90,), generator=generator), torch.arange(90) % 3
        grouped = GroupedMetrics([("a", "a"), ("b", "b"), ("c", "c"), ("d", "d")], ["mrr"], [10])
        for part in (slice(0, 50), slice(50, 90)):
            grouped.update(answers[part], targets[part], groups[part])
        found = grouped.compute()
        assert [(one.name, one.count) for one in found] == [("a", 30), ("b", 30), ("c", 30)]
        for number, one in enumerate(found):
            metrics = RankingMetrics(["mrr"], [10])
            metrics.update(answers[groups == number], targets[groups == number])
            assert one.values["mrr_at_10"] == pytest.approx(float(metrics.compute()["mrr_at_10"]))

    def test_coverage_leaves_out_what_is_no_item(self) -> None:
        measure = ItemMeasure(6, (1, 2), never=[0, 1], popularity=None)
        measure.update(torch.tensor([[2, 3], [2, 4]]), torch.tensor([3, 2]), None)
        values = measure.compute().values
        assert values["coverage_at_1"] == pytest.approx(1 / 4)
        assert values["coverage_at_2"] == pytest.approx(3 / 4)
        assert values["recall_at_1"] == 0.5

    def test_cut_offs(self) -> None:
        assert cut_offs(None, 100) == (1, 5, 10, 20)
        assert cut_offs(None, 7) == (1, 5, 7)
        assert cut_offs([10, 3], 10) == (3, 10)
        with pytest.raises(ValueError, match=r"top_ks is \(3, 11\), but there are 10 items"):
            cut_offs([3, 11], 10)


class _Clicks(mm.BinaryOutput):
    """Gives logits and labels that it is given."""

    def answers(self, hidden, batch):  # type: ignore[no-untyped-def]
        return hidden, batch, None


class TestClicks:
    def figures(self, logits: torch.Tensor, labels: torch.Tensor):  # type: ignore[no-untyped-def]
        measure = ClickMeasure(_Clicks("click"))
        for n in range(0, len(labels), 100):
            measure.update(logits[n : n + 100], labels[n : n + 100])
        return measure.compute()

    @pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
    def test_the_area_is_that_of_all_scores(self, scale: float) -> None:
        generator = torch.Generator().manual_seed(0)
        labels = torch.randint(2, (900,), generator=generator)
        logits = scale * (torch.randn(900, generator=generator) + labels)
        exact = float(BinaryAUROC()(logits.sigmoid(), labels))
        assert self.figures(logits, labels).values["auc"] == pytest.approx(exact, abs=1e-6)

    def test_many_labels_are_sorted_into_bins(self, monkeypatch: pytest.MonkeyPatch) -> None:
        generator = torch.Generator().manual_seed(0)
        labels = torch.randint(2, (900,), generator=generator)
        logits = torch.randn(900, generator=generator) + labels
        wanted = self.figures(logits, labels)
        monkeypatch.setattr("merlin_models_torch.reporting.clicks._EXACT", 250)
        found = self.figures(logits, labels)
        assert found.values["auc"] == pytest.approx(wanted.values["auc"], abs=1e-4)
        assert (found.count, found.positives) == (wanted.count, wanted.positives)
        assert found.calibration == wanted.calibration

    def test_the_curve_by_hand(self) -> None:
        figures = self.figures(torch.tensor([2.0, 1.0, 0.0, -1.0]), torch.tensor([1, 0, 1, 0]))
        assert figures.roc == [(0, 0), (0, 0.5), (0.5, 0.5), (0.5, 1), (1, 1)]
        assert figures.values["auc"] == pytest.approx(0.75)

    def test_equal_scores_count_half(self) -> None:
        figures = self.figures(torch.zeros(6), torch.tensor([1, 0, 1, 0, 0, 0]))
        assert figures.values["auc"] == pytest.approx(0.5)
        assert figures.roc == [(0, 0), (1, 1)]

    def test_calibration_by_hand(self) -> None:
        probabilities = torch.tensor([0.22, 0.28, 0.91, 0.99])
        figures = self.figures(probabilities.logit(), torch.tensor([0, 1, 1, 1]))
        assert [count for count, _, _ in figures.calibration] == [2, 2]
        np.testing.assert_allclose(
            [row[1:] for row in figures.calibration], [[0.25, 0.5], [0.95, 1.0]], rtol=1e-5
        )

    def test_a_long_curve_is_thinned_and_keeps_its_ends(self) -> None:
        generator = torch.Generator().manual_seed(0)
        labels = torch.randint(2, (5000,), generator=generator)
        figures = self.figures(torch.randn(5000, generator=generator) + labels, labels)
        assert 50 < len(figures.roc) <= 100
        assert figures.roc[0] == (0, 0)
        assert figures.roc[-1] == (1, 1)

    def test_one_kind_of_label_has_no_area(self) -> None:
        figures = self.figures(torch.tensor([0.5, 1.0]), torch.tensor([1, 1]))
        assert "auc" not in figures.values
        assert self.figures(torch.empty(0), torch.empty(0)) is None


class TestMap:
    def test_directions_are_those_of_the_singular_values(self) -> None:
        generator = torch.Generator().manual_seed(0)
        vectors = torch.randn(500, 6, generator=generator) * torch.tensor([5.0, 3, 1, 1, 1, 1]) + 7
        points, shares = principal_plane(vectors)
        centred = (vectors - vectors.mean(0)).double()
        _, values, directions = torch.linalg.svd(centred, full_matrices=False)
        wanted = centred @ directions[:2].T
        np.testing.assert_allclose(points.abs(), wanted.abs(), rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(shares, (values**2 / (values**2).sum())[:2], rtol=1e-6)

    def test_narrow_and_equal_vectors_have_a_map_too(self) -> None:
        points, shares = principal_plane(torch.tensor([[1.0], [3.0]]))
        assert points.tolist() == [[-1, 0], [1, 0]]
        assert shares == (1, 0)
        points, shares = principal_plane(torch.ones(3, 4))
        assert not points.any()
        assert not any(map(math.isnan, shares))

    def test_the_first_category_of_an_item_counts(self) -> None:
        lists = pa.table({"item_id": [[3, 4], [3, 5]], "kind": [["a", "b"], ["c", None]]})
        assert categories_of(lists, "item_id", "kind", None) == {3: "a", 4: "b", 5: "none"}
        items = pa.table({"item_id": [3, 4, 3], "kinds": [[7, 8], [], [9]]})
        assert categories_of(items, "item_id", "kinds", None) == {3: "7", 4: "none"}
        coded = pa.table({"item_id": [3, 4], "kind": [2, 3]})
        words = mm.Vocabulary(pa.array(["shoe", "hat"]))
        assert categories_of(coded, "item_id", "kind", words) == {3: "shoe", 4: "hat"}

    def test_most_common_values(self) -> None:
        assert most_common(["b", "a", "c", "a", "b"], most=2) == ["a", "b"]
