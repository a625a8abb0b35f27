"""Naming hidden items and finding replaced ones with one body."""

from pathlib import Path

import lightning
import pytest
import torch

import merlin_models_torch as mm
from tests.unit.schemas import categorical, session_schema
from tests.unit.sessions import session_batch, session_table


def _model(**options: object) -> mm.ReplacedItemModel:
    torch.manual_seed(0)
    inputs = mm.TabularInputBlock(
        session_schema(),
        embedding_dim=16,
        projection=mm.MLPBlock([16]),
        masking=mm.ReplacedMasking(probability=0.3),
    )
    body = mm.TransformerBlock(16, heads=2, layers=1, max_length=20, dropout=0.0)
    output = mm.CategoricalOutput(weight_tying=True, bias=True, top_ks=(5,))
    return mm.ReplacedItemModel(inputs, body, output, **options)  # type: ignore[arg-type]


def _planned(model: mm.Model) -> mm.Batch:
    return model.inputs.for_training(session_batch(), generator=torch.Generator().manual_seed(1))


def test_the_discriminator_sees_the_drawn_items_and_no_other_list() -> None:
    model = _model()
    planned = _planned(model)
    assert planned.plan is not None
    ids = planned.padded("item_id")
    drawn = torch.full((int(planned.plan.targeted.sum()),), 30)
    shown = model.with_replaced(planned, drawn)
    assert torch.equal(shown.padded("item_id"), torch.where(planned.plan.targeted, 30, ids))
    for name in ("category", "age", "price"):
        assert planned.padded(name).any()
        assert not shown.padded(name).any()
    assert torch.equal(shown["country"], planned["country"])  # type: ignore[arg-type]


def test_the_detection_loss_by_hand() -> None:
    model = _model()
    planned = _planned(model)
    drawn = model.drawn(model.body(planned), planned, generator=torch.Generator().manual_seed(2))
    shown = model.with_replaced(planned, drawn)
    assert planned.plan is not None
    hidden = model.body(shown)
    losses = []
    ids, seen = planned.padded("item_id"), shown.padded("item_id")
    for row, length in enumerate(planned.plan.lengths.tolist()):
        for step in range(length):
            chance = model.detector(hidden[row, step]).sigmoid()[0]
            fake = bool(ids[row, step] != seen[row, step])
            losses.append(-(chance if fake else 1 - chance).log())
    assert any(bool(x) for x in (ids != seen).flatten())
    torch.testing.assert_close(model.detection_loss(planned, drawn), torch.stack(losses).mean())


def test_the_training_loss_is_the_weighted_sum_and_reaches_every_weight() -> None:
    model = _model(detection_weight=3.0)
    model.log = lambda *_, **__: None  # type: ignore[method-assign]
    model.eval()  # no dropout here, so that the parts can be computed one by one
    loss = model.training_step(session_batch(), 0)
    generator = model._generator(0)
    planned = model.inputs.for_training(session_batch(), generator=generator)
    hidden = model.body(planned)
    detection = model.detection_loss(planned, model.drawn(hidden, planned, generator=generator))
    torch.testing.assert_close(loss, model.output.loss(hidden, planned) + 3 * detection)
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


def test_draws_are_neither_padding_nor_given_a_gradient() -> None:
    model = _model()
    with torch.no_grad():
        model.output.bias[0] = 1e6  # type: ignore[index]
    planned = _planned(model)
    hidden = model.body(planned)
    drawn = model.drawn(hidden, planned, generator=torch.Generator().manual_seed(0))
    assert drawn.min() >= 1
    assert not drawn.requires_grad
    again = model.drawn(hidden, planned, generator=torch.Generator().manual_seed(0))
    assert torch.equal(drawn, again)


def test_saved_and_loaded_it_answers_the_same(tmp_path: Path) -> None:
    model = _model(detection_weight=7.0)
    model.save(tmp_path / "model")
    again = mm.load(tmp_path / "model")
    assert isinstance(again, mm.ReplacedItemModel)
    assert again.detection_weight == 7.0
    planned = _planned(model)
    drawn = torch.ones(int(planned.plan.targeted.sum()), dtype=torch.int64)  # type: ignore[union-attr]
    model.eval()
    again.eval()
    torch.testing.assert_close(again.detection_loss(planned, drawn), model.detection_loss(planned, drawn))
    torch.testing.assert_close(again(session_batch()), model(session_batch()))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_it_learns_to_find_what_does_not_belong() -> None:
    # Sessions count upwards, so that a foreign item shows.
    torch.manual_seed(0)
    schema = mm.Schema([categorical("item_id", 12, mm.Tags.ITEM_ID)])
    starts = torch.arange(64) % 6 + 1
    items = (starts[:, None] + torch.arange(6)).flatten()
    batch = mm.Batch({"item_id": mm.Ragged(items, torch.arange(65) * 6)})
    inputs = mm.TabularInputBlock(schema, embedding_dim=16, masking=mm.ReplacedMasking(), init_std=0.5)
    body = mm.TransformerBlock(16, heads=2, layers=2, max_length=8, dropout=0.0)
    model = mm.ReplacedItemModel(inputs, body, mm.CategoricalOutput(weight_tying=True, top_ks=(1,)))
    optimizer = torch.optim.Adam(model.parameters(), 0.005)
    generator = torch.Generator().manual_seed(4)

    def replaced() -> tuple[mm.Batch, torch.Tensor]:
        # Uniform draws, because those of a model that names every item well replace nothing.
        planned = model.inputs.for_training(batch, generator=generator)
        return planned, torch.randint(1, 13, (model.output.count(planned),), generator=generator)

    for _ in range(150):
        optimizer.zero_grad()
        planned, drawn = replaced()
        naming = model.output.loss(model.body(planned), planned)
        (naming + 5 * model.detection_loss(planned, drawn)).backward()
        optimizer.step()
    shown = model.with_replaced(*replaced())
    assert shown.plan is not None
    chances = model.detector(shown.plan.queries(model.body(shown)))[:, 0].sigmoid()
    truth = shown.plan.items().bool()
    assert ((chances > 0.5) == truth).float().mean() > 0.85
    assert chances[truth].mean() > 4 * chances[~truth].mean()
    # And the same body names what is hidden.
    assert naming < 0.3


def test_another_masking_output_or_weight_is_refused() -> None:
    inputs = mm.TabularInputBlock(session_schema(), masking=mm.RandomMasking())
    with pytest.raises(ValueError, match="the masking is RandomMasking, expected ReplacedMasking"):
        mm.ReplacedItemModel(inputs, mm.CategoricalOutput(top_ks=(5,)))
    with pytest.raises(ValueError, match="detection_weight must be positive, got 0"):
        _model(detection_weight=0.0)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_stock_trainer_trains_it() -> None:
    model = _model()
    before = model.detector[1].weight.detach().clone()
    loader = mm.ParquetLoader(session_table(40), session_schema(), batch_size=20)
    trainer = lightning.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, loader)
    assert (model.detector[1].weight != before).any()
    assert 0 < trainer.callback_metrics["train_detection_loss"] < 5


def test_under_several_processes_each_loss_counts_by_its_own_targets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = _model(detection_weight=3.0)
    batch = session_batch()
    shared: list[int] = []

    def share(self: mm.Model, count: int, batch: mm.Batch) -> torch.Tensor:
        shared.append(count)
        return torch.tensor(float(len(shared)))  # 1 for naming, 2 for detection

    logged: dict[str, torch.Tensor] = {}
    monkeypatch.setattr(mm.Model, "_single", property(lambda self: False))
    monkeypatch.setattr(mm.Model, "_share", share)
    monkeypatch.setattr(
        mm.Model, "_generator", lambda self, batch_idx: torch.Generator().manual_seed(batch_idx)
    )
    monkeypatch.setattr(model, "log", lambda name, value, **options: logged.update({name: value}))
    loss = model.training_step(batch, 0)
    plan = model.inputs.for_training(batch, generator=torch.Generator().manual_seed(0)).plan
    assert plan is not None
    assert shared == [int(plan.targeted.sum()), int(plan.lengths.sum())]
    detection = 3 * logged["train_detection_loss"]
    naming = logged["train_loss"] - detection
    torch.testing.assert_close(loss.detach(), naming + 2 * detection)
