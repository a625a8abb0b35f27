"""TabularInputBlock: what it computes, by hand; padding; what is refused."""

import pytest
import torch

import merlin_models_torch as mm
from tests.unit.schemas import categorical, continuous, session_schema
from tests.unit.sessions import session_batch


def built(**options: object) -> tuple[mm.TabularInputBlock, mm.Batch, torch.Tensor]:
    torch.manual_seed(0)
    inputs = mm.TabularInputBlock(session_schema(), embedding_dim=4, **options)  # type: ignore[arg-type]
    batch, _ = inputs.prepare(session_batch(6))
    return inputs, batch, inputs(batch)


def test_vectors_are_joined_in_the_order_of_names() -> None:
    inputs, batch, outputs = built()
    steps = outputs.shape[1]
    expected = torch.cat(
        [
            batch["age"][..., None],
            inputs.tables["category"](batch["category"]),
            inputs.tables["country"](batch["country"])[:, None].expand(-1, steps, -1),
            inputs.tables["item_id"](batch["item_id"]),
            batch["price"][..., None],
        ],
        -1,
    )
    assert torch.equal(outputs, expected)


def test_continuous_columns_are_projected_together() -> None:
    inputs, batch, outputs = built(continuous_projection=[5, 3])
    both = torch.stack([batch["age"], batch["price"]], -1)
    assert inputs.continuous_projection is not None
    # continuous_projection comes after category and before country.
    assert torch.equal(outputs[..., 4:7], inputs.continuous_projection(both))
    assert outputs.shape[-1] == 3 * 4 + 3


def test_sum_and_mean_need_one_width_and_add_up() -> None:
    schema = session_schema().excluding(["age", "price"])
    batch = session_batch(6)
    totals = {}
    for aggregation in ("sum", "mean"):
        torch.manual_seed(1)
        inputs = mm.TabularInputBlock(schema, embedding_dim=4, aggregation=aggregation)  # type: ignore[arg-type]
        prepared, _ = inputs.prepare(batch)
        totals[aggregation] = inputs(prepared)
    by_hand = sum(
        inputs.tables[name](prepared[name] if name != "country" else prepared[name][:, None])
        for name in ("category", "country", "item_id")
    )
    torch.testing.assert_close(totals["sum"], by_hand)
    torch.testing.assert_close(totals["mean"], by_hand / 3)
    uneven = mm.TabularInputBlock(schema, embedding_dim={"item_id": 8}, aggregation="sum")
    with pytest.raises(ValueError, match=r"'sum' needs vectors of one width, got .*'item_id': 8"):
        uneven(prepared)


def test_columns_of_one_domain_share_a_table_as_large_as_the_largest_needs() -> None:
    schema = mm.Schema(
        [
            categorical("first", 5, domain="item"),
            categorical("second", 9, domain="item"),
            categorical("other", 3),
        ]
    )
    inputs = mm.TabularInputBlock(schema, embedding_dim=2)
    assert {name: table.num_embeddings for name, table in inputs.tables.items()} == {"item": 10, "other": 4}


def test_padding_has_the_zero_vector_and_learns_nothing() -> None:
    inputs, batch, _ = built()
    table = inputs.item_table
    assert not table.weight[0].any()
    table(batch["item_id"]).sum().backward()
    assert table.weight.grad is not None
    assert not table.weight.grad[0].any()


def test_more_padding_changes_nothing_at_the_real_positions() -> None:
    for masking in (mm.CausalMasking(), mm.RandomMasking()):
        torch.manual_seed(0)
        inputs = mm.TabularInputBlock(session_schema(), embedding_dim=4, masking=masking)
        batch = session_batch(6)
        short = inputs.for_prediction(batch)
        plain = inputs(short)
        inputs.pad_to = 15
        wide = inputs.for_prediction(batch)
        assert wide.plan is not None
        inside = torch.arange(wide.plan.targeted.shape[1]) < wide.plan.lengths[:, None]
        assert wide.plan.targeted.shape[1] == 15 + wide.plan.extend
        assert torch.equal(inputs(wide)[inside], plain[inside[:, : plain.shape[1]]])


def test_only_the_latest_positions_are_used() -> None:
    inputs = mm.TabularInputBlock(session_schema(), embedding_dim=4, max_sequence_length=3)
    batch = session_batch(6)
    prepared, lengths = inputs.prepare(batch)
    items = batch["item_id"]
    assert isinstance(items, mm.Ragged)
    assert lengths is not None
    for row, length in enumerate(lengths.tolist()):
        whole = items.values[items.offsets[row] : items.offsets[row + 1]]
        assert length == min(3, len(whole))
        assert prepared["item_id"][row, :length].tolist() == whole[-3:].tolist()


def test_the_mask_vector_stands_at_the_replaced_positions_only() -> None:
    torch.manual_seed(0)
    inputs = mm.TabularInputBlock(session_schema(), embedding_dim=4, masking=mm.RandomMasking())
    batch = session_batch(6)
    planned = inputs.for_evaluation(batch)
    outputs = inputs(planned)
    assert planned.plan is not None
    assert inputs.mask_vector is not None
    unmasked = inputs(inputs.prepare(batch)[0])
    replaced = planned.plan.replaced
    assert torch.equal(outputs[replaced], inputs.mask_vector.weight.expand(6, -1))
    assert torch.equal(outputs[~replaced], unmasked[~replaced])


def test_the_batch_given_stays_as_it_was() -> None:
    inputs = mm.TabularInputBlock(session_schema(), masking=mm.RandomMasking(), max_sequence_length=2)
    batch = session_batch(6)
    before = dict(batch.features)
    copies = {name: c.values.clone() if isinstance(c, mm.Ragged) else c.clone() for name, c in before.items()}
    inputs(inputs.for_training(batch))
    for name, column in batch.features.items():
        assert column is before[name]
        values = column.values if isinstance(column, mm.Ragged) else column
        assert torch.equal(values, copies[name])


def test_targets_are_no_inputs() -> None:
    schema = mm.Schema([categorical("item_id", 5), continuous("click", mm.Tags.TARGET)])
    assert mm.TabularInputBlock(schema).schema.column_names == ["item_id"]


def test_a_schema_without_inputs_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no categorical or continuous column to use, only \['click'\]"):
        mm.TabularInputBlock(mm.Schema([continuous("click", mm.Tags.TARGET)]))


def test_masking_without_item_ids_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"masking needs a list column tagged Tags.ITEM_ID; the schema has none"
    ):
        mm.TabularInputBlock(mm.Schema([categorical("category", 5)]), masking=mm.CausalMasking())


def test_a_missing_column_is_named() -> None:
    inputs = mm.TabularInputBlock(session_schema())
    batch = session_batch(6)
    with pytest.raises(KeyError, match="no column 'price'"):
        inputs.prepare(batch.select(["item_id", "category", "age", "country"]))


def test_padding_counts_as_any_position_on_request() -> None:
    torch.manual_seed(0)
    target = mm.ColumnSchema("bought", tags=[mm.Tags.TARGET, mm.Tags.BINARY], dtype="int64")
    models = []
    for attends in (True, False):
        torch.manual_seed(0)
        inputs = mm.TabularInputBlock(
            session_schema(), embedding_dim=4, projection=8, pad_to=12, attend_to_padding=attends
        )
        body = mm.XLNetBlock(8, heads=2, layers=1)
        models.append(mm.Model(inputs, body, mm.BinaryOutput(target, summary="mean")).eval())
    legacy, plain = models
    batch = session_batch(6)
    prepared, _ = legacy.inputs.prepare(batch)
    by_hand = legacy.body.layers[-1](legacy.inputs(prepared)).mean(1)
    torch.testing.assert_close(legacy(batch), legacy.output.linear(by_hand)[:, 0])
    assert not torch.allclose(plain(batch), legacy(batch), atol=1e-6)
    with pytest.raises(ValueError, match="attend_to_padding is for inputs without a masking"):
        mm.TabularInputBlock(session_schema(), masking=mm.CausalMasking(), attend_to_padding=True)
