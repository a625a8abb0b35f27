"""CategoricalOutput against plain formulas, and seen items by hand."""

from itertools import pairwise
from pathlib import Path

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


@pytest.mark.parametrize("tied", [True, False])
def test_normalized_scores_are_cosines_by_temperature(tied: bool) -> None:
    torch.manual_seed(0)
    model = session_model(weight_tying=tied, normalized=True, temperature=0.07, bias=True).eval()
    torch.nn.init.normal_(model.output.bias)
    batch = model.inputs.for_training(session_batch())
    hidden = model.body(batch)
    table = model.inputs.item_table.weight if tied else model.output.weight
    cosines = torch.nn.functional.cosine_similarity(batch.plan.queries(hidden)[:, None], table[None], dim=-1)
    logits = (cosines + model.output.bias) / 0.07
    torch.testing.assert_close(model.output(hidden, batch), logits, rtol=1e-5, atol=1e-5)
    expected = torch.nn.functional.cross_entropy(logits, model.output.targets(batch))
    torch.testing.assert_close(model.output.loss(hidden, batch), expected)
    scores, items = model.output.topk(hidden, batch, k=7)
    torch.testing.assert_close(scores, logits[:, 1:].topk(7).values, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(logits.gather(1, items), scores, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(model.output.item_vectors[1:].norm(dim=1), torch.ones(len(table) - 1))


def test_normalized_gradients_are_those_of_the_plain_formula() -> None:
    torch.manual_seed(0)
    model = session_model(weight_tying=False, normalized=True, temperature=0.1).eval()
    batch = model.inputs.for_training(session_batch())
    hidden = model.body(batch).detach().requires_grad_()
    weight, normalize = model.output.weight, torch.nn.functional.normalize
    logits = normalize(batch.plan.queries(hidden), dim=-1) @ normalize(weight, dim=-1).T / 0.1
    plain = torch.nn.functional.cross_entropy(logits, model.output.targets(batch))
    expected = torch.autograd.grad(plain, [hidden, weight])
    found = torch.autograd.grad(model.output.loss(hidden, batch), [hidden, weight])
    torch.testing.assert_close(found, expected)


def test_the_length_of_a_vector_changes_no_normalized_answer(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = session_model(weight_tying=False, normalized=True, temperature=0.1).eval()
    before = model.topk(session_batch(), k=5)
    with torch.no_grad():
        model.output.weight *= torch.rand(len(model.output.weight), 1) + 0.5
    torch.testing.assert_close(model.topk(session_batch(), k=5), before)
    model.save(tmp_path / "model")
    loaded = mm.load(tmp_path / "model")
    assert loaded.output.normalized
    torch.testing.assert_close(loaded.topk(session_batch(), k=5), before)


def test_a_vector_of_zeros_has_score_0_and_does_not_learn() -> None:
    torch.manual_seed(0)
    model = session_model(normalized=True, temperature=0.07).eval()
    table = model.inputs.item_table
    with torch.no_grad():
        table.weight[4] = 0
    batch = model.inputs.for_training(session_batch())
    hidden = model.body(batch)
    assert (model.output(hidden, batch)[:, [0, 4]] == 0).all()
    (gradient,) = torch.autograd.grad(model.output.loss(hidden.detach(), batch), [table.weight])
    assert (gradient[[0, 4]] == 0).all()
    assert gradient[1:4].ne(0).any(1).all()
    assert gradient.isfinite().all()


def test_extracted_parts_score_as_the_normalized_model() -> None:
    torch.manual_seed(0)
    model = session_model(normalized=True, temperature=0.07).eval()
    batch = session_batch()
    hidden = model.select("*")(batch)
    last = hidden[torch.arange(len(batch)), batch.lengths("item_id") - 1]
    table = model.extract(mm.Tags.ITEM_ID).weight
    scores = torch.nn.functional.cosine_similarity(last[:, None], table[None], dim=-1) / 0.07
    torch.testing.assert_close(model(batch), scores, rtol=1e-5, atol=1e-5)


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


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_label_smoothing_is_a_share(share: float) -> None:
    with pytest.raises(ValueError, match=f"label_smoothing is {share}, expected a share from 0 to below 1"):
        mm.CategoricalOutput(label_smoothing=share)
