"""What is seen in the columns of data: smallest and largest values, shortest and longest lists."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import pyarrow as pa

from merlin_models_torch.parquet import ParquetInput
from merlin_models_torch.schema.errors import SchemaError

_ROWS = 65_536


@dataclass(frozen=True)
class Facts:
    """Of one column.

    Args:
        low: smallest value; None if none was seen, or the column is not of whole numbers.
        high: largest value.
        shortest: fewest values in a row; None if the column is no list.
        longest: most values in a row.
    """

    low: int | None = None
    high: int | None = None
    shortest: int | None = None
    longest: int | None = None

    def merged(self, other: Facts) -> Facts:
        """Of two parts of one column."""
        return Facts(
            _least(self.low, other.low),
            _most(self.high, other.high),
            _least(self.shortest, other.shortest),
            _most(self.longest, other.longest),
        )


def element_type(arrow: pa.DataType) -> pa.DataType:
    """The type of the values of a column, inside of all lists and dictionaries."""
    while True:
        if hasattr(arrow, "value_type") and not pa.types.is_map(arrow):
            arrow = arrow.value_type
        else:
            return arrow


def is_list(arrow: pa.DataType) -> bool:
    """Whether each row of a column of this type is a list, of any of Arrow's list types."""
    tests = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list, is_list_view)
    return any(test(arrow) for test in tests)


def is_list_view(arrow: pa.DataType) -> bool:
    """Whether it is a list whose values need not lie in the order of the rows."""
    # pyarrow 14 and 15 do not know list views.
    tests = (getattr(pa.types, name, None) for name in ("is_list_view", "is_large_list_view"))
    return any(test is not None and test(arrow) for test in tests)


def facts_of(array: pa.Array | pa.ChunkedArray) -> Facts:
    """What is seen in one array."""
    import pyarrow.compute as pc

    facts = Facts()
    kind = array.type
    if is_list(kind):
        if pa.types.is_fixed_size_list(kind):
            facts = Facts(shortest=kind.list_size, longest=kind.list_size) if len(array) else facts
        else:
            lengths = pc.fill_null(pc.list_value_length(array), 0)
            ends = pc.min_max(lengths).as_py()
            facts = Facts(shortest=ends["min"], longest=ends["max"])
        return facts.merged(_values(pc.list_flatten(array)))
    return facts.merged(_values(array))


def scan_table(table: pa.Table) -> dict[str, Facts]:
    """Of all columns of a table.

    Raises:
        SchemaError: if it has no rows.
    """
    if not table.num_rows:
        raise SchemaError("the table has no rows to infer a schema from: give it some, or give its pa.Schema")
    return {name: facts_of(table[name]) for name in table.column_names}


def parquet_files(source: str | PathLike[str] | Sequence[str | PathLike[str]]) -> list[Path]:
    """The files that a file, several, a glob or a folder means, in order.

    Raises:
        SchemaError: if there are none.
    """
    if not isinstance(source, (str, PathLike)):
        files = [file for one in source for file in parquet_files(one)]
        if not files:
            raise SchemaError("the list of parquet files is empty: name at least one")
        return files
    path = Path(source)
    if path.is_dir():
        inside = (file.relative_to(path) for file in path.rglob("*.parquet"))
        files = [path / file for file in inside if not any(part[0] in "._" for part in file.parts)]
        hint = "has no *.parquet file"
    elif path.is_file():
        return [path]
    else:
        files = [Path(name) for name in glob.glob(os.fspath(source), recursive=True)]
        hint = "is neither a file nor a folder, and fits no files as a pattern"
    if not files:
        raise SchemaError(f"{source} {hint}: check the path of the parquet data")
    return sorted(files)


def parquet_schema(files: Sequence[Path]) -> pa.Schema:
    """Names and types of the columns, which all files must have in common.

    Raises:
        SchemaError: if a file is damaged, or files differ.
    """
    first = _opened(files[0]).schema
    for file in files[1:]:
        other = _opened(file).schema
        ours, theirs = ({one.name: one.type for one in columns} for columns in (first, other))
        differing = sorted(name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name))
        if differing:
            name = differing[0]
            raise SchemaError(
                f"column {name!r} is {ours.get(name, 'missing')} in {files[0]} and "
                f"{theirs.get(name, 'missing')} in {file}: write all files with the same columns"
            )
    return first.remove_metadata()


def scan_files(files: Sequence[Path], columns: pa.Schema) -> dict[str, Facts]:
    """Of all columns of some files: from statistics where the files have them, else row group by row group.

    Raises:
        SchemaError: if a file is damaged, or there are no rows in any.
    """
    facts = {name: Facts() for name in columns.names}
    rows = 0
    for file in files:
        parquet = _opened(file)
        rows += parquet.metadata.num_rows
        unknown = []
        for arrow in columns:
            known = _from_statistics(parquet, arrow)
            if known is None:
                unknown.append(arrow.name)
            else:
                facts[arrow.name] = facts[arrow.name].merged(known)
        for batch in parquet.batches(unknown, _ROWS) if unknown else ():
            for name in unknown:
                facts[name] = facts[name].merged(facts_of(batch.column(name)))
    if not rows:
        raise SchemaError(f"{_listed(files)} has no rows to infer a schema from: write some rows")
    return facts


def _from_statistics(parquet: ParquetInput, arrow: pa.Field) -> Facts | None:
    """Of a scalar column; None if it has to be read."""
    if is_list(arrow.type):
        return None
    if not pa.types.is_integer(arrow.type):
        return None if pa.types.is_boolean(arrow.type) or pa.types.is_dictionary(arrow.type) else Facts()
    facts = Facts()
    for number in range(len(parquet.groups)):
        chunks = parquet.chunks(arrow.name, number)
        if len(chunks) != 1:
            return None
        (chunk,) = chunks
        ends = chunk.bounds(signed=pa.types.is_signed_integer(arrow.type))
        if ends is not None:
            facts = facts.merged(Facts(*ends))
        elif chunk.nulls != chunk.values:
            return None
    return facts


def _values(array: pa.Array | pa.ChunkedArray) -> Facts:
    import pyarrow.compute as pc

    while is_list(array.type):
        array = pc.list_flatten(array)
    if pa.types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    if not (pa.types.is_integer(array.type) or pa.types.is_boolean(array.type)):
        return Facts()
    ends = pc.min_max(array).as_py()
    return Facts() if ends["max"] is None else Facts(int(ends["min"]), int(ends["max"]))


def _opened(file: Path) -> ParquetInput:
    return ParquetInput(file, error=SchemaError)


def _listed(files: Iterable[Path]) -> str:
    first, *others = files
    return f"{first} (with {len(others)} more files)" if others else str(first)


def _least(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else min(a, b)


def _most(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else max(a, b)
