"""The whole model: its laws, training by a stock Trainer, answers as a table."""

from pathlib import Path

import lightning
import pyarrow as pa
import pytest
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

import merlin_models_torch as mm
from tests.unit.schemas import ITEMS, categorical, session_schema
from tests.unit.sessions import session_batch, session_model, session_table

MASKINGS = [mm.CausalMasking(), mm.CausalMasking(targets="last"), mm.RandomMasking(probability=0.4)]
BODIES = ["transformer", "xlnet"]


def trainer(**options: object) -> lightning.Trainer:
    quiet: dict[str, object] = {
        "accelerator": "cpu",
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    return lightning.Trainer(**{**quiet, **options})  # type: ignore[arg-type]


def loader(table: pa.Table | None = None, **options: object) -> mm.ParquetLoader:
    data = session_table() if table is None else table
    return mm.ParquetLoader(data, session_schema(), batch_size=8, **options)  # type: ignore[arg-type]


def without_last(batch: mm.Batch) -> mm.Batch:
    shorter = {
        name: mm.Ragged.from_padded(column.padded(), column.lengths - 1)
        for name, column in batch.features.items()
        if isinstance(column, mm.Ragged)
    }
    return batch.with_features(shorter)


@pytest.mark.parametrize("masking", MASKINGS)
@pytest.mark.parametrize("body", BODIES)
def test_evaluation_equals_prediction_without_the_last_item(masking: mm.Masking, body: str) -> None:
    torch.manual_seed(0)
    model = session_model(masking, body=body).eval()
    batch = session_batch()
    planned = model.inputs.for_evaluation(batch)
    evaluated = model.output(model.body(planned), planned)
    torch.testing.assert_close(evaluated, model(without_last(batch)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("masking", MASKINGS)
@pytest.mark.parametrize("limit", [1, 3])
def test_evaluation_equals_prediction_also_where_sessions_are_cut(masking: mm.Masking, limit: int) -> None:
    torch.manual_seed(0)
    model = session_model(masking).eval()
    model.inputs.max_sequence_length = limit
    batch = session_batch()
    planned = model.inputs.for_evaluation(batch)
    evaluated = model.output(model.body(planned), planned)
    torch.testing.assert_close(evaluated, model(without_last(batch)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("masking", MASKINGS)
@pytest.mark.parametrize("body", BODIES)
def test_more_padding_changes_no_answer_and_no_loss(masking: mm.Masking, body: str) -> None:
    torch.manual_seed(0)
    model = session_model(masking, body=body).eval()
    batch = session_batch()
    outputs = []
    for width in (None, 15):
        model.inputs.pad_to = width
        planned = model.inputs.for_evaluation(batch)
        outputs.append((model(batch), model.output.loss(model.body(planned), planned)))
    torch.testing.assert_close(outputs[0], outputs[1], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("body", BODIES)
def test_the_target_of_evaluation_influences_nothing(body: str) -> None:
    torch.manual_seed(0)
    for masking in MASKINGS:
        model = session_model(masking, body=body).eval()
        batch = session_batch()
        items = batch["item_id"]
        assert isinstance(items, mm.Ragged)
        changed = items.values.clone()
        changed[items.offsets[1:] - 1] = 1
        other = batch.with_features({"item_id": mm.Ragged(changed, items.offsets)})
        logits = []
        for given in (batch, other):
            planned = model.inputs.for_evaluation(given)
            logits.append(model.output(model.body(planned), planned))
        torch.testing.assert_close(logits[0], logits[1], atol=1e-6, rtol=0)


def test_training_learns_what_comes_next(tmp_path: Path) -> None:
    # Each item is followed by the next number: a model that learns at all gets this right.
    starts = torch.arange(1, 22)
    table = pa.table(
        {
            "item_id": [list(range(s, s + 6)) for s in starts.tolist()],
            "category": [[1] * 6] * 21,
            "age": pa.array([[0.0] * 6] * 21, pa.list_(pa.float32())),
            "price": pa.array([[0.0] * 6] * 21, pa.list_(pa.float32())),
            "country": [1] * 21,
        }
    )
    torch.manual_seed(0)
    model = session_model()
    model.optimizer = mm.OptimizerConfig(lr=0.02, schedule="linear")
    checkpoint = ModelCheckpoint(tmp_path, monitor="val_ndcg_at_5", mode="max")
    stop = EarlyStopping("val_recall_at_5", mode="max", stopping_threshold=1.0, patience=99)
    run = trainer(max_epochs=60, callbacks=[checkpoint, stop], enable_checkpointing=True)
    run.fit(model, loader(table, shuffle=True), loader(table))
    figures = run.validate(model, loader(table), verbose=False)[0]
    assert figures["val_recall_at_5"] > 0.9
    assert figures["val_loss"] < 1.5
    assert Path(checkpoint.best_model_path).is_file()
    answers = model.predict(table, k=1)
    hits = [
        row["item_id"] == [start + 6] for start, row in zip(starts.tolist(), answers.to_pylist(), strict=True)
    ]
    assert sum(hits) >= 15


def test_evaluation_does_not_depend_on_how_rows_are_batched() -> None:
    torch.manual_seed(0)
    model = session_model()
    figures = []
    for size in (24, 7):
        data = mm.ParquetLoader(session_table(), session_schema(), batch_size=size)
        figures.append(trainer().test(model, data, verbose=False)[0])
    assert figures[0].keys() == figures[1].keys() >= {"test_loss", "test_recall_at_5", "test_ndcg_at_10"}
    assert figures[0] == pytest.approx(figures[1], abs=1e-5)


def fresh() -> mm.Model:
    torch.manual_seed(0)
    model = session_model(mm.RandomMasking())
    model.optimizer = mm.OptimizerConfig(schedule="cosine", warmup_steps=2)
    return model


def test_the_same_seed_gives_the_same_weights() -> None:
    models = [fresh(), fresh(), fresh()]
    models[2].seed = 1
    for model in models:
        torch.manual_seed(1)
        trainer(max_epochs=2).fit(model, loader(shuffle=True))
    first, second, other = (torch.cat([p.detach().flatten() for p in m.parameters()]) for m in models)
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_a_resumed_run_ends_as_one_that_was_never_stopped(tmp_path: Path) -> None:
    whole, stopped, resumed = fresh(), fresh(), fresh()
    torch.manual_seed(1)
    trainer(max_epochs=4).fit(whole, loader(shuffle=True))
    # The schedule is over four epochs for both; the run is cut off after two.
    cut = trainer(max_epochs=4)
    path = tmp_path / "cut.ckpt"

    class Stop(lightning.pytorch.callbacks.Callback):
        def on_train_epoch_end(
            self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
        ) -> None:
            if trainer.current_epoch == 1:
                trainer.should_stop = True

    cut.callbacks.append(Stop())
    torch.manual_seed(1)
    cut.fit(stopped, loader(shuffle=True))
    cut.save_checkpoint(path)
    torch.manual_seed(2)
    trainer(max_epochs=4).fit(resumed, loader(shuffle=True), ckpt_path=path, weights_only=True)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(whole.parameters(), stopped.parameters(), strict=True))


def test_answers_carry_keys_original_ids_and_falling_scores() -> None:
    torch.manual_seed(0)
    model = session_model()
    model.vocabularies["item_id"] = mm.Vocabulary(pa.array([f"item {n}" for n in range(2, ITEMS + 1)]))
    answers = model.predict(loader(shuffle=True), k=4, keys=["user_id"])
    assert answers["user_id"].to_pylist() == [f"user {n}" for n in range(24)]
    assert {item for row in answers["item_id"].to_pylist() for item in row} <= {
        f"item {n}" for n in range(2, 31)
    }
    for scores in answers["score"].to_pylist():
        assert scores == sorted(scores, reverse=True)
    scores, rows = model.eval().topk(session_batch(), k=4)
    assert answers["item_id"].to_pylist() == [[f"item {n}" for n in row] for row in rows.tolist()]
    torch.testing.assert_close(torch.tensor(answers["score"].to_pylist()), scores, atol=1e-5, rtol=0)


def test_rows_are_numbered_where_there_are_no_keys() -> None:
    answers = session_model().predict(session_table(), k=1)
    assert answers.column_names == ["row", "item_id", "score"]
    assert answers["row"].to_pylist() == list(range(24))


def test_k_beyond_the_catalogue_is_refused_before_anything_is_computed() -> None:
    model = session_model()
    with pytest.raises(ValueError, match="k has 31, but the catalogue holds 30 items that can be answers"):
        model.predict(session_table(), k=31)
    model.vocabularies["item_id"] = mm.Vocabulary(pa.array(range(2, ITEMS + 1)))
    with pytest.raises(ValueError, match="the catalogue holds 29 items"):
        model.predict(session_table(), k=30)


def test_a_model_without_inputs_or_output_is_refused() -> None:
    with pytest.raises(ValueError, match="an output as the last of them"):
        mm.Model(mm.MLPBlock([3]), mm.MLPBlock([3]))
    with pytest.raises(ValueError, match="needs a TabularInputBlock"):
        mm.Model(mm.MLPBlock([3]), mm.CategoricalOutput())


def test_a_loaded_model_is_trained_on_in_train_mode_but_for_parts_in_eval(tmp_path: Path) -> None:
    class Modes(lightning.Callback):
        def on_train_batch_start(self, trainer: object, model: mm.Model, *rest: object) -> None:
            self.learning = {name for name, module in model.named_modules() if module.training}

    modes = Modes()
    session_model().save(tmp_path / "model")
    loaded = mm.load(tmp_path / "model")
    assert not loaded.training
    trainer(max_epochs=1, callbacks=[modes]).fit(loaded, loader())
    assert modes.learning == {name for name, _ in loaded.named_modules()}
    loaded.body.layers[0].eval()
    with pytest.warns(UserWarning, match="in eval mode at the start of training"):
        trainer(max_epochs=1, callbacks=[modes]).fit(loaded, loader())
    frozen = {name for name, _ in loaded.named_modules() if name.startswith("body.layers.0")}
    assert modes.learning == {name for name, _ in loaded.named_modules()} - frozen


def test_a_checkpoint_of_lightning_is_no_folder() -> None:
    with pytest.raises(ValueError, match=r"checkpoints hold none: build the model and give ckpt_path="):
        mm.Model()


def test_sessions_of_one_item_alone_are_refused_and_beside_others_are_not() -> None:
    table = session_table()
    alone = pa.table(
        {
            name: [row[:1] if isinstance(row, list) else row for row in table[name].to_pylist()]
            for name in table.column_names
        },
        schema=table.schema,
    )
    model = session_model()
    with pytest.raises(ValueError, match="no row of the train data gave a target: a session needs two items"):
        trainer(max_epochs=2).fit(model, loader(alone))
    with pytest.raises(ValueError, match="no row of the val data gave a target"):
        trainer().validate(model, loader(alone), verbose=False)
    with pytest.raises(ValueError, match="no row of the test data gave a target"):
        trainer().test(model, loader(alone), verbose=False)
    model = session_model()
    with pytest.warns(UserWarning, match="no row of the val data gave a target"):
        trainer(max_epochs=1).fit(model, loader(), loader(alone))
    mixed = pa.concat_tables([alone, table])
    trainer(max_epochs=1).fit(model, loader(mixed))
    whole = trainer().validate(model, loader(table), verbose=False)[0]
    assert trainer().validate(model, loader(mixed), verbose=False)[0] == pytest.approx(whole, rel=1e-5)


def test_cut_offs_that_nobody_gave_fit_a_small_catalogue(tmp_path: Path) -> None:
    small = categorical("item_id", 15, mm.Tags.ITEM_ID)
    inputs = mm.TabularInputBlock(
        mm.Schema([small]), embedding_dim=4, masking=mm.CausalMasking(), max_sequence_length=6
    )
    model = mm.Model(inputs, mm.MLPBlock([4]), mm.CategoricalOutput(weight_tying=True))
    assert model.output.top_ks == (10, 15)
    assert "val_recall_at_15" in model.metric_names
    model.save(tmp_path / "model")
    assert mm.load(tmp_path / "model").output.top_ks == (10, 15)
    named = {"item_id": mm.Vocabulary(pa.array(list("abcdefgh")), first=8)}
    output = mm.CategoricalOutput(weight_tying=True)
    assert mm.Model(inputs, mm.MLPBlock([4]), output, vocabularies=named).output.top_ks == (8,)


def test_what_does_not_fit_together_is_refused_when_built() -> None:
    inputs = mm.TabularInputBlock(session_schema(), masking=mm.CausalMasking(), max_sequence_length=20)
    output = mm.CategoricalOutput(top_ks=(40,))
    with pytest.raises(ValueError, match=r"max_length.*10"):
        mm.Model(inputs, mm.TransformerBlock(194, heads=2, layers=1, max_length=10), mm.CategoricalOutput())
    with pytest.raises(ValueError, match="top_ks has 40, but the catalogue holds 30 items"):
        mm.Model(inputs, mm.MLPBlock([8]), output)
    with pytest.raises(ValueError, match="needs a masking: give it to the TabularInputBlock"):
        mm.Model(mm.TabularInputBlock(session_schema()), mm.MLPBlock([8]), mm.CategoricalOutput())
    with pytest.raises(ValueError, match="embedding_dim names 'itemid', but the domains are"):
        mm.TabularInputBlock(session_schema(), embedding_dim={"itemid": 3})


def test_everything_has_its_size_at_once() -> None:
    model = session_model()
    assert not [name for name, p in model.named_parameters() if torch.nn.parameter.is_lazy(p)]
    assert set(model.state_dict()) == {n for n, _ in [*model.named_parameters(), *model.named_buffers()]}
