"""Every public name shows what it is for: an example that runs, the errors it raises, the shapes it takes.

That arguments and results are described is looked at in ``test_public.py``.
"""

from __future__ import annotations

import ast
import copy
import doctest
import inspect
import os
import re
import sys
import textwrap
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import nn

import merlin_models_torch as mm

PACKAGES = (
    "",
    ".cli",
    ".data",
    ".distributed",
    ".exporting",
    ".exporting.reader",
    ".masking",
    ".metrics",
    ".outputs",
    ".retrieval",
    ".schema",
    ".training",
)
NEEDS = {
    "HuggingFaceBlock": "transformers",
    "FaissIndex": "faiss",
    "predict_with_dask": "dask",
    "use_torchrec": "torchrec",
}
SHAPE = re.compile(r"\((\.\.\.|[A-Z]|count|capacity)(, [^()]+)*,?\)|a scalar")


def named() -> dict[str, Any]:
    """Public classes and functions of the packages that users meet, each once."""
    found: dict[str, Any] = {}
    for package in PACKAGES:
        home = import_module("merlin_models_torch" + package)
        for name in home.__all__:
            public = getattr(home, name)
            if inspect.isclass(public) or inspect.isfunction(public):
                found.setdefault(name, public)
    return found


PUBLIC = named()
FORWARDS = {
    name: public.forward
    for name, public in PUBLIC.items()
    if inspect.isclass(public) and issubclass(public, nn.Module)
    if public.forward.__module__.startswith("merlin_models_torch")
}


def click_schema() -> mm.Schema:
    """Rows without sequences: a user, an item and a label."""
    return mm.Schema.infer(
        clicks(),
        user_id="user_id",
        item_id="item_id",
        targets="click",
        tags={"age": mm.Tags.USER, "price": mm.Tags.ITEM, "click": mm.Tags.BINARY_CLASSIFICATION},
    )


def clicks() -> pa.Table:
    """Rows of :func:`click_schema`."""
    rng = np.random.default_rng(0)
    return pa.table(
        {
            "user_id": rng.permutation(np.arange(40) % 8 + 1),
            "item_id": rng.permutation(np.arange(40) % 10 + 1),
            "age": rng.random(40, dtype=np.float32),
            "price": rng.random(40, dtype=np.float32),
            "click": rng.integers(0, 2, 40),
        }
    )


@pytest.fixture(scope="module")
def taken_for_granted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The names that examples use without saying where they come from, as CONTRIBUTING lists them."""
    folder = tmp_path_factory.mktemp("examples")
    events = mm.data.generate_sessions(40, 20, clusters=2, seed=0)
    files = mm.data.sessions_from_events(
        events, folder / "sessions", user="session_id", time="timestamp", features=["category", "price"]
    )
    loader = mm.ParquetLoader(files.train, files.schema, batch_size=8)
    return {
        **PUBLIC,
        "mm": mm,
        "torch": torch,
        "nn": nn,
        "np": np,
        "pa": pa,
        "events": events,
        "files": files,
        "schema": files.schema,
        "loader": loader,
        "batch": next(iter(loader)),
        "model": mm.SessionModel(files, dim=8, layers=1, max_sequence_length=30).eval(),
        "clicks": clicks(),
        "click_schema": click_schema(),
    }


@pytest.fixture
def process_group(tmp_path: Path) -> Iterator[None]:
    """Of this process alone. The variables that Lightning sets would mislead programs of other tests."""
    with mock.patch.dict(os.environ):
        torch.distributed.init_process_group(
            "gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1
        )
        yield
        torch.distributed.destroy_process_group()


def examples(public: Any) -> list[doctest.DocTest]:
    """Those of a name, its own first, and of its methods."""
    module = sys.modules[public.__module__]
    finder = doctest.DocTestFinder(recurse=inspect.isclass(public), exclude_empty=False)
    found = finder.find(public, public.__name__, module=module, globs={})
    return sorted(found, key=lambda test: test.name != public.__name__)


@pytest.mark.filterwarnings("ignore:transformers4rec.torch.utils.data_utils.MerlinDataLoader is deprecated")
@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_examples_run(
    name: str,
    taken_for_granted: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    public = PUBLIC[name]
    if inspect.isclass(public) and issubclass(public, Exception):
        return
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    if public.__module__.startswith("merlin_models_torch.distributed"):
        request.getfixturevalue("process_group")
    monkeypatch.chdir(tmp_path)
    own, *of_methods = examples(public)
    assert own.examples, f"the docstring of {name} has no example"
    assert any(example.want for example in own.examples), f"the example of {name} shows no result"
    for test in (own, *of_methods):
        skipped = [example.source for example in test.examples if doctest.SKIP in example.options]
        assert not skipped, f"{test.name} has examples that are not run: {skipped}"
        torch.manual_seed(0)
        test.globs.update(taken_for_granted, model=copy.deepcopy(taken_for_granted["model"]))
        said: list[str] = []
        result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=said.append)
        assert not result.failed, "".join(said)


def raised(function: Any) -> set[str]:
    """Classes of the errors that a function raises itself."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    calls = [node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise)]
    return {call.func.id for call in calls if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)}


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_errors_are_described(name: str) -> None:
    public = PUBLIC[name]
    makers = [public]
    if inspect.isclass(public):
        makers = [vars(public)[one] for one in ("__init__", "__post_init__") if one in vars(public)]
    wanted: set[str] = set()
    for maker in map(inspect.unwrap, makers):
        if inspect.getsourcefile(maker) == inspect.getsourcefile(public):
            wanted |= raised(maker)
    section = (inspect.getdoc(public) or "").partition("Raises:\n")[2].partition("\n\n")[0]
    missing = {error for error in wanted if not re.search(rf"^ {{4}}{error}: \S", section, re.MULTILINE)}
    assert not missing, f"{name} does not describe {sorted(missing)} under Raises"


@pytest.mark.parametrize("name", sorted(FORWARDS))
def test_forward_says_its_shapes(name: str) -> None:
    doc = inspect.getdoc(FORWARDS[name]) or ""
    assert SHAPE.search(doc), f"{name}.forward gives no shape:\n{doc}"
