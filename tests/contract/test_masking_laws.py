"""What every masking promises, with every body that can keep the promise."""

from dataclasses import dataclass, replace
from typing import Any

import lightning
import pytest
import torch
from torch import Tensor

import merlin_models_torch as mm
from tests.contract.masking_cases import (
    BODIES,
    FITTING,
    LIMIT,
    MASKINGS,
    ROOM,
    UNFIT,
    WIDTH,
    build,
    may_see,
    model_of,
    plan_of,
    plans,
    repeated,
    sessions,
    widened,
    without_last,
)
from tests.unit.schemas import session_schema
from tests.unit.sessions import session_table

LENGTHS = [5, 2, 9, 3, 6]
fitting = pytest.mark.parametrize(("masking", "body"), FITTING)


@pytest.mark.parametrize("mode", ["train", "evaluate", "predict"])
@pytest.mark.parametrize("masking", MASKINGS)
def test_every_session_that_allows_it_has_a_target_and_a_visible_item(masking: str, mode: str) -> None:
    model = model_of(masking, "xlnet, two streams")
    lengths = [1 + number % 9 for number in range(90)]
    planned = plans(model, sessions(lengths))[mode]
    plan = plan_of(planned)
    several = torch.tensor(lengths) > 1
    several |= torch.tensor(mode == "predict")
    assert plan.targeted.any(1).tolist() == several.tolist()
    allowed = may_see(plan, planned.padded("item_id").shape[1])
    assert allowed[plan.targeted].any(-1).all()
    if mode == "predict":
        assert plan.targeted.sum(1).tolist() == [1] * 90
        seen = allowed[plan.targeted].sum(-1)
        assert seen.tolist() == [min(length, LIMIT) for length in lengths]


@pytest.mark.parametrize("mode", ["train", "evaluate"])
@pytest.mark.parametrize("masking", MASKINGS)
def test_no_position_may_see_what_it_predicts(masking: str, mode: str) -> None:
    model = model_of(masking, "xlnet, two streams")
    planned = plans(model, sessions([1 + number % 9 for number in range(90)]))[mode]
    plan, ids = plan_of(planned), planned.padded("item_id")
    allowed = may_see(plan, ids.shape[1])
    # Items are unique in a session, so that an item tells its place.
    wanted = (
        plan.targets[..., None]
        if plan.further is None
        else torch.cat([plan.targets[..., None], plan.further], -1)
    )
    places = (ids[:, None, :, None] == wanted[:, :, None, :]) & (wanted != 0)[:, :, None, :]
    assert places.any()
    assert places.any(2)[wanted != 0].all()
    assert not (places.any(-1) & allowed).any()


@fitting
def test_outputs_depend_on_what_they_may_see_and_on_nothing_else(masking: str, body: str) -> None:
    model = model_of(masking, body)
    for planned in plans(model, sessions(LENGTHS)).values():
        plan = plan_of(planned)
        rows, steps = planned.padded("item_id").shape
        generator = torch.Generator().manual_seed(1)
        vectors = torch.randn(rows, steps, WIDTH, generator=generator)
        # In copy j the item at position j - 1 is another.
        copies = vectors.repeat(steps + 1, 1, 1, 1)
        for step in range(steps):
            copies[step + 1, :, step] = torch.randn(rows, WIDTH, generator=generator)
        many = repeated(plan, steps + 1)
        with torch.no_grad():
            hidden = _after_inputs(model, copies.flatten(0, 1), planned.with_plan(many))
        hidden = hidden.view(steps + 1, rows, *hidden.shape[1:])
        change = (hidden[1:] - hidden[:1]).abs().amax(-1).permute(1, 2, 0)  # (B, T, S)
        allowed = may_see(plan, steps)
        assert change[plan.targeted][~allowed[plan.targeted]].max() < 1e-5
        assert change[plan.targeted][allowed[plan.targeted]].min() > 1e-5


@fitting
def test_no_gradient_flows_to_what_may_not_be_seen(masking: str, body: str) -> None:
    model = model_of(masking, body)
    planned = plans(model, sessions([5, 2, 3]))["train"]
    plan, steps = plan_of(planned), planned.padded("item_id").shape[1]
    allowed = may_see(plan, steps)
    vectors = torch.randn(3, steps, WIDTH, generator=torch.Generator().manual_seed(1)).requires_grad_()
    hidden = _after_inputs(model, vectors, planned)
    for row, step in plan.targeted.nonzero().tolist():
        (gradient,) = torch.autograd.grad(hidden[row, step].square().sum(), vectors, retain_graph=True)
        reached = gradient.abs().sum(-1) > 0
        assert not (reached[row] & ~allowed[row, step]).any()
        assert (reached[row] & allowed[row, step]).any()
        assert not reached[torch.arange(3) != row].any()


def _after_inputs(model: mm.Model, vectors: Tensor, planned: mm.Batch) -> Tensor:
    """What the body makes of item vectors once the masking was put into effect on them."""
    mask_vector = model.inputs.mask_vector
    assert mask_vector is not None
    hidden: Tensor = model.body[1](mask_vector(vectors, planned.plan), batch=planned)
    return hidden


@fitting
def test_the_length_of_the_padding_changes_nothing(masking: str, body: str) -> None:
    model = model_of(masking, body)
    for mode, planned in plans(model, sessions(LENGTHS)).items():
        wide = widened(planned, 4)
        narrow_hidden, wide_hidden = model.body(planned), model.body(wide)
        have, want = (
            model.output.queries(hidden, batch)
            for hidden, batch in ((wide_hidden, wide), (narrow_hidden, planned))
        )
        assert len(want)
        torch.testing.assert_close(have, want, rtol=1e-4, atol=1e-5)
        if mode != "predict":
            losses = [model.output.loss(*pair) for pair in ((wide_hidden, wide), (narrow_hidden, planned))]
            torch.testing.assert_close(*losses)


@fitting
def test_a_session_gets_the_same_answers_alone_and_among_longer_ones(masking: str, body: str) -> None:
    model = model_of(masking, body)
    together = model(sessions(LENGTHS))
    torch.testing.assert_close(together[:1], model(_first(sessions(LENGTHS))), rtol=1e-4, atol=1e-4)


def _first(batch: mm.Batch) -> mm.Batch:
    columns: dict[str, Any] = {
        name: mm.Ragged(column.values[: column.offsets[1]], column.offsets[:2])
        if isinstance(column, mm.Ragged)
        else column[:1]
        for name, column in batch.features.items()
    }
    return mm.Batch(columns)


@fitting
def test_evaluation_equals_prediction_without_the_last_item(masking: str, body: str) -> None:
    model, batch = model_of(masking, body), sessions(LENGTHS)
    evaluated = model.inputs.for_evaluation(batch)
    predicted = model.inputs.for_prediction(without_last(batch))
    have, want = (model.output(model.body(b), b) for b in (evaluated, predicted))
    torch.testing.assert_close(have, want, rtol=1e-4, atol=1e-4)
    items = batch.features["item_id"]
    assert isinstance(items, mm.Ragged)
    assert model.output.targets(evaluated).tolist() == items.values[items.offsets[1:] - 1].tolist()


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("masking", "body"),
    [
        ("causal, next 3", "transformer, learned"),
        ("replaced", "transformer, rotary"),
        ("permuted spans", "xlnet, two streams"),
    ],
)
def test_metrics_of_evaluation_are_those_of_prediction(masking: str, body: str) -> None:
    model, table = model_of(masking, body), session_table(40, seed=2)
    trainer = lightning.Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False
    )
    loader = mm.ParquetLoader(table, session_schema(), batch_size=16)
    (logged,) = trainer.validate(model, loader, verbose=False)
    hits, gains = 0.0, 0.0
    batch = next(iter(mm.ParquetLoader(table, session_schema(), batch_size=40)))
    answers = model.topk(without_last(batch), k=5)[1]
    for row, session in enumerate(table["item_id"].to_pylist()):
        for rank, answer in enumerate(answers[row].tolist()):
            if answer == session[-1]:
                hits += 1
                gains += 1 / torch.log2(torch.tensor(rank + 2.0)).item()
    assert hits
    assert logged["val_recall_at_5"] == pytest.approx(hits / 40)
    assert logged["val_ndcg_at_5"] == pytest.approx(gains / 40)


@pytest.mark.parametrize(("masking", "body"), UNFIT)
def test_what_does_not_fit_is_refused_when_the_model_is_built(masking: str, body: str) -> None:
    with pytest.raises(
        ValueError, match=r"(only what is before|both sides of|has one stream).*: use \w+, or"
    ):
        build(MASKINGS[masking], BODIES[body]())


@dataclass(frozen=True)
class _CausalThenRandom(mm.CausalMasking):
    """Trains in a way that it does not evaluate in."""

    def train(self, ids: Tensor, lengths: Tensor, *, generator: torch.Generator | None = None) -> mm.MaskPlan:
        return mm.RandomMasking().train(ids, lengths, generator=generator)


def test_the_plan_of_training_is_tried_too_when_the_model_is_built() -> None:
    with pytest.raises(ValueError, match="GRUBlock sees only what is before"):
        build(_CausalThenRandom(), mm.GRUBlock(WIDTH))
    model = build(_CausalThenRandom(), BODIES["transformer, learned"]())
    assert plan_of(plans(model, sessions([4]))["train"]).attention == "full"


@pytest.mark.parametrize("masking", ["random", "replaced", "permuted spans", "all permuted"])
def test_the_seed_of_a_step_decides_its_masks(masking: str) -> None:
    model, batch = model_of(masking, "xlnet, two streams"), sessions([9] * 20)
    drawn = [
        plan_of(model.inputs.for_training(batch, generator=torch.Generator().manual_seed(seed)))
        for seed in (1, 1, 2)
    ]
    assert torch.equal(drawn[0].targets, drawn[1].targets)
    assert torch.equal(drawn[0].visible(), drawn[1].visible())
    assert not torch.equal(drawn[0].targets, drawn[2].targets) or not torch.equal(
        drawn[0].visible(), drawn[2].visible()
    )


def test_the_laws_notice_a_leak() -> None:
    """The check of what outputs depend on fails for a plan that shows less than the body sees."""
    model = model_of("causal", "transformer, learned")
    planned = plans(model, sessions([5]))["train"]
    plan = plan_of(planned)
    vectors = torch.randn(1, ROOM, WIDTH)[:, :5]
    other = torch.cat([vectors[:, :3], torch.randn(1, 2, WIDTH)], 1)
    open_ = planned.with_plan(replace(plan, attention="full"))
    before, after = (_after_inputs(model, v, open_)[:, 0] for v in (vectors, other))
    assert (before - after).abs().max() > 1e-3
    before, after = (_after_inputs(model, v, planned)[:, 0] for v in (vectors, other))
    torch.testing.assert_close(before, after, rtol=0, atol=0)
