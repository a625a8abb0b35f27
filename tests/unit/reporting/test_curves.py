"""Metrics of training from a CSVLogger in every form, and from points."""

from pathlib import Path

import lightning
import pytest
from lightning.pytorch.loggers import CSVLogger

import merlin_models_torch as mm
from merlin_models_torch.reporting.curves import curve_figures, read_curves
from tests.unit.sessions import session_model, session_table


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[lightning.Trainer, Path]:
    folder = tmp_path_factory.mktemp("logs")
    model, table = session_model(), session_table(24)
    trainer = lightning.Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=CSVLogger(folder),
        log_every_n_steps=1,
        enable_progress_bar=False,
        enable_checkpointing=False,
        enable_model_summary=False,
    )
    loader = mm.ParquetLoader(table, model.schema, batch_size=8)
    trainer.fit(model, loader, loader)
    return trainer, folder


def test_every_form_of_a_logger_gives_the_same(trained: tuple[lightning.Trainer, Path]) -> None:
    trainer, folder = trained
    file = next(folder.glob("**/metrics.csv"))
    curves, x_label = read_curves(trainer)
    assert x_label == "steps done"
    assert [x for x, _ in curves["train_loss"]] == [0, 1, 2, 3, 4, 5]
    assert [x for x, _ in curves["val_loss"]] == [2, 5]
    assert curves["val_recall_at_5"][-1][1] == pytest.approx(
        float(trainer.callback_metrics["val_recall_at_5"])
    )
    for form in (trainer.logger, folder, str(folder), file):
        assert read_curves(form) == (curves, x_label)


def test_losses_share_a_figure_and_metrics_have_their_own(trained: tuple[lightning.Trainer, Path]) -> None:
    curves, x_label = read_curves(trained[0])
    figures = curve_figures(curves, x_label=x_label)
    assert "<b>Loss</b>" in figures[0]
    assert "train_loss" in figures[0]
    assert "val_loss" in figures[0]
    assert [one.partition("<b>")[2].partition("</b>")[0] for one in figures[1:]] == [
        "NDCG@10",
        "NDCG@5",
        "Recall@10",
        "Recall@5",
    ]
    assert "val_ndcg_at_10, on validation data" in figures[1]
    only = curve_figures({"val_loss": [(1, 2.0)], "val_own": [(1, 1.0)]}, x_label="epochs")
    assert "val_loss, lower is better" in only[0]
    assert "<b>val_own</b> on validation data" in only[1]


def test_the_latest_run_of_a_folder_counts(tmp_path: Path) -> None:
    import os

    for number, value in (("version_0", 1.0), ("version_1", 2.0)):
        (tmp_path / number).mkdir()
        (tmp_path / number / "metrics.csv").write_text(f"epoch,step,val_loss\n0,1,{value}\n")
        os.utime(tmp_path / number / "metrics.csv", (number == "version_1", number == "version_1"))
    assert read_curves(tmp_path)[0] == {"val_loss": [(1.0, 2.0)]}


def test_long_curves_are_thinned_by_means(tmp_path: Path) -> None:
    lines = "\n".join(f"{step},{step % 2}" for step in range(10_000))
    (tmp_path / "metrics.csv").write_text(f"step,train_loss\n{lines}\n")
    points = read_curves(tmp_path / "metrics.csv")[0]["train_loss"]
    assert 300 < len(points) <= 801
    assert all(y == 0.5 for _, y in points[:-1])
    assert points[0][0] < points[-1][0]


def test_numbers_that_are_not_finite_are_left_out() -> None:
    points = [(0, 1.0), (1, float("nan")), (2, float("inf")), (3, 2.0)]
    assert read_curves({"loss": points})[0] == {"loss": [(0.0, 1.0), (3.0, 2.0)]}


def test_what_holds_no_curves_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"curves names .*, which is no metrics\.csv and no folder that holds one"
    ):
        read_curves(tmp_path)
    (tmp_path / "metrics.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"has the columns \['a', 'b'\], expected step or epoch and metrics"):
        read_curves(tmp_path)
    (tmp_path / "metrics.csv").write_text("step,val_loss\n1,high\n")
    with pytest.raises(ValueError, match="has 'high' at '1', expected numbers"):
        read_curves(tmp_path)
    with pytest.raises(
        ValueError, match=r"the Trainer has the loggers \[\], and curves are read from a CSVLog"
    ):
        read_curves(lightning.Trainer(logger=False, accelerator="cpu", enable_checkpointing=False))
    with pytest.raises(
        TypeError, match="curves is a int, expected a CSVLogger, its folder, a Trainer with one"
    ):
        read_curves(3)
    with pytest.raises(ValueError, match=r"the curve 'loss' holds .*, expected pairs of numbers"):
        read_curves({"loss": [1.0, 2.0]})


def test_files_of_tensorboard_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "version_0" / "events.out.tfevents.1.host.1.0"
    path.parent.mkdir()
    path.write_bytes(bytes(24))
    for given in (path, path.parent, tmp_path):
        with pytest.raises(
            ValueError, match=r"which TensorBoard's logger wrote, .*CSVLogger writes: .* in a dict"
        ):
            read_curves(given)
