"""Small tables of sessions and models over them that tests share."""

import numpy as np
import pyarrow as pa

import merlin_models_torch as mm
from tests.unit.schemas import ITEMS, session_schema


def session_table(rows: int = 24, *, seed: int = 0, longest: int = 9, shortest: int = 2) -> pa.Table:
    """Rows that fit :func:`tests.unit.schemas.session_schema`, and a key column ``user_id`` of strings."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(shortest, longest + 1, rows)
    offsets = pa.array(np.concatenate([[0], lengths.cumsum()]).astype(np.int32))
    total = int(lengths.sum())

    def lists(values: np.ndarray) -> pa.Array:
        return pa.ListArray.from_arrays(offsets, pa.array(values))

    return pa.table(
        {
            "item_id": lists(rng.integers(1, ITEMS + 1, total)),
            "category": lists(rng.integers(1, 8, total)),
            "age": lists(rng.random(total, dtype=np.float32)),
            "price": lists(rng.random(total, dtype=np.float32)),
            "country": rng.integers(1, 5, rows),
            "user_id": [f"user {number}" for number in range(rows)],
        }
    )


def session_batch(rows: int = 24, **options: int) -> mm.Batch:
    """The rows of :func:`session_table` as one batch."""
    table = session_table(rows, **options)
    return next(iter(mm.ParquetLoader(table, session_schema(), batch_size=rows)))


def session_model(
    masking: mm.Masking | None = None, *, body: str = "transformer", **output: object
) -> mm.Model:
    """A small model over :func:`tests.unit.schemas.session_schema`."""
    inputs = mm.TabularInputBlock(
        session_schema(),
        embedding_dim=16,
        continuous_projection=8,
        projection=mm.MLPBlock([16]),
        masking=masking or mm.CausalMasking(),
    )
    layers = (
        mm.TransformerBlock(16, heads=2, layers=1, max_length=20, dropout=0.1)
        if body == "transformer"
        else mm.XLNetBlock(16, heads=2, layers=1, dropout=0.1)
    )
    options: dict[str, object] = {"weight_tying": True, "top_ks": (5, 10), **output}
    return mm.Model(inputs, layers, mm.CategoricalOutput(**options))  # type: ignore[arg-type]
