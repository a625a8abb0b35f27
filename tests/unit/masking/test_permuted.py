"""Permuted masking: who is predicted, in which order, and what each may see."""

import pytest
import torch

from merlin_models_torch.masking import MaskPlan, PermutedMasking

LENGTHS = torch.randint(1, 12, (400,), generator=torch.Generator().manual_seed(0))
IDS = (torch.arange(11) < LENGTHS[:, None]) * torch.randint(
    1, 99, (400, 11), generator=torch.Generator().manual_seed(1)
)
INSIDE = torch.arange(11) < LENGTHS[:, None]


def _train(seed: int = 0, **options: object) -> MaskPlan:
    masking = PermutedMasking(**options)  # type: ignore[arg-type]
    return masking.train(IDS, LENGTHS, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("probability", [0.01, 1 / 6, 0.5, 0.99])
def test_every_session_that_allows_it_has_a_target_and_a_visible_item(probability: float) -> None:
    plan = _train(probability=probability)
    several = LENGTHS > 1
    assert not (plan.targeted & ~INSIDE).any()
    assert plan.targeted.any(1)[several].all()
    assert (INSIDE & ~plan.targeted).any(1)[several].all()
    assert not plan.targeted[~several].any()
    assert torch.equal(plan.targets, torch.where(plan.targeted, IDS, 0))
    assert not plan.replaced.any()


def test_targets_see_all_others_and_the_targets_before_them_in_one_order() -> None:
    plan = _train(probability=0.5)
    for row in range(40):
        targets = plan.targeted[row].nonzero().flatten().tolist()
        others = (INSIDE[row] & ~plan.targeted[row]).nonzero().flatten().tolist()
        visible = plan.visible()[row]
        seen = {t: {j for j in targets if visible[t, j]} for t in targets}
        # A chain: the first sees no target, the second only the first, and so on.
        assert sorted(len(s) for s in seen.values()) == list(range(len(targets)))
        for first in targets:
            assert all(seen[second] < seen[first] for second in seen[first])
            assert visible[first].nonzero().flatten().tolist() == sorted([*others, *seen[first]])
        for other in others:
            assert visible[other].nonzero().flatten().tolist() == others


def test_the_order_is_random() -> None:
    pairs = _train(targets="all").visible()
    full = pairs[LENGTHS == 11].float().mean(0)
    off_diagonal = full[~torch.eye(11, dtype=torch.bool)]
    assert off_diagonal.mean().item() == pytest.approx(0.5)
    assert not full.diagonal().any()
    rows = int((LENGTHS == 11).sum())
    assert (off_diagonal - 0.5).abs().max() < 4.5 * (0.25 / rows) ** 0.5


def test_all_permuted_predicts_all_but_the_first_of_the_order() -> None:
    plan = _train(targets="all")
    assert plan.targeted.sum(1).tolist() == (LENGTHS - 1).tolist()
    seen = plan.visible().sum(-1)
    for row, length in enumerate(LENGTHS.tolist()):
        assert sorted(seen[row, :length].tolist()) == list(range(length))
        assert plan.targeted[row].tolist() == (seen[row] > 0).tolist()


@pytest.mark.parametrize(("probability", "longest"), [(1 / 6, 5), (0.3, 3), (0.5, 1)])
def test_spans_have_the_share_and_the_lengths_asked_for(probability: float, longest: int) -> None:
    count, steps = 3000, 60
    masking = PermutedMasking(probability=probability, max_span_length=longest)
    lengths = torch.full((count,), steps)
    ids = torch.ones(count, steps, dtype=torch.int64)
    targeted = masking.train(ids, lengths, generator=torch.Generator().manual_seed(0)).targeted.float()
    assert targeted.mean().item() == pytest.approx(probability, rel=0.03)
    # No place of the session is much more likely than another.
    assert (targeted.mean(0) - probability).abs().max() < 0.25 * probability
    if probability < 0.4:
        # Neighbours are targets together: items of one span, or of two that touch.
        together = (targeted[:, 1:] * targeted[:, :-1]).mean().item()
        assert together > 1.5 * probability**2


def test_single_spans_are_no_longer_than_allowed_and_every_length_occurs() -> None:
    masking = PermutedMasking(probability=0.02, max_span_length=3)
    lengths = torch.full((2000,), 40)
    plan = masking.train(
        torch.ones(2000, 40, dtype=torch.int64), lengths, generator=torch.Generator().manual_seed(0)
    )
    edges = torch.nn.functional.pad(plan.targeted.int(), (1, 1)).diff(dim=1)
    spans = (edges == -1).nonzero()[:, 1] - (edges == 1).nonzero()[:, 1]
    counts = torch.bincount(spans, minlength=4)
    assert (counts[1:4] > 100).all()
    assert counts[4:].sum() < 0.01 * counts.sum()


def test_the_same_seed_gives_the_same_plan() -> None:
    for targets in ("spans", "all"):
        first, again, other = (_train(seed, targets=targets) for seed in (7, 7, 8))
        assert torch.equal(first.visible(), again.visible())
        assert torch.equal(first.targets, again.targets)
        assert not torch.equal(first.visible(), other.visible())


def test_evaluation_hides_the_last_item_and_prediction_appends_a_hidden_place() -> None:
    evaluation = PermutedMasking().evaluate(IDS, LENGTHS)
    prediction = PermutedMasking().predict(IDS, LENGTHS)
    assert prediction.extend == 1
    assert torch.equal(prediction.lengths, LENGTHS + 1)
    for row, length in enumerate(LENGTHS.tolist()):
        assert prediction.targeted[row].nonzero().flatten().tolist() == [length]
        assert prediction.visible()[row].sum(-1).tolist() == [length] * 12
        assert not prediction.visible()[row, :, length:].any()
        last = [length - 1] if length > 1 else []
        assert evaluation.targeted[row].nonzero().flatten().tolist() == last
        assert evaluation.targets[row].sum() == (IDS[row, length - 1] if length > 1 else 0)
        assert not evaluation.visible()[row, :, length - 1 if length > 1 else length :].any()
        assert evaluation.visible()[row, :, : length - 1].all()
    assert torch.equal(evaluation.replaced, evaluation.targeted)


def test_legacy_options_change_what_is_visible_and_where_prediction_answers() -> None:
    legacy = PermutedMasking(
        attend_to_padding=True, hide_targets=True, look_back=True, predict_last=True, evaluate_single=True
    )
    ids, lengths = torch.tensor([[5, 6, 7, 0], [8, 0, 0, 0]]), torch.tensor([3, 1])
    evaluation, prediction = legacy.evaluate(ids, lengths), legacy.predict(ids, lengths)
    assert evaluation.targets.tolist() == [[0, 0, 7, 0], [8, 0, 0, 0]]
    # Earlier positions and themselves, padding too, but not the last item.
    assert evaluation.visible()[0].int().tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 0, 1]]
    assert torch.equal(prediction.visible(), evaluation.visible())
    assert torch.equal(prediction.targeted, evaluation.targeted)
    assert prediction.extend == 0
    plan = legacy.train(IDS, LENGTHS, generator=torch.Generator().manual_seed(0))
    plain = _train(0)
    assert torch.equal(plan.targets, plain.targets)
    assert torch.equal(plan.replaced, plan.targeted)
    padding = ~INSIDE[:, None, :] & torch.ones_like(plan.visible())
    assert torch.equal(plan.visible(), plain.visible() | padding)


def test_wrong_options_are_refused() -> None:
    with pytest.raises(ValueError, match=r"targets is 'some', expected one of \['spans', 'all'\]"):
        PermutedMasking(targets="some")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="probability must be between 0 and 1, got 0"):
        PermutedMasking(probability=0)
    with pytest.raises(ValueError, match="max_span_length is 0, expected at least 1"):
        PermutedMasking(max_span_length=0)


def test_pairs_belong_to_permuted_plans() -> None:
    empty = torch.zeros(1, 2, dtype=torch.bool)
    for attention, pairs, given in (
        ("permuted", None, "no pairs"),
        ("full", empty[..., None] & empty[:, None], "pairs"),
    ):
        with pytest.raises(ValueError, match=f"attention is '{attention}' and the plan has {given}"):
            MaskPlan(empty, empty, empty.long(), torch.tensor([2]), attention, pairs=pairs)  # type: ignore[arg-type]
