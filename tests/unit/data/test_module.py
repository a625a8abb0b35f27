"""SessionDataModule: what is missing or wrong in a prepared folder is said before training."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from merlin_models_torch.data import DataError, SessionDataModule, generate_sessions, sessions_from_events


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    events = generate_sessions(40, 30, seed=0)
    return sessions_from_events(
        events, tmp_path / "sessions", user="session_id", features=["category"]
    ).folder


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("train.parquet", "holds no train.parquet"),
        ("valid.parquet", "lacks valid.parquet"),
        ("test.parquet", "lacks test.parquet"),
        ("vocabulary/item_id.parquet", "lacks vocabulary/item_id.parquet"),
        ("vocabulary/category.parquet", "lacks vocabulary/category.parquet"),
        ("schema.pbtxt", "holds no schema.pbtxt"),
    ],
)
def test_a_missing_file_is_named(folder: Path, name: str, text: str) -> None:
    (folder / name).unlink()
    with pytest.raises(DataError, match=f"{text}: name a folder that sessions_from_events wrote"):
        SessionDataModule(folder, batch_size=8)


def test_validation_data_is_checked_before_training(folder: Path) -> None:
    table = pq.read_table(folder / "valid.parquet")
    items = [[*row[:-1], 9999] for row in table["item_id"].to_pylist()]
    column = pa.array(items, table.schema.field("item_id").type)
    broken = table.set_column(table.schema.get_field_index("item_id"), table.schema.field("item_id"), column)
    pq.write_table(broken, folder / "valid.parquet")
    data = SessionDataModule(folder, batch_size=8)
    with pytest.raises(DataError, match=r"'item_id'.*valid.parquet.*9999"):
        data.setup("fit")


def test_validation_rows_are_read_once(folder: Path) -> None:
    data = SessionDataModule(folder, batch_size=8)
    data.setup("fit")
    assert data.val_dataloader() is data.val_dataloader()
