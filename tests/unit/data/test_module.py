"""SessionDataModule: what is missing or wrong in a prepared folder is said before training."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from merlin_models_torch.data import DataError, SessionDataModule, generate_sessions, sessions_from_events
from merlin_models_torch.storage.manifest import write_manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    events = generate_sessions(40, 30, seed=0)
    return sessions_from_events(
        events, tmp_path / "sessions", user="session_id", features=["category"]
    ).folder


@pytest.mark.parametrize(
    "name",
    [
        "train.parquet",
        "valid.parquet",
        "test.parquet",
        "vocabulary/item_id.parquet",
        "vocabulary/category.parquet",
        "schema.pbtxt",
    ],
)
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    text = f"{name} is missing in .*: restore it or prepare the sessions again"
    if name == "schema.pbtxt":
        text = f"holds no {name}: name a folder that sessions_from_events wrote"
    with pytest.raises(DataError, match=text):
        SessionDataModule(folder, batch_size=8)


def test_validation_data_is_checked_before_training(folder: Path) -> None:
    table = pq.read_table(folder / "valid.parquet")
    items = [[*row[:-1], 9999] for row in table["item_id"].to_pylist()]
    column = pa.array(items, table.schema.field("item_id").type)
    broken = table.set_column(table.schema.get_field_index("item_id"), table.schema.field("item_id"), column)
    pq.write_table(broken, folder / "valid.parquet")
    (folder / "manifest.json").unlink()
    write_manifest(folder)
    data = SessionDataModule(folder, batch_size=8)
    with pytest.raises(DataError, match=r"'item_id'.*valid.parquet.*9999"):
        data.setup("fit")


def test_validation_rows_are_read_once(folder: Path) -> None:
    data = SessionDataModule(folder, batch_size=8)
    data.setup("fit")
    assert data.val_dataloader() is data.val_dataloader()
