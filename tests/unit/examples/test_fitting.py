"""A training run ends with the weights it should, and tells what it does."""

from pathlib import Path

import pytest
import torch

import merlin_models_torch as mm
from merlin_models_torch.examples.fitting import fit, show_table


def prepared(folder: Path, split: str | None) -> mm.data.SessionFiles:
    events = mm.data.generate_sessions(80, 20, max_length=6)
    return mm.data.sessions_from_events(events, folder, user="session_id", time="timestamp", split=split)


def model_of(files: mm.data.SessionFiles) -> mm.Model:
    # So large a rate that a later epoch is not always better than an earlier one.
    optimizer = mm.OptimizerConfig(lr=0.3)
    return mm.SessionModel(
        files, dim=8, layers=1, metrics=("ndcg",), top_ks=(5,), optimizer=optimizer, max_sequence_length=6
    )


def test_it_ends_with_the_best_weights_of_validation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = prepared(tmp_path / "data", "leave-one-out")
    data = mm.SessionDataModule(files, batch_size=16)
    model = model_of(files)
    trainer, minutes = fit(model, data, folder=tmp_path / "best", epochs=4, metric="ndcg_at_5", clip=1.0)
    (best,) = (tmp_path / "best").glob("*.ckpt")
    saved = torch.load(best, weights_only=True)["state_dict"]
    assert all(torch.equal(value, saved[name]) for name, value in model.state_dict().items())
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch")]
    told = [float(line.split("NDCG@5 ")[1].split()[0]) for line in lines]
    assert len(told) == 4
    measured = trainer.validate(model, datamodule=data, verbose=False)[0]["val_ndcg_at_5"]
    assert measured == pytest.approx(max(told), abs=5e-4)
    assert 0 < minutes < 10


def test_without_validation_it_tells_each_epoch_and_keeps_the_last_weights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = prepared(tmp_path / "data", None)
    model = model_of(files)
    data = mm.SessionDataModule(files, batch_size=16)
    fit(model, data, folder=tmp_path / "best", epochs=2, metric="ndcg_at_5")
    told = [line.split("   ")[0] for line in capsys.readouterr().out.splitlines() if line[:5] == "epoch"]
    assert told == ["epoch", "epoch"]
    assert not (tmp_path / "best").exists()


def test_a_table_has_a_line_for_each_system(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(["HR@5", "MRR@5"], [("ours", (50.126, 7)), ("theirs", (1, 0.5))], digits=2)
    header, *rows = capsys.readouterr().out.splitlines()[1:]
    assert header.split() == ["HR@5", "MRR@5"]
    assert [row.split() for row in rows] == [["ours", "50.13", "7.00"], ["theirs", "1.00", "0.50"]]
