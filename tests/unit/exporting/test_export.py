"""Exported programs answer as the models they were made of, from batches and sessions of any size."""

import io
import json
import os
import shutil
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import Tensor

import merlin_models_torch as mm
from merlin_models_torch.exporting import reader
from merlin_models_torch.exporting.reader import ExportedModel, RequestError
from merlin_models_torch.retrieval import TopKEncoder
from merlin_models_torch.storage.manifest import digest_of, own_digest
from tests.unit.exporting.families import FAMILIES, LONGEST, SESSIONS, Family
from tests.unit.schemas import categorical
from tests.unit.sessions import session_model

pytestmark = pytest.mark.filterwarnings("ignore")
# Rows, their longest session, and how many values a column has: one for all rows of unknown ids.
WORDS = "transformer, many columns"
EDGES = {"random": (7, LONGEST, 0), "one item": (1, 1, 0), "longest": (2, LONGEST, 0), "unknown": (3, 4, 1)}


def rows_of(family: Family, model: mm.Model, edge: str) -> mm.Batch:
    """Made-up rows for the columns that answers need; lists of a session have as many values."""
    count, longest, unknown = EDGES[edge]
    schema = model.schema
    if "k" in family.options:
        schema = TopKEncoder(model, k=1, candidates=family.options.get("candidates")).schema
    rng = np.random.default_rng(1)
    lengths = rng.integers(1, longest + 1, count)
    lengths[0] = longest
    columns: dict[str, Any] = {}
    for column in schema:
        ids = mm.Tags.CATEGORICAL in column.tags
        top = schema.cardinality(column.name) if ids else 0
        own = rng.integers(0, 4, count) if column.name in ("sizes", "genres", "spent") else lengths
        total = int(own.sum()) if column.is_list else count
        values = rng.integers(1, top, total) if ids else rng.random(total, dtype=np.float32)
        values = np.full_like(values, 1) if unknown and ids else values
        # Zeros count where numbers are combined.
        values = np.where(rng.random(total) < 0.4, 0, values) if column.name == "spent" else values
        tensor = torch.from_numpy(values)
        offsets = torch.tensor([0, *own.cumsum()])
        columns[column.name] = mm.Ragged(tensor, offsets) if column.is_list else tensor
    return mm.Batch(columns)


def plain(family: Family, model: mm.Model, rows: mm.Batch, filters: dict[str, Tensor]) -> dict[str, Tensor]:
    """What the model itself answers."""
    if "k" not in family.options:
        return {name: score for name, score in model.scores(rows).items() if isinstance(score, Tensor)}
    scores, items = TopKEncoder(model, **family.options)(rows, **filters)
    return {"items": items, "score": scores}


def matrices(rows: mm.Batch, signature: dict[str, Any]) -> dict[str, Tensor]:
    """The program's inputs, as its signature describes them."""
    found = {}
    for one in signature["inputs"]:
        if one["kind"] == "feature":
            column = rows[one["name"]]
            matrix = column.padded() if isinstance(column, mm.Ragged) else column
            # A dimension has at least one place.
            found[one["name"]] = matrix if matrix.numel() else matrix.new_zeros(len(rows), 1)
        elif one["kind"] == "length":
            found[one["name"]] = rows.lengths(one["name"].removesuffix("__length"))
    return found


def filters_of(family: Family, model: mm.Model, count: int, which: str) -> dict[str, Tensor]:
    """Items to leave out and items that may be answers; the first row has none of the latter."""
    if "k" not in family.options:
        return {}
    generator = torch.Generator().manual_seed(3)
    top = model.output.size if hasattr(model.output, "size") else model.output.cardinality
    exclude = torch.randint(-1, top, (count, 4), generator=generator)
    candidates = torch.randint(-1, top, (count, 6), generator=generator)
    candidates[0] = -1
    nothing = torch.full((count, 1), -1)
    return (
        {"exclude": exclude, "candidates": candidates}
        if which == "filtered"
        else {
            "exclude": nothing,
            "candidates": nothing,
        }
    )


class Exports:
    """Models, and each format's folder of them, made when they are asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.models: dict[str, mm.Model] = {}

    def get(self, name: str, format: Any) -> tuple[mm.Model, Path]:
        model = self.models.setdefault(name, FAMILIES[name].made())
        folder = self.folder / f"{name} {format}"
        if not folder.exists():
            mm.export(model, folder, format=format, **FAMILIES[name].options)
        return model, folder


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Exports:
    return Exports(tmp_path_factory.mktemp("exports"))


def assert_same_answers(name: str, model: mm.Model, folder: Path, run: Any) -> None:
    """Ids equal and scores to 1e-5, for every edge, with filters and without."""
    signature = json.loads((folder / "signature.json").read_text())
    family = FAMILIES[name]
    for edge in EDGES if name in SESSIONS else ("random", "one item", "unknown"):
        rows = rows_of(family, model, edge)
        for which in ("filtered", "open") if "k" in family.options else ("open",):
            filters = filters_of(family, model, len(rows), which)
            with torch.no_grad():
                wanted = plain(family, model, rows, filters)
            found = dict(run({**matrices(rows, signature), **filters}))
            assert found.keys() == wanted.keys() == {one["name"] for one in signature["outputs"]}
            if "items" in wanted:
                assert found["items"].tolist() == wanted["items"].tolist(), (edge, which)
            torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_program_of_torch_answers_as_the_model(name: str, exports: Exports) -> None:
    model, folder = exports.get(name, "torch")
    reader.refuse_pickles(folder / "model.pt2")
    assert_same_answers(name, model, folder, torch.export.load(folder / "model.pt2").module())


def with_onnx(program: Path) -> Any:
    """Runs an ONNX program on tensors."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed here")
    session = onnxruntime.InferenceSession(str(program))
    names = [one.name for one in session.get_outputs()]

    def run(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        given = {name: tensor.numpy() for name, tensor in tensors.items()}
        return dict(zip(names, map(torch.from_numpy, session.run(names, given)), strict=True))

    return run


# All families were tried and answer alike, in a minute; these are one of each kind.
@pytest.mark.parametrize("name", [WORDS, "two towers", "dlrm"])
def test_onnx_answers_as_the_model(name: str, exports: Exports) -> None:
    pytest.importorskip("onnxscript", reason="the extra 'onnx' is not installed here")
    model, folder = exports.get(name, "onnx")
    assert_same_answers(name, model, folder, with_onnx(folder / "model.onnx"))


def raw_rows(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Rows of that family with original ids, some unknown, and sessions beyond the longest."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        length = int(rng.integers(1, LONGEST + 5))
        rows.append(
            {
                "item_id": [f"item {number}" for number in rng.integers(0, 33, length)],
                "category": rng.integers(1, 8, length).tolist(),
                "age": rng.random(length).tolist(),
                "price": rng.random(length).tolist(),
                "country": int(rng.integers(0, 5)),
                "sizes": rng.integers(1, 6, rng.integers(0, 4)).tolist(),
            }
        )
    return rows


def test_the_program_of_two_towers_holds_the_tower_of_queries_alone(exports: Exports) -> None:
    model, folder = exports.get("two towers", "torch")
    program = torch.export.load(folder / "model.pt2")
    used = {spec.target for spec in program.graph_signature.input_specs if spec.target is not None}
    assert {*program.state_dict} <= used
    queries, candidates = (
        sum(weight.numel() for weight in mm.retrieval.candidates.tower(model, name).parameters())
        for name in (model.output.query, model.output.candidate)
    )
    held = sum(weight.numel() for weight in program.state_dict.values())
    assert held == queries
    assert candidates > 0


def test_raw_ids_in_and_out_as_the_encoder_answers(exports: Exports) -> None:
    model, folder = exports.get(WORDS, "torch")
    exported = ExportedModel(folder)
    rows = raw_rows(12)
    found = exported.answer(rows)
    best = TopKEncoder(model, k=5, exclude_seen=True)
    wanted = best.answer(pa.Table.from_pylist(rows)).to_pylist()
    for one, other in zip(found, wanted, strict=True):
        assert one["item_id"] == other["item_id"]
        assert one["score"] == pytest.approx(other["score"], abs=1e-5)
    # Each row alone is answered as among others.
    assert exported.answer(rows[3:4])[0]["item_id"] == found[3]["item_id"]
    assert exported.answer([]) == []
    allowed = [found[0]["item_id"][2], found[0]["item_id"][0], "nothing of ours", "item 3"]
    left = exported.answer([{**rows[0], "candidates": allowed, "exclude": allowed[:1]}])[0]["item_id"]
    assert left == [item for item in [allowed[1], "item 3"] if item in left]
    assert left[0] == allowed[1]
    assert exported.answer([{**rows[0], "candidates": ["nothing of ours"]}]) == [{"item_id": [], "score": []}]


def test_lists_of_numbers_may_be_empty_and_hold_zeros(exports: Exports) -> None:
    model, folder = exports.get("lists of numbers", "torch")
    rows = [
        {"genres": [], "spent": []},
        {"genres": [2], "spent": [0.0, 3.0]},
        {"genres": [1, 4], "spent": [0.0]},
    ]
    table = pa.table(
        {
            "genres": pa.array([row["genres"] for row in rows], pa.list_(pa.int64())),
            "spent": pa.array([row["spent"] for row in rows], pa.list_(pa.float32())),
        }
    )
    wanted = model.predict(table)["click_score"].to_pylist()
    found = [answer["click_score"] for answer in ExportedModel(folder).answer(rows)]
    assert found == pytest.approx(wanted, abs=1e-6)


ONE: dict[str, Any] = raw_rows(1, seed=4)[0]
BAD: dict[str, tuple[Any, str]] = {
    "no object": ([1], "a row is a list, expected an object of values by column"),
    "unknown": ({**ONE, "colour": 1}, "column 'colour' is not known, expected item_id, category"),
    "missing": ({"item_id": ["a"]}, "column 'category' is missing: give it"),
    "no list": ({**ONE, "item_id": "item 1"}, "column 'item_id' has 'item 1', expected a list"),
    "empty": ({**ONE, "item_id": []}, "column 'item_id' is empty, expected at least one value"),
    "shorter": ({**ONE, "category": [1]}, "column 'category' has 1 values and another of the same sequence"),
    "no id": ({**ONE, "item_id": [None]}, "column 'item_id' has None, expected an id"),
    "no code": ({**ONE, "country": 5}, "column 'country' has 5, expected a number from 0 to 4"),
    "huge": ({**ONE, "country": 10**9999}, "column 'country' has a int, expected a number from 0 to 4"),
    "no number": ({**ONE, "age": [float("nan")] * 13}, "column 'age' has nan, expected a number"),
    "no candidates": ({**ONE, "candidates": []}, "candidates is empty, so nothing could be answered"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_row_is_refused_with_the_reason(name: str, exports: Exports) -> None:
    row, said = BAD[name]
    exported = ExportedModel(exports.get(WORDS, "torch")[1])
    with pytest.raises(RequestError) as caught:
        exported.answer([ONE, row])
    assert str(caught.value).startswith(said)


ALONE = """
import importlib.util, json, sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked}:
            raise ImportError(name + " is not here")
sys.meta_path.insert(0, Blocked())
spec = importlib.util.spec_from_file_location("reader", sys.argv[1])
reader = importlib.util.module_from_spec(spec)
spec.loader.exec_module(reader)
print(json.dumps(reader.ExportedModel(sys.argv[2]).answer(json.load(sys.stdin))))
"""


@pytest.mark.parametrize("format", ["torch", "onnx"])
def test_a_process_without_this_library_answers_alike(format: str, exports: Exports) -> None:
    pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed here")
    folder = exports.get(WORDS, format)[1]
    blocked = {"merlin_models_torch", "lightning", "pyarrow"} | ({"torch"} if format == "onnx" else set())
    rows = raw_rows(5)
    done = subprocess.run(
        [sys.executable, "-c", ALONE.format(blocked=blocked), str(reader.__file__), str(folder)],
        input=json.dumps(rows),
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    wanted = ExportedModel(exports.get(WORDS, "torch")[1]).answer(rows)
    for one, other in zip(json.loads(done.stdout), wanted, strict=True):
        assert one["item_id"] == other["item_id"]
        assert one["score"] == pytest.approx(other["score"], abs=1e-5)


def test_a_program_that_names_pickles_is_refused(exports: Exports, tmp_path: Path) -> None:
    program = exports.get("dlrm", "torch")[1] / "model.pt2"
    for name, change in {
        "config": lambda part, text: text.replace(b'"use_pickle": false', b'"use_pickle": true', 1),
        "inputs": lambda part, text: b"cos\nsystem\n(S'true'\ntR." if "sample_inputs" in part else text,
        "code": lambda part, text: text.replace(b'"torch.ops.aten.', b'"torch.os.', 1),
        "guard": lambda part, text: text.replace(b'"guards_code": []', b'"guards_code": ["exit() == 1"]', 1),
        "size": lambda part, text: text.replace(b"Symbol(", b"eval("),
        "file": lambda part, text: text.replace(b".aten.linear.default", b".aten.from_file.default", 1),
        "block": lambda part, text: text.replace(b".aten.linear.default", b".higher_order.call_torchbind", 1),
        "import": lambda part, text: text.replace(b"builtins.tuple", b"collections.defaultdict", 1),
        "legacy": None,
    }.items():
        bad = tmp_path / f"{name}.pt2"
        with zipfile.ZipFile(program) as old, zipfile.ZipFile(bad, "w") as new:
            for part in old.namelist():
                new.writestr(part, old.read(part) if change is None else change(part, old.read(part)))
            if change is None:
                new.writestr(f"{part.partition('/')[0]}/data/weights/model.pt", b"")
        with pytest.raises(
            ValueError, match="which is or names more than tensors and what computes with them"
        ):
            reader.refuse_pickles(bad)


def archive_of(parts: list[tuple[str, bytes]]) -> bytes:
    """A zip file, in which names may stand twice."""
    made = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        with zipfile.ZipFile(made, "w") as archive:
            for name, content in parts:
                archive.writestr(name, content)
    return made.getvalue()


def test_a_program_is_checked_as_torch_reads_it(exports: Exports, tmp_path: Path) -> None:
    """Of zip files that say different things to different readers, torch's counts."""
    with zipfile.ZipFile(exports.get("dlrm", "torch")[1] / "model.pt2") as archive:
        parts = [(name, archive.read(name)) for name in archive.namelist()]
    bad = [(name, content.replace(b'"use_pickle": false', b'"use_pickle": true ')) for name, content in parts]
    twice = tmp_path / "twice.pt2"
    for both in ([*bad, *parts], [*parts, *bad]):
        twice.write_bytes(archive_of(both))
        with pytest.raises(ValueError, match=r"twice\.pt2 holds parts twice, or some that are hidden"):
            reader.refuse_pickles(twice)

    # The end says where the archive's directory begins, counted from byte 0 or, for Python, from where it
    # makes sense: that of the first archive or that of the second.
    end_only = len(archive_of([]))
    confused = tmp_path / "confused.pt2"
    confused.write_bytes(archive_of(bad)[:-end_only] + archive_of(parts))
    with zipfile.ZipFile(confused) as archive:
        assert [(name, archive.read(name)) for name in archive.namelist()] == parts
    with pytest.raises(ValueError, match="which is or names more than tensors"):
        reader.refuse_pickles(confused)


def test_a_changed_or_missing_file_is_refused(exports: Exports, tmp_path: Path) -> None:
    whole = exports.get("dlrm", "torch")[1]
    names = [path.name for path in sorted(whole.iterdir())]
    assert {"manifest.json", "model.pt2", "signature.json"} <= {*names}
    for number, name in enumerate(names):
        folder = tmp_path / str(number)
        shutil.copytree(whole, folder)
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(content)
        with pytest.raises(ValueError, match=r"was changed|manifest\.json cannot be read"):
            ExportedModel(folder)
        (folder / name).unlink()
        with pytest.raises(ValueError, match=r"is missing: export|manifest\.json cannot be read"):
            ExportedModel(folder)


def test_a_manifest_or_signature_that_names_files_elsewhere_is_refused(
    exports: Exports, tmp_path: Path
) -> None:
    folder = tmp_path / "export"
    shutil.copytree(exports.get("dlrm", "torch")[1], folder)
    shutil.copy(folder / "model.pt2", tmp_path / "other.pt2")
    signature = json.loads((folder / "signature.json").read_text())
    (folder / "signature.json").write_text(json.dumps({**signature, "program": "../other.pt2"}))
    for added, message in {
        (): "has no program '../other.pt2'",
        ("../other.pt2",): "names '../other.pt2', which lies outside",
    }.items():
        names = [*(path.name for path in folder.iterdir() if path.name != "manifest.json"), *added]
        said = {"format": 1, "files": {name: digest_of(folder / name) for name in names}}
        text = json.dumps({**said, "digest": own_digest(said)})
        (folder / "manifest.json").write_text(text)
        with pytest.raises(ValueError, match=message):
            ExportedModel(folder)


def test_the_signature_tells_schema_dimensions_and_vocabularies(exports: Exports) -> None:
    signature = json.loads((exports.get(WORDS, "torch")[1] / "signature.json").read_text())
    inputs = {one["name"]: one for one in signature["inputs"]}
    assert inputs.keys() - {"item_id__length", "exclude", "candidates"} == ONE.keys()
    assert inputs["item_id"] == {
        "name": "item_id",
        "kind": "feature",
        "dtype": "int64",
        "dims": ["batch", "item_id_length"],
        "fill": 0,
        "vocabulary": "item_id",
        "rows": 31,
        "left_out": True,
    }
    assert inputs["price"]["dims"] == ["batch", "item_id_length"]
    assert inputs["price"]["dtype"] == "float32"
    assert inputs["sizes"]["dims"] == ["batch", "sizes_length"]
    assert inputs["country"]["dims"] == ["batch"]
    assert inputs["exclude"]["fill"] == -1
    assert [(one["name"], one["dtype"], one["dims"]) for one in signature["outputs"]] == [
        ("items", "int64", ["batch", 5]),
        ("score", "float32", ["batch", 5]),
    ]
    assert signature["dimensions"]["item_id_length"] == {"min": 1, "max": LONGEST}
    assert signature["vocabularies"]["item_id"]["values"][2] == "item 2"
    names = [feature["name"] for feature in signature["schema"]["feature"]]
    assert names == [name for name, one in inputs.items() if one["kind"] == "feature"]


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("gru", {}, "k is not given: say how many items to answer with"),
        ("gru", {"k": 31}, "k has 31, but the catalogue holds 30 items"),
        ("gru", {"k": 3, "max_sequence_length": 10}, "is 10, but the model sees 9 positions"),
        ("gru", {"k": 3, "format": "torchscript"}, "format is 'torchscript', expected 'torch', 'aoti'"),
        ("dlrm", {"k": 3}, "k is 3, but BinaryOutput gives scores and no items"),
        ("dlrm", {"exclude_seen": True}, "candidates, exclude and exclude_seen are for the k best items"),
    ],
)
def test_what_does_not_fit_is_refused(
    name: str, options: dict[str, Any], said: str, exports: Exports, tmp_path: Path
) -> None:
    model = exports.models.setdefault(name, FAMILIES[name].made())
    with pytest.raises(ValueError, match=said):
        mm.export(model, tmp_path / "export", **options)
    assert not list(tmp_path.iterdir())


def test_a_body_that_no_graph_can_hold_is_named(tmp_path: Path) -> None:
    class Branching(torch.nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            return inputs * 2 if bool(inputs.sum() > 0) else inputs

    inputs = mm.TabularInputBlock(
        mm.Schema([session_model().schema["item_id"]]), embedding_dim=8, masking=mm.CausalMasking()
    )
    model = mm.Model(inputs, mm.GRUBlock(8), Branching(), mm.CategoricalOutput())
    with pytest.raises(ValueError, match=r"the model cannot be exported, torch.export says .*Branching"):
        mm.export(model, tmp_path / "export", k=3, max_sequence_length=5)
    assert not list(tmp_path.iterdir())


def test_inner_lists_of_numbers_are_refused_unless_they_have_one_width(tmp_path: Path) -> None:
    def columns(width: Any) -> mm.Schema:
        price = mm.ColumnSchema("price", [mm.Tags.CONTINUOUS], {}, "float32", dims=(None, None, width))
        return mm.Schema([session_model().schema["item_id"], price])

    for width in (None, (0, 3)):
        model = mm.SessionModel(columns(width), dim=8, layers=1, max_sequence_length=5)
        with pytest.raises(ValueError, match="column 'price' has lists of numbers inside lists, of which a"):
            mm.export(model, tmp_path / "export", k=3)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("format", ["torch", "onnx"])
def test_items_among_several_targets_and_scores_of_positions(format: Any, tmp_path: Path) -> None:
    if format == "onnx":
        pytest.importorskip("onnxscript", reason="the extra 'onnx' is not installed here")
    torch.manual_seed(0)
    schema = mm.Schema([session_model().schema["item_id"]])
    inputs = mm.TabularInputBlock(
        schema, embedding_dim=8, masking=mm.CausalMasking(), max_sequence_length=LONGEST
    )
    outputs = [
        mm.CategoricalOutput(top_ks=(4,)),
        mm.BinaryOutput("click"),
        mm.RegressionOutput("dwell", summary="none"),
    ]
    words = mm.Vocabulary(pa.array([f"item {number}" for number in range(29)]))
    model = mm.Model(
        inputs,
        mm.TransformerBlock(8, heads=2, layers=1, max_length=LONGEST),
        mm.TabularOutputBlock(outputs),
        vocabularies={"item_id": words},
    ).eval()
    exported = ExportedModel(mm.export(model, tmp_path / "export", k=3, format=format))
    sessions = [[5], [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], [30, 2, 2], [1, 1]]
    wanted = model.predict({"item_id": sessions}, k=3).to_pylist()
    rows = [{"item_id": words.decode(items).to_pylist()} for items in sessions]
    rows[3] = {"item_id": ["none", "of ours"]}
    for one, other, items in zip(exported.answer(rows), wanted, sessions, strict=True):
        assert one["item_id"] == other["item_id"]
        assert one["item_id_score"] == pytest.approx(other["item_id_score"], abs=1e-5)
        assert one["click_score"] == pytest.approx(other["click_score"], abs=1e-5)
        assert one["dwell_score"] == pytest.approx(other["dwell_score"], abs=1e-5)
        assert len(one["dwell_score"]) == min(len(items), LONGEST)
    unseen = ExportedModel(mm.export(model, tmp_path / "unseen", k=3, exclude_seen=True, format=format))
    # The program knows what it is given: the latest items.
    cut = [items[-LONGEST:] for items in sessions]
    wanted = model.predict({"item_id": cut}, k=3, exclude_seen=True).to_pylist()
    found = unseen.answer(rows[:3])
    assert [one["item_id"] for one in found] == [one["item_id"] for one in wanted[:3]]
    with pytest.raises(ValueError, match="k has 30, but the catalogue holds 29 items"):
        mm.export(model, tmp_path / "large", k=30)


def test_items_seen_before_the_program_s_sessions_begin_are_left_out_too(tmp_path: Path) -> None:
    torch.manual_seed(0)
    words = mm.Vocabulary(pa.array([f"item {number}" for number in range(40)]))
    schema = mm.Schema([categorical("item_id", words.cardinality - 1, mm.Tags.ITEM_ID)])
    model = mm.SessionModel(
        schema, dim=8, layers=1, max_sequence_length=3, vocabularies={"item_id": words}, exclude_seen=True
    ).eval()
    sessions = [words.values.to_pylist()[:count] for count in (30, 38, 2)]
    wanted = model.predict(model.raw_ids({"item_id": sessions}), k=2).to_pylist()
    found = ExportedModel(mm.export(model, tmp_path / "seen", k=2)).answer([{"item_id": x} for x in sessions])
    assert [one["item_id"] for one in found] == [one["item_id"] for one in wanted]
    every = ExportedModel(mm.export(model, tmp_path / "all", k=2, exclude_seen=False))
    assert every.answer([{"item_id": sessions[1], "exclude": sessions[1][:30]}]) != found[1:2]


@pytest.mark.parametrize("format", ["torch", "onnx"])
def test_a_catalogue_far_larger_than_the_answers(format: Any, tmp_path: Path) -> None:
    # Where a plain call takes other ways: products by oneDNN, top-k with a look at ties.
    if format == "onnx":
        pytest.importorskip("onnxscript", reason="the extra 'onnx' is not installed here")
    torch.manual_seed(0)
    schema = mm.Schema([categorical("item_id", 20_000, mm.Tags.ITEM_ID)])
    model = mm.SessionModel(schema, dim=64, layers=1, max_sequence_length=LONGEST).eval()
    folder = mm.export(model, tmp_path / "export", k=3, exclude_seen=True, format=format)
    exported = ExportedModel(folder)
    # Inputs and answers read one table, and no file holds a second.
    table = 20_001 * 64 * 4
    assert table < sum(path.stat().st_size for path in folder.iterdir()) < 1.15 * table
    rng = np.random.default_rng(0)
    sessions = [rng.integers(1, 20_001, length).tolist() for length in (1, 4, LONGEST, 2, 7)]
    wanted = model.predict({"item_id": sessions}, k=3, exclude_seen=True).to_pylist()
    for one, other in zip(exported.answer([{"item_id": ids} for ids in sessions]), wanted, strict=True):
        assert one["item_id"] == other["item_id"]
        assert one["score"] == pytest.approx(other["score"], abs=1e-5)


@pytest.mark.parametrize("options", [{}, {"weight_tying": True, "normalized": True}], ids=["own", "unit"])
def test_item_vectors_stand_twice_only_where_they_differ(options: Any, tmp_path: Path) -> None:
    torch.manual_seed(0)
    schema = mm.Schema([categorical("item_id", 3000, mm.Tags.ITEM_ID)])
    inputs = mm.TabularInputBlock(
        schema, embedding_dim=32, masking=mm.CausalMasking(), max_sequence_length=LONGEST
    )
    model = mm.Model(inputs, mm.GRUBlock(32), mm.CategoricalOutput(**options)).eval()
    folder = mm.export(model, tmp_path / "export", k=5)
    tables = (folder / "model.pt2").stat().st_size / (3001 * 32 * 4)
    # Inputs read one, answers another: weights of their own, or vectors of length 1.
    assert 2 < tables < 2.6
    sessions = [[5], [2, 3000, 4, 5], [30, 2, 2]]
    wanted = model.predict({"item_id": sessions}, k=5).to_pylist()
    found = ExportedModel(folder).answer([{"item_id": items} for items in sessions])
    assert [one["item_id"] for one in found] == [one["item_id"] for one in wanted]


def test_the_folder_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, folder = FAMILIES["dlrm"].made().train(), tmp_path / "export"
    mm.export(model, folder)
    assert model.training
    before = (folder / "signature.json").read_bytes()
    with pytest.raises(FileExistsError, match="exists: choose another folder or pass overwrite=True"):
        mm.export(model, folder)

    def broken(*arguments: Any) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", broken)
        with pytest.raises(OSError, match=r"export could not be written \(no space left\)"):
            mm.export(model, folder, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["export"]
    assert (folder / "signature.json").read_bytes() == before
    mm.export(model, folder, overwrite=True)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"holds notes\.txt"):
        mm.export(model, folder, overwrite=True)


def test_a_compiled_program_answers_as_the_model(exports: Exports) -> None:
    if shutil.which(os.environ.get("CXX", "g++")) is None:
        pytest.skip("there is no C++ compiler")
    pytest.importorskip("onnxscript", reason="compiling takes long: only where all extras are installed")
    model, folder = exports.get("matrix factorisation, pairs", "aoti")
    run = torch._inductor.aoti_load_package(str(folder / "model.pt2"))
    assert_same_answers("matrix factorisation, pairs", model, folder, run)
    rows = [{"user_id": 3, "item_id": 2}, {"user_id": 1, "item_id": 9}]
    columns = {name: torch.tensor([row[name] for row in rows]) for name in rows[0]}
    with torch.no_grad():
        wanted = model.scores(mm.Batch(columns))["item_id_score"]
    with pytest.raises(ValueError, match=r"machine code \(format 'aoti'\), which cannot be checked"):
        ExportedModel(folder)
    found = [answer["item_id_score"] for answer in ExportedModel(folder, trusted=True).answer(rows)]
    assert found == pytest.approx(wanted.tolist(), abs=1e-5)  # type: ignore[union-attr]


def model_config() -> Any:
    """The part of Triton's ModelConfig message that is written, with its numbers of fields."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="config.proto", package="inference", syntax="proto3")
    kinds = file.enum_type.add(name="DataType")
    for number, name in {0: "TYPE_INVALID", 9: "TYPE_INT64", 11: "TYPE_FP32"}.items():
        kinds.value.add(name=name, number=number)
    messages: dict[str, list[tuple[str, int, Any, bool]]] = {
        "Reshape": [("shape", 1, 3, True)],
        "Input": [("name", 1, 9, False), ("data_type", 2, ".inference.DataType", False),
                  ("dims", 4, 3, True), ("reshape", 5, ".inference.Reshape", False)],
        "Output": [("name", 1, 9, False), ("data_type", 2, ".inference.DataType", False),
                   ("dims", 3, 3, True), ("reshape", 5, ".inference.Reshape", False)],
        "DynamicBatching": [],
        "ModelConfig": [("max_batch_size", 4, 5, False), ("input", 5, ".inference.Input", True),
                        ("output", 6, ".inference.Output", True), ("backend", 17, 9, False),
                        ("dynamic_batching", 11, ".inference.DynamicBatching", False)],
    }  # fmt: skip
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for field, number, kind, repeated in fields:
            made = message.field.add(name=field, number=number, label=3 if repeated else 1)
            if isinstance(kind, str):
                made.type, made.type_name = (14 if kind.endswith("DataType") else 11), kind
            else:
                made.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("inference.ModelConfig"))


def test_the_configuration_for_triton_is_that_of_the_program(exports: Exports) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed here")
    from google.protobuf import text_format

    for name in ("two towers", "mmoe"):
        model, folder = exports.get(name, "triton")
        config = text_format.Parse((folder / "config.pbtxt").read_text(), model_config()())
        assert (config.backend, config.max_batch_size) == ("onnxruntime", 256)
        assert config.HasField("dynamic_batching")
        session = onnxruntime.InferenceSession(str(folder / "1" / "model.onnx"))
        types = {"tensor(int64)": 9, "tensor(float)": 11}
        for written, real in ((config.input, session.get_inputs()), (config.output, session.get_outputs())):
            assert {one.name for one in written} == {one.name for one in real}
            tensors = {one.name: one for one in real}
            for one in written:
                shape = [size if isinstance(size, int) else -1 for size in tensors[one.name].shape[1:]]
                assert one.data_type == types[tensors[one.name].type]
                assert list(one.dims) == (shape or [1])
                assert one.HasField("reshape") == (not shape)
                assert not one.reshape.shape
        assert_same_answers(name, model, folder, with_onnx(folder / "1" / "model.onnx"))
        assert ExportedModel(folder).signature["program"] == "1/model.onnx"
