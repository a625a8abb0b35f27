"""Parquet files that are closed whatever happens."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq


@contextmanager
def parquet_writer(path: str | os.PathLike[str], schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """A writer of a parquet file that is closed when the block ends, by an error too.

    pyarrow's own keeps its file open after an error until Python collects cycles, and with it the room of a
    file that was removed since: on a disk that is full, where the room is needed.

    Args:
        path: of the file; one that is there is replaced.
        schema: of the tables to write.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pa.OSFile(os.fspath(path), "wb") as file:
        writer = pq.ParquetWriter(file, schema)
        try:
            yield writer
        except BaseException:
            with suppress(OSError, pa.ArrowException):
                writer.close()
            raise
        writer.close()
