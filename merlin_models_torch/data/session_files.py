"""What ``sessions_from_events`` leaves in a folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, unquote

from merlin_models_torch.data.errors import DataError
from merlin_models_torch.data.source import ParquetSource
from merlin_models_torch.data.vocabulary import Vocabulary
from merlin_models_torch.schema import Schema, Tags
from merlin_models_torch.storage import SavedFolderError, verify

SCHEMA = "schema.pbtxt"
VOCABULARY = "vocabulary"
SPLITS = ("train", "valid", "test")
T = TypeVar("T")


@dataclass(frozen=True)
class SessionFiles:
    """A folder of sessions: parquet files of each split, the schema and the vocabularies.

    Args:
        folder: where all of it lies.
        train: parquet files of training rows.
        valid: parquet files of validation rows, empty without a split.
        test: parquet files of test rows, empty without a split.
        schema: of all files.
        vocabularies: by domain; that of the items has the name of the item column.
        counts: rows of each split ("train", "valid", "test").

    Example:
        >>> files.counts["train"] > 0, files.train[0].suffix
        (True, '.parquet')
        >>> files.schema.select(mm.Tags.ITEM_ID).column_names
        ['item_id']
    """

    folder: Path
    train: tuple[Path, ...]
    valid: tuple[Path, ...]
    test: tuple[Path, ...]
    schema: Schema
    vocabularies: Mapping[str, Vocabulary]
    counts: Mapping[str, int]

    @property
    def windows(self) -> tuple[Path, ...]:
        """All files in the order of time, for training and evaluation window by window."""
        return (*self.train, *self.valid, *self.test)

    @classmethod
    def load(cls, folder: str | os.PathLike[str], *, contents: bool = True) -> SessionFiles:
        """Reads what ``sessions_from_events`` wrote.

        Args:
            folder: that it wrote.
            contents: compare every byte with the manifest, which reads all files once; else their names and
                sizes only.

        Raises:
            DataError: if the folder lacks a file, or one was changed or added.
        """
        folder = Path(folder)
        fix = "name a folder that sessions_from_events wrote"
        if not folder.is_dir():
            raise DataError(f"there is no folder {folder}: {fix}")
        if not (folder / SCHEMA).is_file():
            raise DataError(f"folder {folder} holds no {SCHEMA}: {fix}")
        try:
            verify(folder, again="prepare the sessions again", contents=contents)
        except SavedFolderError as error:
            raise DataError(str(error)) from error
        # After window-9999 names become longer.
        windows = tuple(sorted(folder.glob("window-*.parquet"), key=lambda file: (len(file.name), file.name)))
        if windows:
            splits = by_window(windows)
        else:
            splits = {name: _present(folder / f"{name}.parquet") for name in SPLITS}
            if bool(splits["valid"]) != bool(splits["test"]):
                lost = "test" if splits["valid"] else "valid"
                raise DataError(f"folder {folder} lacks {lost}.parquet: {fix}")
        if not splits["train"]:
            raise DataError(f"folder {folder} holds no train.parquet: {fix}")
        schema = Schema.load(folder / SCHEMA)
        for column in schema.select(Tags.CATEGORICAL):
            file = vocabulary_file(folder, schema.domain_name(column.name))
            if not file.is_file():
                raise DataError(f"folder {folder} lacks {VOCABULARY}/{file.name}: {fix}")
        return cls(
            folder,
            splits["train"],
            splits["valid"],
            splits["test"],
            schema,
            {unquote(f.stem): Vocabulary.load(f) for f in sorted((folder / VOCABULARY).glob("*.parquet"))},
            {name: ParquetSource([str(file) for file in files]).num_rows for name, files in splits.items()},
        )


def by_window(windows: tuple[T, ...]) -> dict[str, tuple[T, ...]]:
    """The last window is for the test, the one before it for validation, all others for training.

    Of fewer than three windows the first stay training, so that there is always something to train on.
    """
    test = windows[-1:] if len(windows) > 1 else ()
    valid = windows[-2:-1] if len(windows) > 2 else ()
    return {"train": windows[: len(windows) - len(valid) - len(test)], "valid": valid, "test": test}


def vocabulary_file(folder: Path, domain: str) -> Path:
    """Where the vocabulary of a domain lies."""
    return folder / VOCABULARY / f"{quote(domain, safe=' ')}.parquet"


def _present(path: Path) -> tuple[Path, ...]:
    return (path,) if path.is_file() else ()
