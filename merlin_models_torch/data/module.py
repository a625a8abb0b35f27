"""The loaders of a prepared folder, for a Lightning Trainer."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from lightning.pytorch import LightningDataModule

from merlin_models_torch.data.loader import ParquetLoader
from merlin_models_torch.data.session_files import SessionFiles


class SessionDataModule(LightningDataModule):
    """Training, validation, test and prediction loaders over what ``sessions_from_events`` wrote.

    Args:
        folder: what ``sessions_from_events`` wrote, or what it returned.
        batch_size: rows of a training batch.
        evaluation_batch_size: rows of other batches; as ``batch_size`` if None.
        max_sequence_length: see :class:`ParquetLoader`.
        keep: see :class:`ParquetLoader`.
        bucket: see :class:`ParquetLoader`; for training.
        drop_last: see :class:`ParquetLoader`; for training.
        seed: of the training order.
        targets: see :class:`ParquetLoader`.
        memory_limit: see :class:`ParquetLoader`.

    Raises:
        DataError: if the folder was not written by ``sessions_from_events``.

    Example:
        >>> module = SessionDataModule(files, batch_size=8)
        >>> module.setup("fit")
        >>> len(next(iter(module.train_dataloader())))
        8
    """

    def __init__(
        self,
        folder: str | os.PathLike[str] | SessionFiles,
        *,
        batch_size: int,
        evaluation_batch_size: int | None = None,
        max_sequence_length: int | None = None,
        keep: Literal["latest", "oldest"] = "latest",
        bucket: int | None = None,
        drop_last: bool = False,
        seed: int = 0,
        targets: Iterable[str] | None = None,
        memory_limit: int = 4 * 2**30,
    ) -> None:
        super().__init__()
        self.files = folder if isinstance(folder, SessionFiles) else SessionFiles.load(folder)
        self.schema = self.files.schema
        self.batch_size = batch_size
        self.evaluation_batch_size = evaluation_batch_size or batch_size
        self.max_sequence_length = max_sequence_length
        self.keep: Literal["latest", "oldest"] = keep
        self.bucket = bucket
        self.drop_last = drop_last
        self.seed = seed
        self.targets = None if targets is None else tuple(targets)
        self.memory_limit = memory_limit
        self._validation: ParquetLoader | list[ParquetLoader] | None = None

    def setup(self, stage: str) -> None:
        """Checks validation data before training begins, not after its first epoch."""
        if stage == "fit":
            self.val_dataloader()

    def train_dataloader(self) -> ParquetLoader:
        """Shuffled training rows."""
        return self._loader(self.files.train, training=True)

    def val_dataloader(self) -> ParquetLoader | list[ParquetLoader]:
        """Validation rows in order; no loader if the split has none."""
        if self._validation is None:
            self._validation = self._loader(self.files.valid) if self.files.valid else []
        return self._validation

    def test_dataloader(self) -> ParquetLoader | list[ParquetLoader]:
        """Test rows in order; no loader if the split has none."""
        return self._loader(self.files.test) if self.files.test else []

    def predict_dataloader(self) -> ParquetLoader:
        """Whole sessions, to answer what comes next: the test rows, or all rows if there is no split."""
        return self._loader(self.files.test or self.files.train)

    def _loader(self, files: tuple[Path, ...], *, training: bool = False) -> ParquetLoader:
        return ParquetLoader(
            files,
            self.schema,
            batch_size=self.batch_size if training else self.evaluation_batch_size,
            targets=self.targets,
            shuffle=training,
            seed=self.seed,
            max_sequence_length=self.max_sequence_length,
            keep=self.keep,
            bucket=self.bucket if training else None,
            drop_last=training and self.drop_last,
            memory_limit=self.memory_limit,
        )
