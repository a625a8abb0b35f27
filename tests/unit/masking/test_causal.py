"""Causal masking, by hand."""

from typing import Any

import pytest
import torch

from merlin_models_torch.masking import CausalMasking

IDS = torch.tensor([[5, 6, 7, 0], [8, 0, 0, 0], [1, 2, 3, 4]])
LENGTHS = torch.tensor([3, 1, 4])


def test_every_position_predicts_the_next_item_in_training() -> None:
    plan = CausalMasking().train(IDS, LENGTHS)
    assert plan.targets.tolist() == [[6, 7, 0], [0, 0, 0], [2, 3, 4]]
    assert plan.targeted.tolist() == (plan.targets != 0).tolist()
    assert not plan.replaced.any()


def test_only_the_last_item_is_predicted_where_asked() -> None:
    plan = CausalMasking(targets="last").train(IDS, LENGTHS)
    assert plan.targets.tolist() == [[0, 7, 0], [0, 0, 0], [0, 0, 4]]
    assert plan.targets.tolist() == CausalMasking().evaluate(IDS, LENGTHS).targets.tolist()


def test_prediction_is_made_at_the_last_item() -> None:
    plan = CausalMasking().predict(IDS, LENGTHS)
    assert plan.targeted.nonzero().tolist() == [[0, 2], [1, 0], [2, 3]]


def test_a_position_sees_itself_and_what_is_before_it() -> None:
    visible = CausalMasking().evaluate(IDS, LENGTHS).visible()
    for row in range(3):
        for at in range(3):
            seen = [step for step in range(3) if step <= at and step < LENGTHS[row]]
            assert visible[row, at].nonzero().flatten().tolist() == seen


def test_no_target_is_visible_to_the_position_that_predicts_it() -> None:
    masking = CausalMasking()
    for plan in (masking.train(IDS, LENGTHS), masking.evaluate(IDS, LENGTHS)):
        for row, at in plan.targeted.nonzero().tolist():
            visible = plan.visible()[row, at]
            assert plan.targets[row, at] not in IDS[row, :3][visible]


def test_an_item_that_is_only_a_target_is_no_input() -> None:
    masking = CausalMasking()
    assert masking.train(IDS, LENGTHS).extend == masking.evaluate(IDS, LENGTHS).extend == -1
    assert masking.predict(IDS, LENGTHS).extend == 0
    assert [masking.window(mode, 5) for mode in ("train", "evaluate", "predict")] == [6, 6, 5]


def test_sessions_of_one_item_have_no_target_but_a_shape() -> None:
    plan = CausalMasking().train(torch.tensor([[3], [4]]), torch.tensor([1, 1]))
    assert plan.targeted.tolist() == [[False], [False]]


def test_legacy_options_blank_the_last_column_and_replace_what_is_not_predicted() -> None:
    masking = CausalMasking(attention="full", replace_padding=True, blank_last=True, attend_to_padding=True)
    training = masking.train(IDS, LENGTHS)
    assert training.extend == 0
    assert training.replaced.tolist() == (~training.targeted).tolist()
    assert training.blank is not None
    assert training.blank.all(0).tolist() == [False, False, False, True]
    assert training.visible().all()
    evaluation = masking.evaluate(IDS, LENGTHS)
    assert evaluation.replaced.tolist() == (IDS == 0).tolist()
    assert masking.predict(IDS, LENGTHS).blank is None


def test_each_position_predicts_the_next_k_items_in_training() -> None:
    plan = CausalMasking(next_k=3).train(IDS, LENGTHS)
    assert plan.targets.tolist() == [[6, 7, 0], [0, 0, 0], [2, 3, 4]]
    assert plan.further is not None
    assert plan.further.tolist() == [
        [[7, 0], [0, 0], [0, 0]],
        [[0, 0], [0, 0], [0, 0]],
        [[3, 4], [4, 0], [0, 0]],
    ]
    assert plan.items().tolist() == [6, 7, 7, 2, 3, 4, 3, 4, 4]
    hidden = torch.arange(9.0).view(3, 3, 1)
    assert plan.queries(hidden).flatten().tolist() == [0, 0, 1, 6, 6, 6, 7, 7, 8]


def test_next_k_of_the_last_is_the_position_with_k_items_after_it() -> None:
    plan = CausalMasking(targets="last", next_k=2).train(IDS, LENGTHS)
    assert plan.targeted.nonzero().tolist() == [[0, 0], [2, 1]]
    assert plan.items().tolist() == [6, 7, 3, 4]
    short = CausalMasking(targets="last", next_k=9).train(IDS, LENGTHS)
    assert short.targeted.nonzero().tolist() == [[0, 0], [2, 0]]
    assert short.items().tolist() == [6, 7, 2, 3, 4]


def test_next_k_changes_neither_evaluation_nor_prediction() -> None:
    many, one = CausalMasking(next_k=4), CausalMasking()
    for have, want in (
        (many.evaluate(IDS, LENGTHS), one.evaluate(IDS, LENGTHS)),
        (many.predict(IDS, LENGTHS), one.predict(IDS, LENGTHS)),
    ):
        assert have.further is None
        assert torch.equal(have.targets, want.targets)
        assert torch.equal(have.targeted, want.targeted)


def test_a_plan_of_one_item_each_gives_its_targets_in_order() -> None:
    plan = CausalMasking().train(IDS, LENGTHS)
    hidden = torch.arange(9.0).view(3, 3, 1)
    assert plan.items().tolist() == [6, 7, 2, 3, 4]
    assert plan.queries(hidden).flatten().tolist() == [0, 1, 6, 7, 8]


def test_impossible_next_k_is_refused() -> None:
    with pytest.raises(ValueError, match="next_k is 0, expected at least 1"):
        CausalMasking(next_k=0)
    with pytest.raises(ValueError, match=r"next_k is 2 and the masking is a legacy one \(attention='full'"):
        CausalMasking(next_k=2, attention="full")


@pytest.mark.parametrize("options", [{"targets": "lst"}, {"evaluate_on": "first"}, {"attention": "both"}])
def test_a_choice_that_there_is_not_is_refused(options: dict[str, Any]) -> None:
    ((name, value),) = options.items()
    with pytest.raises(ValueError, match=f"{name} is {value!r}, expected one of"):
        CausalMasking(**options)
