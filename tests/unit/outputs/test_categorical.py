"""CategoricalOutput against plain formulas, and seen items by hand."""

from itertools import pairwise

import pytest
import torch

import merlin_models_torch as mm
from merlin_models_torch.outputs.seen import seen_items
from tests.unit.schemas import session_schema
from tests.unit.sessions import session_batch, session_model


@pytest.mark.parametrize("options", [{}, {"bias": True, "temperature": 0.5, "label_smoothing": 0.1}])
@pytest.mark.parametrize("tied", [True, False])
def test_loss_and_answers_are_those_of_the_logits(tied: bool, options: dict[str, float]) -> None:
    torch.manual_seed(0)
    model = session_model(weight_tying=tied, exclude=(0, 3), **options).eval()
    if model.output.bias is not None:
        torch.nn.init.normal_(model.output.bias)
    batch = model.inputs.for_training(session_batch())
    hidden = model.body(batch)
    logits = model.output(hidden, batch)
    targets = model.output.targets(batch)
    expected = torch.nn.functional.cross_entropy(
        logits, targets, label_smoothing=options.get("label_smoothing", 0.0)
    )
    torch.testing.assert_close(model.output.loss(hidden, batch), expected)
    scores, items = model.output.topk(hidden, batch, k=7)
    logits[:, [0, 3]] = -torch.inf
    torch.testing.assert_close(scores, logits.topk(7).values)
    torch.testing.assert_close(logits.gather(1, items), scores)


def test_tied_weights_are_the_item_embeddings_once() -> None:
    model = session_model()
    assert model.output.item_vectors is model.inputs.item_table.weight
    assert not [name for name, _ in model.output.named_parameters()]
    again = model.state_dict()
    assert len({t.data_ptr() for t in again.values() if t.numel()}) == sum(
        t.numel() > 0 for t in again.values()
    )


def test_a_body_of_another_width_is_projected_to_the_items() -> None:
    inputs = mm.TabularInputBlock(session_schema(), embedding_dim=6, masking=mm.CausalMasking())
    model = mm.Model(inputs, mm.MLPBlock([10]), mm.CategoricalOutput(weight_tying=True))
    assert model.output.projection is not None
    assert tuple(model.output.projection.weight.shape) == (6, 10)
    assert model(session_batch(3)).shape == (3, 31)


def _seen(masking: mm.Masking, mode: str, limit: int | None) -> list[list[int]]:
    inputs = mm.TabularInputBlock(session_schema(), masking=masking, max_sequence_length=limit)
    batch = session_batch(4, longest=6)
    planned = inputs.for_evaluation(batch) if mode == "evaluate" else inputs.for_prediction(batch)
    return [[item for item in row if item >= 0] for row in seen_items(batch, planned, "item_id").tolist()]


@pytest.mark.parametrize("limit", [None, 2, 3])
@pytest.mark.parametrize("masking", [mm.CausalMasking(), mm.RandomMasking()])
def test_seen_items_are_all_before_the_target_however_the_session_is_cut(
    masking: mm.Masking, limit: int | None
) -> None:
    items = session_batch(4, longest=6)["item_id"]
    assert isinstance(items, mm.Ragged)
    bounds = items.offsets.tolist()
    sessions = [items.values[a:b].tolist() for a, b in pairwise(bounds)]
    assert _seen(masking, "predict", limit) == sessions
    assert _seen(masking, "evaluate", limit) == [session[:-1] for session in sessions]


def test_seen_items_are_no_answers() -> None:
    model = session_model().eval()
    batch = session_batch()
    items = batch.padded("item_id")
    _, answers = model.topk(batch, k=12, exclude_seen=True)
    assert not (answers[:, :, None] == items[:, None, :]).any()
    _, all_answers = model.topk(batch, k=12)
    assert (all_answers[:, :, None] == items[:, None, :]).any()


def test_errors_name_the_argument() -> None:
    with pytest.raises(ValueError, match="temperature must be positive, got 0"):
        mm.CategoricalOutput(temperature=0)
    with pytest.raises(RuntimeError, match="put it into a Model, or call build"):
        _ = mm.CategoricalOutput().item_vectors
