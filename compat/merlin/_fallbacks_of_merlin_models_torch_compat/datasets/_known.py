"""The schemas of the known data sets, from small text files: a line for each column.

A line is name, type, tags and domain, then what else there is to know:

* ``lists=4..48``, ``lists=4..`` or ``lists=50``: values in a row;
* ``rows``: a scalar column whose shape is known;
* ``domain=other``: the name of the domain, where it is not the column's;
* ``encoded``: ids that NVTabular's Categorify made, with the properties it left. The line ``encoded`` at
  the head of a file has ``start_index``, ``max_size`` and how many ids there are beyond the largest
  (``spare``); ``encoded=5000`` says how many ids there are, ``start_index=`` that it is not known.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from merlin.schema import ColumnSchema, Schema

FOLDER = Path(__file__).parent / "known"
NAMES = (
    *("e-commerce", "e-commerce-large", "music-streaming", "social", "testing", "sequence-testing"),
    *(
        "movielens-25m",
        "movielens-1m",
        "movielens-1m-raw-ratings",
        "movielens-100k",
        "tenrec-video",
        "criteo",
    ),
    *("aliccp", "aliccp-raw", "dressipi2022-preprocessed", "booking.com", "booking.com-raw", "transactions"),
    *("sigir-browsing", "sigir-sku"),
)
KNOWN_DATASETS: dict[str, Path] = {name: FOLDER / f"{name}.txt" for name in NAMES}


def read_known(path: Path) -> Schema:
    """The schema that a file of this folder describes."""
    columns, shared = [], {}
    for line in path.read_text(encoding="utf-8").splitlines():
        first, *rest = line.split()
        if first == "encoded":
            shared = dict(word.split("=") for word in rest)
        else:
            columns.append(_column(first, rest, shared))
    return Schema(columns)


def _column(name: str, words: list[str], shared: dict[str, str]) -> ColumnSchema:
    dtype, tags, bounds, *rest = words
    options = {key: value for key, _, value in (word.partition("=") for word in rest)}
    number = float if dtype.startswith("float") else int
    properties: dict[str, Any] = {}
    if bounds != "-":
        domain_name = options.get("domain", name)
        low, _, high = bounds.partition("..")
        properties["domain"] = {"min": number(low), "max": number(high)}
        if domain_name:
            properties["domain"]["name"] = domain_name
        if "encoded" in options:
            ids = options["encoded"] or int(high) + int(shared["spare"])
            start = options.get("start_index", shared["start_index"])
            properties.update(_encoded(domain_name, float(ids), start, float(shared["max_size"])))
    dims: Any = None
    if "lists" in options:
        low, between, high = options["lists"].partition("..")
        dims = ((0, None), (int(low), int(high) if high else None) if between else int(low))
    elif "rows" in options:
        dims = ((0, None),)
    known = [] if tags == "-" else tags.split(",")
    return ColumnSchema(name, tags=known, properties=properties, dtype=dtype, dims=dims)


def _encoded(name: str, ids: float, start_index: str, max_size: float) -> dict[str, Any]:
    """What Categorify notes of a column; its width of an embedding grows with the number of ids."""
    width = float(min(512, max(16, round(1.6 * ids**0.56))))
    noted: dict[str, Any] = {
        "embedding_sizes": {"cardinality": ids, "dimension": width},
        "cat_path": f".//categories/unique.{name}.parquet",
        "num_buckets": None,
        "freq_threshold": 0.0,
        "max_size": max_size,
    }
    return noted | ({"start_index": float(start_index)} if start_index else {})
