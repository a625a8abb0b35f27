"""A masking of one's own: what its one method says is what a model sees."""

import pytest
import torch
from torch import Tensor

import merlin_models_torch as mm
from tests.unit.sessions import session_batch, session_model

IDS, LENGTHS = torch.tensor([[5, 6, 7, 0], [8, 9, 0, 0]]), torch.tensor([3, 2])


class LastItem(mm.OwnMasking):
    """Hides the last item, in training too."""

    def hidden(
        self, ids: Tensor, lengths: Tensor, mode: str, *, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        last = torch.arange(ids.shape[1]) == lengths[:, None] - 1
        return last, torch.where(last, ids, 0)


class AsItWas(LastItem):
    """The same with the options of legacy equality."""

    appends = False
    attend_to_padding = True


def test_plans_by_hand() -> None:
    for plan in (LastItem().train(IDS, LENGTHS), LastItem().evaluate(IDS, LENGTHS)):
        assert plan.targets.tolist() == [[0, 0, 7, 0], [0, 9, 0, 0]]
        assert torch.equal(plan.replaced, plan.targeted)
        assert plan.visible()[:, 0].int().tolist() == [[1, 1, 1, 0], [1, 1, 0, 0]]
    prediction = LastItem().predict(IDS, LENGTHS)
    assert prediction.extend == 1
    assert prediction.targeted.int().tolist() == [[0, 0, 0, 1, 0], [0, 0, 1, 0, 0]]
    assert torch.equal(prediction.replaced, prediction.targeted)


def test_legacy_options_answer_at_the_last_item_and_show_padding() -> None:
    prediction = AsItWas().predict(IDS, LENGTHS)
    assert prediction.extend == 0
    assert prediction.targeted.int().tolist() == [[0, 0, 1, 0], [0, 1, 0, 0]]
    assert not prediction.replaced.any()
    assert prediction.visible().all()


def test_evaluation_equals_prediction_of_a_model() -> None:
    torch.manual_seed(0)
    own = session_model(LastItem(), body="xlnet").eval()
    known = session_model(mm.RandomMasking(), body="xlnet").eval()
    known.load_state_dict(own.state_dict())
    batch = session_batch()
    for mode in ("evaluate", "predict"):
        torch.testing.assert_close(
            mm.Step(own, batch, mode).scores,
            mm.Step(known, batch, mode).scores,  # type: ignore[arg-type]
        )


def test_what_is_missing_or_of_another_shape_is_said() -> None:
    with pytest.raises(NotImplementedError, match=r"OwnMasking has to define hidden\(\)"):
        mm.OwnMasking().evaluate(IDS, LENGTHS)

    class Short(LastItem):
        def hidden(self, ids: Tensor, lengths: Tensor, mode: str, **options: object) -> tuple[Tensor, Tensor]:
            return ids[:, 1:] > 0, ids

    with pytest.raises(ValueError, match=r"Short.hidden gave hidden positions of shape \(2, 3\), expected"):
        Short().evaluate(IDS, LENGTHS)
