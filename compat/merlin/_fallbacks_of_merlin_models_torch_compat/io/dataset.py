"""A data set: where it is, its schema, its rows as a data frame."""

from __future__ import annotations

import copy
import glob
import os
from pathlib import Path
from typing import Any

import numpy as np
from merlin.io._frame import Frame
from merlin.io._partitions import Parts, even, repartitioned
from merlin.io._types import schema_of_types
from merlin.io._write import write_parts

from merlin_models_torch.data.source import ParquetSource
from merlin_models_torch.schema import Schema, as_schema
from merlin_models_torch.schema.facts import parquet_schema
from merlin_models_torch.storage import whole_file

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


class Dataset:
    """Parquet or CSV files, an Arrow table or a data frame, with a schema.

    Args:
        path_or_source: a file, a folder, a glob, several of them, a table, a data frame, or what ``to_ddf``
            of another data set gave.
        engine: "parquet", "csv" or None.
        npartitions: parts of a data frame or table; each parquet file is a part of its own.
        part_size: not used.
        part_mem_fraction: not used.
        storage_options: not used.
        dtypes: of columns that are read in another type.
        client: not used.
        cpu: not used.
        base_dataset: another data set that this one was made of.
        schema: of the columns; if not given, read beside the files or, without tags and domains, made of the
            types of the columns.
        **kwargs: of ``pandas.read_csv`` for CSV files; of other engines they are not used.

    Raises:
        ValueError: for another engine, or if a glob names no file.
        FileNotFoundError: if a file that is named is not there.
    """

    cpu = True

    def __init__(
        self,
        path_or_source: Any,
        engine: Any = None,
        npartitions: int | None = None,
        part_size: Any = None,
        part_mem_fraction: float | None = None,
        storage_options: Any = None,
        dtypes: Any = None,
        client: Any = "auto",
        cpu: bool | None = None,
        base_dataset: Any = None,
        schema: Any = None,
        **kwargs: Any,
    ) -> None:
        if engine not in (None, "parquet", "csv"):
            raise ValueError(
                f"engine is {engine!r}, only 'parquet' and 'csv' are read here: write one of these, or "
                "install merlin-core"
            )
        source = path_or_source.compute() if isinstance(path_or_source, Frame) else path_or_source
        files = _files(source)
        if files is not None and not files:
            raise ValueError(f"no file is named by {path_or_source!r}: check the path")
        if lost := [file for file in files or [] if "://" not in file and not os.path.exists(file)]:
            raise FileNotFoundError(f"there is no file {lost[0]!r}: check the path")
        self.source = source if files is None else files
        if files and (engine == "csv" or files[0].endswith(".csv")):
            self.source = _read_csv(files, kwargs)
        self.dtypes = dtypes
        if dtypes:
            frame = self._rows(None)
            self.source = frame.astype({name: kind for name, kind in dtypes.items() if name in frame})
        self._lengths: list[int] | None = None
        if isinstance(path_or_source, Frame):
            npartitions = npartitions or path_or_source.npartitions
        if npartitions and not isinstance(self.source, list):
            self._lengths = even(self.num_rows, npartitions)
        self.base_dataset = self if base_dataset is None else base_dataset
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

    def _of_parts(self, frames: list[Any]) -> Dataset:
        """A data set of data frames, each a part; its schema has their columns, as far as this one's has."""
        import pandas as pd

        made = Dataset(pd.concat(frames))
        made._lengths = [len(frame) for frame in frames]
        known = [name for name in made.schema.column_names if name in self.schema.column_names]
        made.schema = made.schema + self.schema.select_by_name(known)
        return made

    def _rows(self, columns: Any, count: int | None = None) -> Any:
        """The rows, or the first of them, as a pandas data frame: as it came, or of the table."""
        if hasattr(self.source, "iloc"):
            frame = self.source if columns is None else self.source[list(columns)]
            return frame.copy() if count is None else frame.head(count)
        table = self.to_arrow(columns)
        return (table if count is None else table.slice(0, count)).to_pandas()

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        return ParquetSource(self.source).num_rows if isinstance(self.source, list) else len(self.source)

    @property
    def partition_lens(self) -> list[int]:
        """Rows of each part."""
        if self._lengths is None:
            files = isinstance(self.source, list)
            self._lengths = (
                [ParquetSource([file]).num_rows for file in self.source] if files else [self.num_rows]
            )
        return list(self._lengths)

    @property
    def npartitions(self) -> int:
        """Number of parts: parquet files, or what was asked for."""
        return len(self.partition_lens)

    @property
    def file_partition_map(self) -> dict[str, int]:
        """The number of the part that each parquet file is.

        Raises:
            AttributeError: if the rows are in no files.
        """
        if not isinstance(self.source, list):
            raise AttributeError(
                "file_partition_map: these rows are in no files, so no file is a part of them"
            )
        return {file: i for i, file in enumerate(self.source)}

    def to_arrow(self, columns: list[str] | None = None) -> Any:
        """The rows as an Arrow table."""
        import pyarrow as pa

        if isinstance(self.source, list):
            return ParquetSource(self.source).table(columns)
        table = self.source if isinstance(self.source, pa.Table) else pa.Table.from_pandas(self.source)
        return table if columns is None else table.select(columns)

    def to_ddf(self, columns: Any = None, shuffle: bool = False, seed: int | None = None) -> Frame:
        """The rows, as a pandas data frame by ``compute()``."""
        return Frame(self, [columns] if isinstance(columns, str) else columns)

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
        """The same rows in another number of parts; by size there is one."""
        made = copy.copy(self)
        made._lengths = repartitioned(self.partition_lens, 1 if npartitions is None else npartitions)
        return made

    def shuffle_by_keys(self, keys: Any, hive_data: Any = None, npartitions: int | None = None) -> Dataset:
        """The same rows, those of equal keys in one part.

        Args:
            keys: names of columns.
            hive_data: not used.
            npartitions: how many parts; as many as there are if not given.
        """
        import pandas as pd

        count, frame = npartitions or self.npartitions, self.compute()
        by_key = pd.util.hash_pandas_object(frame[list(keys)], index=False) % count
        made = self._of_parts([frame[by_key == i] for i in range(count)])
        made.schema = self.schema
        return made

    @classmethod
    def merge(cls, left: Dataset, right: Dataset, **kwargs: Any) -> Dataset:
        """The rows of two data sets joined by ``pandas.merge``."""
        return cls(left.compute().merge(right.compute(), **kwargs))

    def to_cpu(self) -> None:
        """Nothing: rows are on the CPU."""

    def to_iter(
        self,
        columns: Any = None,
        indices: Any = None,
        shuffle: bool = False,
        seed: int | None = None,
        use_file_metadata: Any = None,
        epochs: int = 1,
    ) -> Parts:
        """The parts as pandas data frames; its length is the number of rows.

        Args:
            columns: names; all if not given.
            indices: numbers of the parts; all if not given.
            shuffle: whether parts and rows come in another order in each epoch.
            seed: of these orders.
            use_file_metadata: not used.
            epochs: how often.
        """
        names = [columns] if isinstance(columns, str) else columns
        options = {"indices": indices, "shuffle": shuffle, "seed": seed, "epochs": epochs}
        return Parts(self._rows(names), self.partition_lens, **options)

    def sample_dtypes(self, n: int = 1, annotate_lists: bool = False) -> Any:
        """Types of the columns in the first rows, as pandas has them.

        Args:
            n: rows.
            annotate_lists: gives by column its type, or that of its lists' values, and whether it has lists.
        """
        frame = self.head(n)
        if not annotate_lists:
            return frame.dtypes
        lists = {name: self.schema[name].is_list for name in frame.columns}
        inner = {
            name: self.schema[name].dtype.to_numpy if lists[name] else frame[name].dtype for name in lists
        }
        return {name: {"dtype": inner[name], "is_list": lists[name]} for name in lists}

    def infer_schema(self, n: int = 1) -> Schema:
        """Takes the schema that the types of the columns speak for.

        Args:
            n: rows that merlin-core looks at; not used.
        """
        self.schema = self._of_types()
        return self.schema

    def to_npy(self, output_file: str, append: bool = False) -> None:
        """Writes the values as a matrix of NumPy.

        Args:
            output_file: its path.
            append: whether they come after the rows that are there.
        """
        rows = self.compute().to_numpy()
        before = [np.load(output_file)] if append and os.path.exists(output_file) else []
        with whole_file(Path(output_file)) as work, open(work, "wb") as file:
            np.save(file, np.concatenate([*before, rows]))

    def to_parquet(
        self,
        output_path: str,
        shuffle: Any = None,
        preserve_files: bool = False,
        output_files: Any = None,
        out_files_per_proc: int | None = None,
        row_group_size: int | None = None,
        num_threads: int = 0,
        dtypes: Any = None,
        cats: Any = None,
        conts: Any = None,
        labels: Any = None,
        suffix: str = ".parquet",
        **kwargs: Any,
    ) -> None:
        """Writes one parquet file for each part, and the schema beside them, into a folder.

        Args:
            output_path: the folder.
            shuffle: ``Shuffle.FULL`` moves rows among all, the others within their file.
            preserve_files: not used: each file that was read is a part.
            output_files: how many files, their names, or the numbers of the parts that each name has.
            out_files_per_proc: how many files.
            row_group_size: rows of a row group.
            num_threads: not used.
            dtypes: of columns that are written in another type.
            cats: not used.
            conts: not used.
            labels: not used.
            suffix: of names that are not given.
            **kwargs: of merlin-core's Dataset; not used.
        """
        folder = Path(output_path)
        folder.mkdir(parents=True, exist_ok=True)
        write_parts(
            self.to_arrow(),
            self.partition_lens,
            folder,
            files=output_files if output_files is not None else out_files_per_proc,
            shuffle=shuffle,
            row_group_size=row_group_size,
            dtypes=dtypes,
            suffix=suffix,
        )
        self.schema.save(folder / "schema.pbtxt")


def _read_csv(files: list[str], options: dict[str, Any]) -> Any:
    import pandas as pd

    frames = [pd.read_csv(file, **options) for file in files]
    return pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]
