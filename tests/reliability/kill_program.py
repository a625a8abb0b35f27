"""``python -m tests.reliability.kill_program FOLDER``: tries every scenario and prints the reports as JSON.

One process that has imported everything starts the ones that are killed.
"""

import dataclasses
import hashlib
import json
import sys
import warnings
import zipfile
from functools import partial
from importlib import import_module
from pathlib import Path
from unittest import mock
from xml.etree import ElementTree

import lightning
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

import merlin_models_torch as mm
from merlin_models_torch.distributed import load_checkpoint, save_checkpoint
from merlin_models_torch.exporting import reader
from tests.reliability.killing import Scenario, State, tried
from tests.unit.models.ranking import CLICK
from tests.unit.sessions import session_model, session_table

# The function has the name of its module.
exporting = import_module("merlin_models_torch.exporting.export")


def model(seed: int) -> mm.Model:
    """A small model."""
    torch.manual_seed(seed)
    made = session_model().eval()
    made.vocabularies["item_id"] = mm.Vocabulary(pa.array([f"item {n}" for n in range(29)]))
    return made


def digest(*parts: bytes) -> str:
    """A digest of some bytes."""
    return hashlib.sha256(b"".join(parts)).hexdigest()


def saved(folder: Path) -> State:
    """The model that is there."""
    if not (folder / "model").exists():
        return {}
    weights = mm.load(folder / "model").state_dict()
    return {"model": digest(*(name.encode() + value.numpy().tobytes() for name, value in weights.items()))}


def checkpointed(folder: Path) -> State:
    """The distributed checkpoint that is there."""
    if not (folder / "checkpoint").exists():
        return {}
    found = model(9)
    load_checkpoint(folder / "checkpoint", found)
    parts = [name.encode() + value.numpy().tobytes() for name, value in found.state_dict().items()]
    return {"checkpoint": digest(*parts)}


def exported(folder: Path) -> State:
    """The export that is there; every byte of it is compared with its manifest."""
    place = folder / "exported"
    if not place.exists():
        return {}
    files = reader._check_files(place)
    assert files == {"signature.json", "model.pt2"}
    with zipfile.ZipFile(place / "model.pt2") as archive:
        parts = [f"{one.filename} {one.CRC}".encode() for one in archive.infolist()]
    return {"export": digest((place / "signature.json").read_bytes(), *parts)}


def answered(folder: Path) -> State:
    """The files of answers that are there."""
    found = {}
    for path in sorted((folder / "answers").glob("[!.]*")):
        assert pq.read_table(path).num_rows
        found[path.name] = digest(path.read_bytes())
    return found


def prepared(folder: Path) -> State:
    """The sessions that are there."""
    if not (folder / "sessions").exists():
        return {}
    files = mm.data.SessionFiles.load(folder / "sessions")
    parts = [path.read_bytes() for path in (*files.train, *files.valid, *files.test)]
    return {"sessions": digest(*parts, repr(files.counts).encode())}


def rewritten(folder: Path) -> State:
    """The programs that are there."""
    found = {}
    for path in sorted(folder.glob("[!.]*.py")):
        compile(path.read_text(), path.name, "exec")
        found[path.name] = digest(path.read_bytes())
    return found


def reported(folder: Path) -> State:
    """The page that is there."""
    path = folder / "page" / "report.html"
    if not path.exists():
        return {}
    text = path.read_text(encoding="utf-8")
    ElementTree.fromstring(text.partition("\n")[2])
    return {"page": digest(text.encode())}


def trained(folder: Path) -> State:
    """The checkpoint that is there, of whatever step, and the model that training ends with."""
    found = saved(folder)
    if (folder / "last.ckpt").exists():
        assert torch.load(folder / "last.ckpt", weights_only=True)["state_dict"]
        found["checkpoint"] = "whole"
    return found


def _train(folder: Path) -> None:
    """Eight steps, a checkpoint after every third, from the last one on; then the model is saved."""
    made = model(3)
    last = folder / "last.ckpt"
    trainer = lightning.Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        callbacks=[ModelCheckpoint(folder, every_n_train_steps=3, save_top_k=1, filename="last")],
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    loader = mm.ParquetLoader(folder / "day-0.parquet", made.schema, batch_size=3, shuffle=True)
    trainer.fit(made, loader, ckpt_path=last if last.exists() else None, weights_only=True)
    made.eval().save(folder / "model", overwrite=True)


def _rewrite(folder: Path) -> None:
    from merlin_migrate.cli import main

    with mock.patch("sys.stderr"), mock.patch("sys.stdout"):
        assert main(["rewrite", "--write", str(folder)]) in (0, 1)


def _programs(folder: Path) -> None:
    for name, blocks in {"one": "[tr.MLPBlock([4])]", "two": "[tr.MLPBlock([8, 4])]"}.items():
        text = f"import transformers4rec.torch as tr\n\nblock = tr.SequentialBlock(*{blocks})\n"
        (folder / f"{name}.py").write_text(text)


def _data(folder: Path) -> None:
    for number in range(3):
        pq.write_table(session_table(12, seed=number), folder / f"day-{number}.parquet", row_group_size=5)


def _sessions(folder: Path, *, seed: int) -> None:
    events = mm.data.generate_sessions(60, 30, clusters=3, seed=seed)
    mm.data.sessions_from_events(
        events, folder / "sessions", user="session_id", item="item_id", time="timestamp", overwrite=True
    )


def scenarios() -> dict[str, Scenario]:
    """What is killed."""
    old, new = model(0), model(1)
    torch.manual_seed(0)
    clicks = mm.DLRMModel(CLICK, embedding_dim=8, bottom=[8], top=[16])
    graph = exporting._graph(clicks, None, None, None, None, None, onnx=False)
    with torch.no_grad():
        program = exporting.trace(graph, clicks)

    def export(folder: Path) -> None:
        # Tracing takes a second, and writes nothing.
        with mock.patch.object(exporting, "trace", return_value=program):
            mm.export(clicks, folder / "exported", overwrite=True)

    def stepwise(folder: Path) -> None:
        with mock.patch("merlin_models_torch.storage.folder._exchanged", return_value=False):
            new.save(folder / "model", overwrite=True)

    return {
        "save": Scenario(lambda folder: None, partial(_save, new), saved, sized=3),
        "save over": Scenario(partial(_save, old), partial(_save, new), saved, every=3, timed=3),
        "save over, step by step": Scenario(partial(_save, old), stepwise, saved, every=2, sized=0, timed=0),
        "checkpoint": Scenario(lambda folder: None, partial(_checkpoint, new), checkpointed, every=2),
        "checkpoint over": Scenario(
            partial(_checkpoint, old), partial(_checkpoint, new), checkpointed, every=3
        ),
        "export": Scenario(lambda folder: None, export, exported),
        "export over": Scenario(export, export, exported, every=2, sized=0, timed=0),
        "predict": Scenario(_data, lambda folder: _predict(new, folder), answered, sized=4, timed=4),
        "rerank": Scenario(_data, lambda folder: _rerank(new, folder), answered, every=2),
        "report": Scenario(_data, partial(_report, new), reported),
        "report over": Scenario(partial(_report, old, data=True), partial(_report, new), reported, every=2),
        "prepare": Scenario(partial(_sessions, seed=0), partial(_sessions, seed=1), prepared, every=2),
        "rewrite": Scenario(_programs, _rewrite, rewritten, every=2),
        "train": Scenario(_data, _train, trained, every=4, sized=1, timed=2),
    }


def _save(made: mm.Model, folder: Path) -> None:
    made.save(folder / "model", overwrite=True)


def _checkpoint(made: mm.Model, folder: Path) -> None:
    save_checkpoint(folder / "checkpoint", made)


def _predict(made: mm.Model, folder: Path) -> None:
    files = [folder / f"day-{number}.parquet" for number in range(3)]
    made.predict_to_parquet(files, folder / "answers", k=3, keys=["user_id"], batch_size=5)


def _rerank(made: mm.Model, folder: Path) -> None:
    files = [folder / f"day-{number}.parquet" for number in range(3)]
    ids = ["item 4", "item 9", "item 20"]
    made.rerank_to_parquet(files, folder / "answers", ids, k=2, keys=["user_id"], batch_size=5)


def _report(made: mm.Model, folder: Path, *, data: bool = False) -> None:
    if data:
        _data(folder)
    mm.report(made, folder / "day-0.parquet", folder / "page", examples=1)


def main(folder: Path) -> None:
    """Tries them all."""
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    reports = {name: tried(name, one, folder / name) for name, one in scenarios().items()}
    print(json.dumps({name: dataclasses.asdict(report) for name, report in reports.items()}))  # noqa: T201


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(Path(sys.argv[1]))
