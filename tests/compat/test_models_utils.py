"""``merlin.models.utils`` of 23.12: what its modules give, or what to do instead."""

from __future__ import annotations

import importlib
import io
import logging
import sys

import numpy as np
import pandas as pd
import pytest
from merlin.io import Dataset
from merlin.models.utils.dataset import (
    dataset_to_coo,
    get_item_id_column_name,
    get_schema,
    get_target_column_name,
    get_user_id_column_name,
    unique_by_tag,
    unique_rows_by_features,
)
from merlin.models.utils.dependencies import is_nvtabular_available, is_pyarrow_available
from merlin.models.utils.doc_utils import docstring_parameter
from merlin.models.utils.misc_utils import (
    Timing,
    filter_kwargs,
    get_filenames,
    get_label_feature_name,
    get_object_size,
    get_timestamp_feature_name,
    safe_json,
)
from merlin.schema import ColumnSchema, Schema, Tags
from merlin_migrate.warnings import UnsupportedName

SCHEMA = Schema(
    [
        ColumnSchema("user", tags=[Tags.USER_ID, Tags.USER], dtype=np.int64),
        ColumnSchema("item", tags=[Tags.ITEM_ID, Tags.ITEM], dtype=np.int64),
        ColumnSchema("price", tags=[Tags.ITEM], dtype=np.float32),
        ColumnSchema("click", tags=[Tags.TARGET], dtype=np.int64),
    ]
)
ROWS = pd.DataFrame(
    {
        "user": [0, 1, 1, 2],
        "item": [3, 1, 3, 1],
        "price": np.array([0.5, 0.25, 0.75, 1.0], dtype=np.float32),
        "click": [1, 0, 1, 1],
    }
)


@pytest.fixture
def dataset() -> Dataset:
    return Dataset(ROWS, schema=SCHEMA)


def test_columns_are_found_by_tag(dataset: Dataset) -> None:
    for given in (dataset, SCHEMA):
        assert get_user_id_column_name(given) == "user"
        assert get_item_id_column_name(given) == "item"
        assert get_target_column_name(given) == "click"
        assert get_schema(given).column_names == SCHEMA.column_names
    assert get_target_column_name(SCHEMA.select_by_name(["user"])) is None
    with pytest.raises(ValueError, match="expected a Dataset or a Schema, got a list"):
        get_schema([])
    with pytest.raises(ValueError, match="no column has the tag"):
        get_item_id_column_name(SCHEMA.select_by_name(["user"]))
    two = Schema([ColumnSchema(name, tags=[Tags.TARGET]) for name in "ab"])
    with pytest.raises(ValueError, match=r"\['a', 'b'\] have the tag TARGET, expected one"):
        get_target_column_name(two)


def test_items_come_once_with_their_first_row(dataset: Dataset) -> None:
    items = unique_by_tag(dataset, Tags.ITEM, Tags.ITEM_ID)
    assert items.schema.column_names == ["item", "price"]
    assert items.to_ddf().compute().to_dict("list") == {"item": [3, 1], "price": [0.5, 0.25]}
    with pytest.warns(DeprecationWarning, match="unique_by_tag"):
        users = unique_rows_by_features(dataset, Tags.USER)
    assert users.to_ddf().compute()["user"].tolist() == [0, 1, 2]


def test_a_matrix_of_users_by_items(dataset: Dataset) -> None:
    pytest.importorskip("scipy")
    expected = np.zeros((3, 4), dtype=np.float32)
    expected[[0, 1, 2], [3, 3, 1]] = 1
    np.testing.assert_array_equal(dataset_to_coo(dataset).toarray(), expected)
    prices = dataset_to_coo(dataset, "price").toarray()
    assert prices[1].tolist() == [0, 0.25, 0, 0.75]
    plain = Dataset(ROWS, schema=SCHEMA.excluding_by_name(["click"]))
    assert dataset_to_coo(plain).sum() == 4


def test_arguments_json_and_labels() -> None:
    def takes(a: int, b: int = 1, *, c: int = 2) -> None: ...

    def takes_all(a: int, **rest: int) -> None: ...

    given = {"a": 1, "c": 3, "z": 4}
    assert filter_kwargs(given, takes) == {"a": 1}
    assert filter_kwargs(given, takes_all) == {"a": 1}
    assert filter_kwargs(given, takes_all, cascade_kwargs_if_possible=True) is given
    assert safe_json({"a": [1, 2.0, None, True, ("b",)]})
    assert not safe_json({1: "a"})
    assert not safe_json([object()])
    columns = {"a": {"dtype": "int", "is_label": True}, "t": {"dtype": "timestamp"}}
    assert get_label_feature_name(columns) == "a"
    assert get_timestamp_feature_name(columns) == "t"
    with pytest.raises(ValueError, match="0 columns have is_label"):
        get_label_feature_name({})


def test_files_of_folders_by_pattern(tmp_path: object) -> None:
    from pathlib import Path

    folder = Path(str(tmp_path))
    for name in ("a.parquet", "b.csv"):
        (folder / name).touch()
    assert get_filenames([str(folder)], "*.parquet") == [str(folder / "a.parquet")]
    assert len(get_filenames([str(folder)] * 2)) == 4


def test_times_and_sizes(caplog: pytest.LogCaptureFixture) -> None:
    out = io.StringIO()
    with Timing("reading ", file=out):
        pass
    assert out.getvalue().startswith("reading Done in 0.")
    out = io.StringIO()
    with Timing("reading ", file=out, one_line=False):
        pass
    assert out.getvalue().splitlines()[0] == "reading "
    assert out.getvalue().splitlines()[1].startswith("reading Done in 0.")
    with caplog.at_level(logging.INFO), Timing("writing ", logger=logging.getLogger("timing")):
        pass
    assert caplog.messages[0] == "writing "
    shared = "x" * 1000
    assert get_object_size([shared, shared]) == sys.getsizeof([1, 2]) + sys.getsizeof(shared)
    around: list[object] = []
    around.append(around)
    assert get_object_size(around) == sys.getsizeof(around)


def test_docstrings_are_filled() -> None:
    @docstring_parameter(what="a\nb", extra_padding=2)
    def documented() -> None:
        """Takes {what}."""

    assert documented.__doc__ == "Takes a\n  b."


def test_packages_are_found() -> None:
    assert is_pyarrow_available()
    assert not is_nvtabular_available()


@pytest.mark.parametrize(
    ("module", "name", "text"),
    [
        ("nvt_utils", "require_nvt", "NVTabular is not needed"),
        ("example_utils", "workflow_fit_transform", "ids with mm.Vocabulary"),
        ("example_utils", "save_results", "trainer.validate gives the measures"),
        ("ci_utils", "get_changed_backends", "git diff --name-only"),
        ("misc_utils", "validate_dataset", "Use mm.ParquetLoader instead"),
        ("misc_utils", "get_parquet_files_names", "write them out"),
    ],
)
def test_what_is_not_here_says_what_to_do(module: str, name: str, text: str) -> None:
    found = importlib.import_module(f"merlin.models.utils.{module}")
    with pytest.raises(UnsupportedName, match=text) as raised:
        getattr(found, name)
    assert "migration_guides/from-merlin-models-torch.md#models-and-data" in str(raised.value)
    with pytest.raises(AttributeError):
        found.never_there  # noqa: B018
