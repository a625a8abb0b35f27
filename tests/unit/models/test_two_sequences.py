"""Two sequences in one model: viewed items, and categories searched for, of different lengths."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

import merlin_models_torch as mm
from tests.unit.schemas import categorical
from tests.unit.training.test_model import trainer

ITEMS = 12


def schema() -> mm.Schema:
    return mm.Schema([categorical("item_id", ITEMS, mm.Tags.ITEM_ID), categorical("searched", 4)])


def table(rows: int = 160) -> pa.Table:
    """The next item is one of the last category searched for; the items before tell nothing."""
    rng = np.random.default_rng(0)
    searched = [rng.integers(1, 5, rng.integers(1, 7)).tolist() for _ in range(rows)]
    viewed = [
        [*rng.integers(1, ITEMS + 1, rng.integers(1, 5)).tolist(), 1 + 3 * (row[-1] - 1)] for row in searched
    ]
    return pa.table({"item_id": viewed, "searched": searched})


@mm.serializable
class LastSearch(torch.nn.Module):
    """A GRU of its own over the searches of each row, and its state after the last."""

    def __init__(self, columns: mm.Schema) -> None:
        super().__init__()
        self.inputs = mm.TabularInputBlock(columns, embedding_dim=8)
        self.body = torch.nn.GRU(8, 8, batch_first=True)

    def forward(self, batch: mm.Batch) -> torch.Tensor:
        ready, lengths = self.inputs.prepare(batch.select(["searched"]))
        states: torch.Tensor = self.body(self.inputs(ready))[0]
        assert lengths is not None
        return states[torch.arange(len(states)), lengths - 1]


def model() -> mm.Model:
    torch.manual_seed(0)
    viewed = mm.TabularInputBlock(
        schema().select_by_name(["item_id"]), embedding_dim=8, masking=mm.CausalMasking(targets="last")
    )
    return mm.Model(
        viewed,
        mm.GRUBlock(8),
        mm.LateFusion(LastSearch(schema().select_by_name(["searched"]))),
        mm.CategoricalOutput(metrics=("recall",), top_ks=(1,)),
        optimizer=mm.OptimizerConfig(lr=0.02),
    )


@pytest.mark.filterwarnings("ignore:The number of training batches:UserWarning")
def test_the_second_sequence_tells_what_the_first_does_not() -> None:
    made = model()
    assert made.schema.column_names == ["item_id", "searched"]
    data = mm.ParquetLoader(table(), schema(), batch_size=32, shuffle=True)
    run = trainer(max_epochs=15)
    run.fit(made, data)
    assert run.validate(made, data, verbose=False)[0]["val_recall_at_1"] > 0.9


def test_each_sequence_keeps_its_length_and_padding_changes_nothing(tmp_path: Path) -> None:
    made = model().eval()
    together = mm.ParquetLoader(table(30), schema(), batch_size=30)
    alone = mm.ParquetLoader(table(30), schema(), batch_size=1)
    expected = torch.cat([made(batch) for batch in alone])
    torch.testing.assert_close(made(next(iter(together))), expected)
    made.save(tmp_path / "model")
    assert torch.equal(
        mm.load(tmp_path / "model", trusted=["tests"])(next(iter(together))), made(next(iter(together)))
    )


@pytest.mark.parametrize("masking", [mm.CausalMasking(), None])
def test_lists_of_different_lengths_do_not_go_together_position_by_position(
    masking: mm.Masking | None,
) -> None:
    batch = next(iter(mm.ParquetLoader(table(8), schema(), batch_size=8)))
    inputs = mm.TabularInputBlock(schema(), embedding_dim=8, masking=masking)
    text = r"row \d of the batch has \d values in list column 'searched' where 'item_id' has \d: combine it"
    with pytest.raises(ValueError, match=text):
        inputs.for_prediction(batch)
    combined = mm.TabularInputBlock(schema(), embedding_dim=8, masking=masking, combiner={"searched": "mean"})
    assert combined(combined.for_prediction(batch)).shape[-1] == 16
