"""A data set: where it is, its schema, its rows as a data frame."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from merlin.io._types import schema_of_types

from merlin_models_torch.data.source import ParquetSource
from merlin_models_torch.schema import Schema, as_schema
from merlin_models_torch.schema.facts import parquet_schema
from merlin_models_torch.storage import parquet_writer, whole_file

MERLIN_METADATA_DIR_NAME = ".merlin"


def _files(source: Any) -> list[str] | None:
    """Paths that a source names, None if it is no path."""
    if isinstance(source, str | os.PathLike):
        path = os.fspath(source)
        if os.path.isfile(path):
            return [path]  # whatever its name looks like
        pattern = os.path.join(glob.escape(path), "*.parquet") if os.path.isdir(path) else path
        return sorted(glob.glob(pattern)) if glob.has_magic(pattern) else [path]
    if isinstance(source, list | tuple) and source and all(isinstance(p, str | os.PathLike) for p in source):
        return [file for path in source for file in _files(path) or []]
    return None


def _schema_file(file: str) -> Path | None:
    """The schema in the folder of a file or in the one above it, where merlin-core looks for it."""
    folder = Path(file).parent
    places = (
        folder / MERLIN_METADATA_DIR_NAME / "schema.json",
        folder.parent / MERLIN_METADATA_DIR_NAME / "schema.json",
        folder / "schema.pbtxt",
        folder.parent / "schema.pbtxt",
    )
    return next((place for place in places if place.is_file()), None)


class _Frame:
    """The rows, loaded when asked for: as much of a Dask data frame as programs use."""

    def __init__(self, dataset: Dataset, columns: list[str] | None) -> None:
        self._dataset = dataset
        self._table_columns = columns

    npartitions = 1

    def compute(self, **kwargs: Any) -> Any:
        """All rows as a pandas data frame.

        Args:
            **kwargs: of Dask, such as ``scheduler``; not used.
        """
        return self._dataset.to_arrow(self._table_columns).to_pandas()

    def head(self, n: int = 5, npartitions: int = 1, compute: bool = True) -> Any:
        """The first rows as a pandas data frame."""
        return self._dataset.to_arrow(self._table_columns).slice(0, n).to_pandas()

    def tail(self, n: int = 5, compute: bool = True) -> Any:
        """The last rows as a pandas data frame."""
        return self.compute().tail(n)

    def persist(self, **kwargs: Any) -> _Frame:
        """The frame itself."""
        return self

    @property
    def columns(self) -> Any:
        """Names of the columns."""
        return self.head(0).columns

    def __getitem__(self, columns: str | list[str]) -> Any:
        """Some columns as a frame, or one as a pandas series."""
        if isinstance(columns, str):
            return self.compute()[columns]
        return _Frame(self._dataset, list(columns))

    def __len__(self) -> int:
        return self._dataset.num_rows


class Dataset:
    """Parquet files, an Arrow table or a data frame, with a schema.

    Args:
        path_or_source: a file, a folder, a glob, several of them, a table or a data frame.
        engine: "parquet" or None.
        schema: of the columns; if not given, read beside the files or, without tags and domains, made of the
            types of the columns.
        **kwargs: of merlin-core's Dataset (partitions, memory, devices); not used.

    Raises:
        ValueError: for another engine, or if a glob names no file.
    """

    def __init__(self, path_or_source: Any, engine: Any = None, schema: Any = None, **kwargs: Any) -> None:
        if engine not in (None, "parquet"):
            raise ValueError(
                f"engine is {engine!r}, only 'parquet' is read here: write parquet, or install merlin-core"
            )
        files = _files(path_or_source)
        if files is not None and not files:
            raise ValueError(f"no file is named by {path_or_source!r}: check the path")
        self.source = path_or_source if files is None else files
        if schema is None:
            found = _schema_file(files[0]) if files else None
            schema = Schema.load(found) if found else self._of_types()
        self.schema = as_schema(schema)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"a Dataset has no {name!r} here: ask to_arrow() or to_ddf().compute() for its rows, or install "
            "merlin-core (Python below 3.12, pandas below 1.6), whose Dataset then takes its place"
        )

    def _of_types(self) -> Schema:
        files = isinstance(self.source, list)
        return schema_of_types(parquet_schema(self.source) if files else self.to_arrow(None).schema)

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        return ParquetSource(self.source).num_rows if isinstance(self.source, list) else len(self.source)

    def to_arrow(self, columns: list[str] | None = None) -> Any:
        """The rows as an Arrow table."""
        import pyarrow as pa

        if isinstance(self.source, list):
            return ParquetSource(self.source).table(columns)
        table = self.source if isinstance(self.source, pa.Table) else pa.Table.from_pandas(self.source)
        return table if columns is None else table.select(columns)

    def to_ddf(self, columns: Any = None, shuffle: bool = False, seed: int | None = None) -> _Frame:
        """The rows, as a pandas data frame by ``compute()``."""
        return _Frame(self, [columns] if isinstance(columns, str) else columns)

    npartitions = 1
    cpu = True

    def head(self, n: int = 5) -> Any:
        """The first rows as a pandas data frame."""
        return self.to_ddf().head(n)

    def tail(self, n: int = 5) -> Any:
        """The last rows as a pandas data frame."""
        return self.to_ddf().tail(n)

    def compute(self, **kwargs: Any) -> Any:
        """All rows as a pandas data frame."""
        return self.to_ddf().compute(**kwargs)

    def persist(self, **kwargs: Any) -> Any:
        """The rows, as :meth:`to_ddf` gives them."""
        return self.to_ddf()

    def repartition(self, npartitions: int | None = None, partition_size: Any = None) -> Dataset:
        """This data set; rows are not partitioned here."""
        return self

    def to_cpu(self) -> None:
        """Nothing: rows are on the CPU."""

    def to_iter(
        self,
        columns: Any = None,
        shuffle: bool = False,
        seed: int | None = None,
        epochs: int = 1,
        **kwargs: Any,
    ) -> Iterator[Any]:
        """The rows as one pandas data frame for each epoch.

        Args:
            columns: names; all if not given.
            shuffle: whether rows come in another order in each epoch.
            seed: of these orders.
            epochs: how often.
            **kwargs: of merlin-core's Dataset (partitions and their order); not used.
        """
        frame = self.to_ddf(columns).compute()
        for epoch in range(epochs):
            yield (
                frame.sample(frac=1, random_state=None if seed is None else seed + epoch)
                if shuffle
                else frame
            )

    def infer_schema(self, n: int = 1) -> Schema:
        """Takes the schema that the types of the columns speak for.

        Args:
            n: rows that merlin-core looks at; not used.
        """
        self.schema = self._of_types()
        return self.schema

    def to_parquet(self, output_path: str, **kwargs: Any) -> None:
        """Writes one parquet file, and the schema beside it, into a folder."""
        folder = Path(output_path)
        folder.mkdir(parents=True, exist_ok=True)
        rows = self.to_arrow()
        with whole_file(folder / "part_0.parquet") as work, parquet_writer(work, rows.schema) as writer:
            writer.write_table(rows)
        self.schema.save(folder / "schema.pbtxt")
