"""merlin.schema and merlin.io where merlin-core is not installed, and where it is."""

import subprocess
import sys
from importlib.metadata import distributions
from itertools import chain
from pathlib import Path

import pytest

from merlin_models_torch import schema as core
from tests.compat.small import schema, sessions, write_sessions

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(
    any(found.name == "merlin-core" for found in distributions()),
    reason="a real merlin-core is there",
)


def test_merlin_schema_is_the_cores():
    from merlin import schema as merlin_schema
    from merlin.schema.tags import Tags

    for name in ("Schema", "ColumnSchema", "Tags", "TagSet"):
        assert getattr(merlin_schema, name) is getattr(core, name)
    assert Tags is core.Tags


def test_schema_files_by_tensorflow_metadata(tmp_path):
    from merlin.schema.io.tensorflow_metadata import TensorflowMetadata

    metadata = TensorflowMetadata.from_merlin_schema(schema())
    metadata.to_proto_text_file(tmp_path)
    metadata.to_json_file(tmp_path)
    read = [
        TensorflowMetadata.from_json_file(tmp_path),
        TensorflowMetadata.from_proto_text(metadata.to_proto_text()),
        TensorflowMetadata.from_proto_text_file(tmp_path),
        TensorflowMetadata.from_json_file(tmp_path / "schema.json"),
    ]
    assert all(each.to_merlin_schema() == schema() for each in read)
    assert core.Schema.load(tmp_path / "schema.pbtxt") == schema()
    assert TensorflowMetadata().to_merlin_schema().column_names == []


def run(code, *paths):
    environment = {"PYTHONPATH": ":".join(map(str, [*paths, ROOT / "compat", ROOT])), "PATH": ""}
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("before", [True, False])
def test_a_real_package_wins_wherever_it_is_on_the_path(tmp_path, before):
    real = tmp_path / "merlin" / "schema"
    real.mkdir(parents=True)
    (real / "__init__.py").write_text("Schema = 'the real one'")
    code = "import merlin.schema as s; import merlin.io; print(s.Schema, merlin.io.Dataset.__module__)"
    if not before:
        code = f"import sys; sys.path.append({str(tmp_path)!r}); {code}"
    # merlin.io of ours imports ours as a schema of the core, not the other package's.
    ran = run(code, *([tmp_path] if before else []))
    assert ran.stderr == ""
    assert ran.stdout.split("\n")[0] == "the real one merlin.io.dataset"


def test_a_dataset_finds_its_schema_beside_the_files(tmp_path):
    from merlin.io import Dataset

    folder = tmp_path / "1"
    folder.mkdir()
    path = write_sessions(folder / "train.parquet", 3)
    assert Dataset(path).schema["item_id"].is_list  # of its type
    assert Dataset(path).schema["item_id"].int_domain is None
    schema().save(tmp_path / "schema.pbtxt")
    assert Dataset(path).schema["item_id"].int_domain.max == 30
    schema().select_by_name(["price"]).save(folder / ".merlin" / "schema.json")
    assert Dataset(path).schema.column_names == ["price"]
    assert Dataset(path, schema=schema()).schema == schema()


def test_a_dataset_without_a_schema_has_the_types_of_its_columns(tmp_path):
    import pandas as pd
    from merlin.io import Dataset
    from merlin.schema import Tags

    frame = pd.DataFrame({"ids": [[1, 2], [3]], "price": [0.5, 1.5], "word": ["x", "y"], "clicked": [1, 0]})
    frame.index = [7, 8]
    frame.to_parquet(tmp_path / "data.parquet")
    frame = frame.reset_index(drop=True)
    for source in (str(tmp_path / "data.parquet"), frame):
        read = Dataset(source).schema
        assert [(column.name, column.dtype.name, column.is_list) for column in read] == [
            ("ids", "int64", True),
            ("price", "float64", False),
            ("word", "object", False),
            ("clicked", "int64", False),
        ]
        # What a program tags as target alone does not become an input.
        read["clicked"] = read["clicked"].with_tags([Tags.TARGET])
        assert read.select_by_tag(Tags.CATEGORICAL).column_names == []
        assert set(read["clicked"].tags) == {Tags.TARGET}


def test_a_loader_is_its_own_iterator():
    import pandas as pd
    from merlin.dataloader.torch import Loader
    from merlin.io import Dataset

    loader = Loader(Dataset(pd.DataFrame({"ids": [1, 2, 3]})), batch_size=1, shuffle=False)

    def upcoming():
        return next(loader)[0]["ids"].tolist()

    assert upcoming() == [1]
    assert loader.peek()[0]["ids"].tolist() == [2]
    assert [upcoming(), upcoming()] == [[2], [3]]
    with pytest.raises(StopIteration):
        next(loader)
    assert upcoming() == [1]
    assert [inputs["ids"].tolist() for inputs, _ in loader] == [[1], [2], [3]]
    assert loader.schema.column_names == ["ids"]


def test_a_dataset_takes_files_and_folders_whatever_their_names_look_like(tmp_path):
    from merlin.io import Dataset

    folder = tmp_path / "runs [1]*?"
    folder.mkdir()
    path = folder / "day [2]*.parquet"
    write_sessions(path, 3)
    for source in (path, str(path), folder, f"{folder}/", [path], str(tmp_path / "runs*" / "day*")):
        assert Dataset(source).num_rows == 3


def test_a_dataset_gives_its_rows(tmp_path):
    from merlin.io import Dataset

    table = sessions(4)
    path = write_sessions(tmp_path / "a.parquet", 4)
    for source in (path, [path], str(tmp_path / "*.parquet"), table, table.to_pandas()):
        data = Dataset(source)
        assert data.num_rows == 4
        assert (
            data.to_ddf(columns=["item_id"]).compute()["item_id"].map(list).tolist()
            == table["item_id"].to_pylist()
        )
        assert len(data.head(2)) == 2
    Dataset(table, schema=schema()).to_parquet(str(tmp_path / "out"))
    again = Dataset(str(tmp_path / "out"))
    assert again.to_arrow().equals(table)
    assert again.schema["item_id"].int_domain.max == 30


def test_files_are_as_they_were_where_writing_fails(tmp_path, monkeypatch):
    import pyarrow.parquet as pq
    from merlin.io import Dataset
    from merlin.schema.io.tensorflow_metadata import TensorflowMetadata

    before = Dataset(sessions(4), schema=schema())
    before.to_parquet(str(tmp_path))
    TensorflowMetadata.from_merlin_schema(schema()).to_json_file(tmp_path)
    text = (tmp_path / "schema.json").read_text(encoding="utf-8")

    def half(writer, table):
        raise OSError(28, "no space left")

    def half_of_text(path, text, **_):
        path.write_bytes(text[:9].encode())
        raise OSError(28, "no space left")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", half)
    with pytest.raises(OSError, match=r"part_0\.parquet could not be written"):
        Dataset(sessions(9), schema=schema()).to_parquet(str(tmp_path))
    monkeypatch.setattr(Path, "write_text", half_of_text)
    with pytest.raises(OSError, match=r"schema\.json could not be written"):
        TensorflowMetadata.from_merlin_schema(schema().select_by_name("price")).to_json_file(tmp_path)
    assert Dataset(str(tmp_path)).to_arrow().equals(before.to_arrow())
    assert (tmp_path / "schema.json").read_text(encoding="utf-8") == text
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "part_0.parquet",
        "schema.json",
        "schema.pbtxt",
    ]


def test_a_dataset_is_one_partition(tmp_path):
    from merlin.io import Dataset

    ids = sessions(6)["item_id"].to_pylist()
    data = Dataset(write_sessions(tmp_path / "a.parquet", 6), schema=schema())
    assert data.npartitions == 1
    assert data.repartition(3).to_arrow() == data.to_arrow()
    assert data.tail(2)["item_id"].map(list).tolist() == ids[-2:]
    assert data.tail(9)["item_id"].map(list).tolist() == ids
    plain = [frame["item_id"].map(list).tolist() for frame in data.to_iter(columns=["item_id"], epochs=2)]
    assert plain == [ids, ids]
    first, second = (
        [frame["item_id"].map(list).tolist() for frame in data.to_iter(shuffle=True, seed=seed, epochs=2)]
        for seed in (1, 1)
    )
    assert first == second
    assert first[0] != first[1]
    assert sorted(first[0]) == sorted(ids)
    assert data.infer_schema()["item_id"].int_domain != schema()["item_id"].int_domain
    assert data.schema["item_id"].is_list


def test_a_dataset_is_trained_on(tmp_path):
    from merlin.io import Dataset

    from tests.compat.small import trainer

    trained = trainer(tmp_path)
    trained.eval_dataset_or_path = Dataset(sessions(5), schema=schema())
    assert trained.evaluate()["eval_/loss"] > 0


def test_the_loader_of_merlin_dataloader_gives_ragged_columns(tmp_path):
    import torch
    from merlin.dataloader.torch import Loader
    from merlin.io import Dataset

    table = sessions(5)
    seen = []
    made = Loader(Dataset(table, schema=schema()), batch_size=3).map(lambda x, y: seen.append(y) or (x, y))
    assert len(made) == 2
    first, second = (inputs for inputs, _ in made)
    rows = table["item_id"].to_pylist()
    assert first["item_id__values"].tolist() == list(chain(*rows[:3]))
    assert first["item_id__offsets"].tolist() == [
        0,
        *torch.tensor([len(r) for r in rows[:3]]).cumsum(0).tolist(),
    ]
    assert second["item_id__values"].tolist() == list(chain(*rows[3:]))
    assert seen == [None, None]


def test_names_of_merlin_core_that_are_not_here_say_what_to_do():
    import importlib
    import json

    from merlin_migrate.table import find
    from merlin_migrate.warnings import UnsupportedName

    frozen = json.loads((Path(__file__).parent / "names" / "merlin_core.json").read_text())
    refused = 0
    for module, names in frozen.items():
        if module.startswith("merlin.schema"):
            continue
        for name in names:
            entry = find(f"{module}.{name}")
            if entry.kind != "unsupported":
                assert getattr(importlib.import_module(module), name) is not None
                continue
            with pytest.raises(UnsupportedName) as raised:
                getattr(importlib.import_module(module), name)
            assert entry.note in str(raised.value)
            assert "install merlin-core" in str(raised.value)
            assert "migration_guides/from-transformers4rec.md#" in str(raised.value)
            refused += 1
    assert refused > 40


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("from merlin.core.dispatch import random_uniform", "Write it with pandas, NumPy or pyarrow"),
        ("from merlin.core.utils import Distributed", "Start Dask clusters with dask.distributed"),
        ("from merlin.core.utils import nothing_known", "install merlin-core"),
        ("from merlin.datasets.ecommerce import get_aliccp", 'generate_data("aliccp", rows)'),
        ("from merlin.datasets.entertainment.movielens.dataset import get_movielens", "examples.ml_1m"),
        ("from merlin.io import DataFrameIter", "It reads in batches"),
        ("import merlin.dag.ops.rename", "Name and tag columns with mm.ColumnSchema"),
        ("from merlin.dag import ColumnSelector; ColumnSelector(['a']) >> 1", "Give a loader its operators"),
    ],
)
def test_statements_end_in_one_clear_error(statement, text):
    ran = run(statement)
    (told,) = (line for line in ran.stderr.splitlines() if line.startswith("merlin.core._absent.MissingName"))
    assert text in told


def test_types_and_former_names():
    import merlin.dtypes as md
    from merlin.dataloader.torch import Loader
    from merlin.loader.torch import Loader as Former
    from merlin.schema import ColumnSchema

    assert Former is Loader
    assert ColumnSchema("a", dtype=md.int32).dtype.name == "int32"
    assert [md.string.name, md.boolean.name, md.datetime64ns.name] == ["str", "bool", "datetime64[ns]"]
    assert md.dtype("float32") is not None
    assert md.float32 == md.dtype("float32")


def test_an_operator_says_which_column_or_id_is_wrong():
    import numpy as np
    from merlin.dataloader.ops.embeddings import EmbeddingOperator
    from transformers4rec.torch.utils.data_utils import MerlinDataLoader

    def loader(operator):
        return MerlinDataLoader.from_schema(schema(), sessions(4), 4, shuffle=False, transforms=[operator])

    vectors = np.ones((31, 2), np.float32)
    with pytest.raises(ValueError, match=r"looks up column 'id', the loader has .*'item_id'.*as lookup_key"):
        loader(EmbeddingOperator(vectors))
    few = loader(EmbeddingOperator(vectors[:2], lookup_key="item_id"))
    with pytest.raises(IndexError, match=r"column 'item_id' has the id \d+ and there are 2 vectors"):
        next(iter(few))
    with pytest.raises(TypeError, match="transforms has a int, expected operators"):
        loader(3)


def test_a_dataset_says_what_it_has_not():
    from merlin.io import Dataset

    made = Dataset(sessions(3))
    with pytest.raises(AttributeError, match=r"no 'to_hugectr' here: ask to_arrow.*install merlin-core"):
        made.to_hugectr("folder")
    assert not hasattr(made, "file_partition_map")


def test_other_engines_and_missing_files_are_refused(tmp_path):
    from merlin.io import Dataset

    with pytest.raises(ValueError, match="only 'parquet' and 'csv' are read here"):
        Dataset("a.avro", engine="avro")
    with pytest.raises(FileNotFoundError, match=r"there is no file 'a\.parquet': check the path"):
        Dataset("a.parquet")
    with pytest.raises(ValueError, match="no file is named by"):
        Dataset(str(tmp_path / "*.parquet"))


def installed(folder, name, version="23.12.0"):
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return folder


def test_an_installed_original_stops_the_import(tmp_path):
    ran = run("import transformers4rec", installed(tmp_path, "transformers4rec"))
    assert (
        "ImportError: transformers4rec 23.12.0 and merlin-models-torch-compat are both installed"
        in ran.stderr
    )
    assert "pip uninstall transformers4rec merlin-models" in ran.stderr


def test_an_installed_merlin_models_is_named_at_the_importing_line(tmp_path):
    ran = run("import transformers4rec", installed(tmp_path, "merlin-models"))
    assert 'File "<string>", line 1' in ran.stderr
    assert "UserWarning: merlin-models 23.12.0 is installed beside merlin-models-torch-compat" in ran.stderr


def test_importing_the_names_does_not_load_transformers():
    ran = run("import sys; from transformers4rec import torch as tr; print('transformers' in sys.modules)")
    assert (ran.stdout, ran.stderr) == ("False\n", "")


def test_columns_become_tensors_and_back():
    import numpy as np
    import pandas as pd
    import torch
    from merlin.table import NumpyColumn, TensorTable, TorchColumn
    from merlin.table.conversions import convert_col

    table = TensorTable.from_df(pd.DataFrame({"items": [[3, 4], [5]], "price": [0.5, 1.5]}))
    arrays = {name: table[name] for name in table.columns}
    for name in table.columns:
        table[name] = convert_col(table[name], TorchColumn)
    told = table.to_dict()
    assert {name: values.tolist() for name, values in told.items()} == {
        "items__values": [3, 4, 5],
        "items__offsets": [0, 2, 3],
        "price": [0.5, 1.5],
    }
    assert all(isinstance(values, torch.Tensor) for values in told.values())
    back = convert_col(table["items"], NumpyColumn)
    assert back == arrays["items"]
    assert np.shares_memory(back.values, arrays["items"].values)
    assert convert_col(back, NumpyColumn) is back
    with pytest.raises(NotImplementedError, match=r"a NumpyColumn cannot become .*int.* are known"):
        convert_col(back, int)


@pytest.fixture
def served(tmp_path):
    """A folder, and where a server on this machine gives its files."""
    from functools import partial
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
    from threading import Thread

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_files_are_fetched_and_unpacked(tmp_path, served):
    import gzip
    import tarfile
    import zipfile

    from merlin.core.utils import download_file

    folder, url = served
    (folder / "a.csv").write_text("1")
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.writestr("inside/b.csv", "2")
    with tarfile.open(folder / "c.tgz", "w:gz") as archive:
        archive.add(folder / "a.csv", arcname="c.csv")
    with gzip.open(folder / "d.csv.gz", "wb") as packed:
        packed.write(b"4")
    out = tmp_path / "out" / "deep"
    for name in ("a.csv", "a.zip", "c.tgz", "d.csv.gz"):
        download_file(f"{url}/{name}", out / name)
    read = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*.csv")}
    assert read == {"a.csv": b"1", "inside/b.csv": b"2", "c.csv": b"1", "d.csv": b"4"}
    assert (out / "a.zip").exists()
    (folder / "a.csv").write_text("9")
    download_file(f"{url}/a.csv", str(out / "a.csv"), redownload=False)
    assert (out / "a.csv").read_text() == "1"
    download_file(f"{url}/a.zip", out / "kept" / "a.zip", unzip_files=False)
    assert [path.name for path in (out / "kept").iterdir()] == ["a.zip"]
    with pytest.raises(ValueError, match="url is 'file:///a', it should start with http"):
        download_file("file:///a", out / "a")
