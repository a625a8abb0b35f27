"""``python -m tests.reliability.fuzz_program FOLDER FACTOR``: reads damaged files of every kind."""

import dataclasses
import hashlib
import json
import sys
import warnings
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch

import merlin_models_torch as mm
from merlin_models_torch.exporting import reader
from merlin_models_torch.inputs.vector_file import VectorFile
from merlin_models_torch.storage.manifest import own_digest
from tests.reliability.fuzzing import Target, outcome
from tests.unit.schemas import session_schema
from tests.unit.sessions import session_model, session_table


def targets(folder: Path, factor: int) -> dict[str, Target]:
    """What is read."""
    torch.manual_seed(0)
    model = session_model()
    model.vocabularies["item_id"] = mm.Vocabulary(pa.array([f"item {n}" for n in range(29)]))
    saved = model.save(folder / "model")
    rows, vocabulary = folder / "rows.parquet", folder / "words.parquet"
    pq.write_table(session_table(20), rows, row_group_size=8)
    mm.Vocabulary(pa.array([f"item {n}" for n in range(50)])).save(vocabulary)
    shared, lengths = folder / "shared.parquet", folder / "lengths.parquet"
    for path, encoding in ((shared, "DELTA_BYTE_ARRAY"), (lengths, "DELTA_LENGTH_BYTE_ARRAY")):
        how = {"use_dictionary": False, "column_encoding": {"value": encoding}}
        pq.write_table(pq.read_table(vocabulary), path, **how)
    named = folder / "named.parquet"
    codes = session_table(20)["item_id"].to_pylist()
    names = [[f"item {code - 2}" if code > 1 else None for code in row] for row in codes]
    pq.write_table(session_table(20).set_column(0, "item_id", pa.array(names)), named, row_group_size=8)
    events = folder / "events.parquet"
    pq.write_table(mm.data.generate_sessions(30, 20, seed=0), events)
    schema = session_schema()
    schema.save(folder / "schema.json")
    vectors = mm.inputs.vector_file.save_vectors(
        folder / "vectors.npy", torch.ones(9, 4), ids=range(9), vocabulary=mm.Vocabulary(pa.array(range(9)))
    )
    torch.manual_seed(0)
    from tests.compat.small import model as old_model
    from tests.unit.exporting.families import FAMILIES

    old = folder / "drop-in"
    old_model().save(old)
    exported = mm.export(FAMILIES["dlrm"].made(), folder / "exported") / "signature.json"
    from safetensors.torch import save_file

    save_file({"vectors": torch.ones(9, 4)}, folder / "vectors.safetensors")

    def loaded(path: Path) -> None:
        for _ in mm.ParquetLoader(path, schema, batch_size=7):
            pass

    def streamed(path: Path) -> None:
        for _ in mm.ParquetLoader(path, schema, batch_size=7, memory_limit=0):
            pass

    def answered(path: Path) -> None:
        model.predict(path, k=2, keys=["user_id"], batch_size=7)

    def named_ids(path: Path) -> None:
        model.predict(model.raw_ids(path), k=2, keys=["user_id"], batch_size=7)

    def seen(path: Path) -> None:
        model.predict(session_table(4), k=2, keys=["user_id"], seen=path, exclude_seen=True)

    def prepared(path: Path) -> None:
        mm.data.sessions_from_events(
            path, folder / "out", user="session_id", time="timestamp", overwrite=True
        )

    def dataset(path: Path) -> None:
        from merlin.io import Dataset

        Dataset(str(path), schema=schema).to_ddf().compute()

    def old_names(path: Path) -> None:
        from transformers4rec.torch.utils.data_utils import PyarrowDataLoader

        for _ in PyarrowDataLoader.from_schema(schema, str(path), 7, 5):
            pass

    def words(path: Path) -> None:
        found = mm.Vocabulary.load(path)
        found.decode(found.encode(found.values)).to_pylist()

    def config(path: Path) -> None:
        resigned(path.parent)
        mm.load(path.parent)

    def manifest(path: Path) -> None:
        mm.load(path.parent)

    def vector_file(path: Path) -> None:
        VectorFile(str(path)).all()

    def drop_in(path: Path) -> None:
        from transformers4rec import torch as tr

        folder, name = path.parent, "t4rec_model_class"
        with suppress(ValueError, RecursionError, AttributeError):
            said = json.loads((folder / f"{name}.json").read_bytes())
            said.pop("digest", None)
            said["sha256"] = hashlib.sha256((folder / f"{name}.safetensors").read_bytes()).hexdigest()
            (folder / f"{name}.json").write_text(json.dumps({**said, "digest": own_digest(said)}, indent=1))
        tr.Model.load(folder)

    def of(path: Path, read: object, count: int, name: str | None = None, *, text: bool = False) -> Target:
        return Target(path.read_bytes(), name or path.name, read, count * factor, text)  # type: ignore[arg-type]

    return {
        "loader": of(rows, loaded, 60),
        "streamed": of(rows, streamed, 40),
        "predict": of(rows, answered, 40),
        "raw ids": of(named, named_ids, 40),
        "seen": of(rows, seen, 40),
        "events": of(events, prepared, 40),
        "inferred": of(rows, lambda path: mm.Schema.from_parquet(path, row_key="user_id"), 40),
        "dataset": of(rows, dataset, 40),
        "old names": of(rows, old_names, 40),
        "vocabulary": of(vocabulary, words, 60),
        "shared": of(shared, words, 40),
        "lengths": of(lengths, words, 40),
        "pbtxt": of(saved / "schema.pbtxt", lambda path: mm.Schema.load(path), 100, text=True),
        "json": of(folder / "schema.json", lambda path: mm.Schema.load(path), 100, text=True),
        "config": of(saved / "config.json", config, 60, "config/config.json", text=True),
        "weights": of(saved / "model.safetensors", config, 30, "config/model.safetensors"),
        "manifest": of(saved / "manifest.json", manifest, 30, "plain/manifest.json", text=True),
        "signature": of(exported, lambda path: reader._signature(path), 100, text=True),
        "drop-in": of(
            old / "t4rec_model_class.json", drop_in, 60, "drop-in/t4rec_model_class.json", text=True
        ),
        "drop-in weights": of(
            old / "t4rec_model_class.safetensors", drop_in, 30, "drop-in/t4rec_model_class.safetensors"
        ),
        "npy": of(vectors, vector_file, 40),
        "safetensors": of(folder / "vectors.safetensors", vector_file, 60),
    }


def resigned(folder: Path) -> None:
    """Makes the manifest fit the files."""
    from merlin_models_torch.storage.manifest import write_manifest

    (folder / "manifest.json").unlink(missing_ok=True)
    write_manifest(folder)


def main(folder: Path, factor: int) -> None:
    """Reads them all."""
    import shutil

    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    found = {}
    for name, target in targets(folder, factor).items():
        place = folder / "damaged" / name
        if "/" in target.name:
            inside = target.name.partition("/")[0]
            shutil.copytree(folder / ("drop-in" if inside == "drop-in" else "model"), place / inside)
        found[name] = dataclasses.asdict(outcome(name, target, place))
    print(json.dumps(found))  # noqa: T201


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(Path(sys.argv[1]), int(sys.argv[2]))
