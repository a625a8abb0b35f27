"""Early stopping and best checkpoints by every metric's name; wrong names are refused before training."""

from pathlib import Path

import pytest
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint

import merlin_models_torch as mm
from merlin_models_torch.outputs import BinaryOutput, RegressionOutput
from merlin_models_torch.training import ScheduleConfig
from tests.unit.clicks import click_schema, click_table
from tests.unit.schemas import session_schema
from tests.unit.sessions import session_model, session_table
from tests.unit.training.loops import click_model, fitted
from tests.unit.training.test_model import trainer


def clicks() -> mm.ParquetLoader:
    return mm.ParquetLoader(click_table(40), click_schema(), batch_size=20)


def sessions() -> mm.ParquetLoader:
    return mm.ParquetLoader(session_table(), session_schema(), batch_size=12)


def tabular(output: torch.nn.Module) -> mm.Model:
    return mm.Model(mm.TabularInputBlock(click_schema(), embedding_dim=4), mm.MLPBlock([8]), output)


def towers() -> mm.Model:
    output = mm.TwoTowerOutput(click_schema()["item_id"], top_ks=(2,))
    return mm.MatrixFactorizationModel(click_schema().select_by_name(["user_id", "item_id"]), output=output)


MODELS = {
    "ranking": (session_model, sessions, 6),
    "binary": (lambda: tabular(BinaryOutput("click")), clicks, 3),
    "regression": (lambda: tabular(RegressionOutput("rating")), clicks, 3),
    "several": (
        lambda: tabular(mm.TabularOutputBlock([BinaryOutput("click"), RegressionOutput("rating")])),
        clicks,
        7,
    ),
    "contrastive": (
        lambda: mm.Model(
            mm.TabularInputBlock(session_schema(), masking=mm.CausalMasking()),
            mm.MLPBlock([8]),
            mm.ContrastiveOutput(top_ks=(3,)),
        ),
        sessions,
        4,
    ),
    "two towers": (towers, clicks, 4),
}


@pytest.mark.parametrize("kind", MODELS)
def test_each_name_that_is_logged_can_be_looked_at(kind: str, tmp_path: Path) -> None:
    build, data, least = MODELS[kind]
    torch.manual_seed(0)
    model = build()
    names = [name for name in model.metric_names if not name.startswith("test_")]
    assert len(set(names)) == len(names) >= least
    checkpoints = [
        ModelCheckpoint(tmp_path / name, monitor=name, filename=f"{{{name}}}", auto_insert_metric_name=False)
        for name in names
    ]
    stops = [EarlyStopping(name, patience=9) for name in names]
    run = trainer(max_epochs=1, callbacks=[*checkpoints, *stops], enable_checkpointing=True)
    run.fit(model, data(), data())
    logged = {name: value.item() for name, value in run.callback_metrics.items()}
    assert set(names) == set(logged)
    for name, checkpoint, stop in zip(names, checkpoints, stops, strict=True):
        assert checkpoint.best_model_score == pytest.approx(logged[name])
        assert stop.best_score == pytest.approx(logged[name])
    tested = trainer().test(model, data(), verbose=False)[0]
    assert set(tested) == {name for name in model.metric_names if name.startswith("test_")}


@pytest.mark.parametrize("callback", [EarlyStopping, ModelCheckpoint])
def test_a_wrong_name_is_refused_before_training_with_those_that_there_are(
    callback: type[EarlyStopping] | type[ModelCheckpoint], tmp_path: Path
) -> None:
    model = click_model()
    before = [p.clone() for p in model.parameters()]
    looking = callback(monitor="val_auc")
    text = r"looks at 'val_auc', which is not logged: choose one of train_loss, val_loss, .*val_click_auc"
    with pytest.raises(ValueError, match=f"{callback.__name__} {text}"):
        fitted(model, validate=True, callbacks=[looking], enable_checkpointing=True)
    with pytest.raises(ValueError, match="which is not logged"):
        fitted(model, validate=True, callbacks=[EarlyStopping("test_loss")])
    with pytest.raises(ValueError, match="looks at 'val_loss', but there is no validation data"):
        fitted(model, callbacks=[callback(monitor="val_loss")], enable_checkpointing=True)
    model.optimizer = mm.OptimizerConfig(schedule=ScheduleConfig("ReduceLROnPlateau", monitor="val_los"))
    with pytest.raises(ValueError, match="ReduceLROnPlateau looks at 'val_los', which is not logged"):
        fitted(model, validate=True)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_what_someone_else_logs_is_named_in_the_model(tmp_path: Path) -> None:
    class Logging(Callback):
        def on_validation_epoch_end(self, trainer: object, pl_module: mm.Model) -> None:
            pl_module.log("val_revenue", 3.0)

    model = click_model()
    stop = EarlyStopping("val_revenue", mode="max")
    with pytest.raises(ValueError, match="is to be named in the model's also_logged"):
        fitted(model, validate=True, callbacks=[Logging(), stop])
    model.also_logged = ("val_revenue",)
    fitted(model, validate=True, callbacks=[Logging(), stop])
    assert stop.best_score == 3.0
    # These names are checkpoints' own, and one who is not strict may look for what is not there.
    by_step = ModelCheckpoint(tmp_path, monitor="step", mode="max")
    lax = EarlyStopping("nothing", strict=False)
    fitted(model, validate=True, callbacks=[by_step, lax], enable_checkpointing=True)
    assert by_step.best_model_score == model.trainer.global_step
