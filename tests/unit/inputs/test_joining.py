"""Ways to join columns, broadcast, selection, padding and late fusion by hand."""

import pytest
import torch
from torch import nn

import merlin_models_torch as mm
from tests.unit.schemas import categorical, session_schema

A, B = torch.tensor([[1.0, 2.0]]), torch.tensor([[[3.0, 4.0], [5.0, 6.0]]])


def test_concat_and_stack_align_positions_and_sort_by_name() -> None:
    named = {"b": B, "a": A}
    assert mm.Concat()(named).tolist() == [[[1, 2, 3, 4], [1, 2, 5, 6]]]
    assert mm.Concat(dim=1)(named).tolist() == [[[1, 2], [1, 2], [3, 4], [5, 6]]]
    assert mm.Stack()(named).tolist() == [[[[1, 2], [3, 4]], [[1, 2], [5, 6]]]]
    assert torch.equal(mm.Stack(dim=1)({"a": A, "b": 2 * A}), torch.stack([A, 2 * A], 1))
    assert mm.Concat()(A) is A
    with pytest.raises(ValueError, match=r"one width are needed, got the widths {'a': 2, 'b': 1}"):
        mm.Stack()({"a": A, "b": A[:, :1]})


def test_sequences_of_different_lengths_are_not_joined() -> None:
    longer = torch.ones(1, 3, 2)
    text = "'b' has 2 positions and 'c' has 3, and they are joined position by position: read the columns"
    for join in (mm.Concat(), mm.Stack(), mm.MLPBlock([4]), mm.DotInteraction()):
        with pytest.raises(ValueError, match=text):
            join({"a": A, "b": B, "c": longer})
    assert mm.Concat(dim=1)({"b": B, "c": longer}).shape == (1, 5, 2)


def test_sums_by_hand() -> None:
    assert mm.ElementwiseSum()({"a": A, "b": B}).tolist() == [[[4, 6], [6, 8]]]
    multi = mm.ElementwiseSumItemMulti("item")
    assert multi({"a": A, "b": 2 * A, "item": B}).tolist() == [[[9, 24], [15, 36]]]
    assert torch.equal(multi({"item": B}), B)
    with pytest.raises(KeyError, match="no 'item', only"):
        multi({"a": A})


def test_broadcast_repeats_what_has_no_positions() -> None:
    found = mm.BroadcastToSequence()({"a": A, "b": B})
    assert found["a"].tolist() == [[[1, 2], [1, 2]]]
    assert found["b"] is B
    with pytest.raises(ValueError, match=r"sequences of one length, got \['a'\]"):
        mm.BroadcastToSequence()({"a": A})
    with pytest.raises(KeyError, match=r"no \['user'\]"):
        mm.BroadcastToSequence(["user"])({"b": B})
    with pytest.raises(ValueError, match=r"\['a'\] have no positions and are not among the context"):
        mm.BroadcastToSequence(["b"])({"a": A, "b": B})


def test_features_are_taken_from_the_batch() -> None:
    batch = mm.Batch({"a": A, "item_id": torch.tensor([1])})
    select = mm.SelectFeatures(mm.Schema([categorical("item_id", 3)]))
    assert list(mm.Block(nn.Identity(), select)(A, batch=batch)) == ["item_id"]
    assert select(batch)["item_id"] is batch["item_id"]
    with pytest.raises(ValueError, match="selected from a batch: pass it"):
        select(A)
    with pytest.raises(KeyError, match="no column 'item_id'"):
        select(mm.Batch({"a": A}))


def test_sequences_are_cut_and_padded_to_one_length() -> None:
    first = mm.Ragged(torch.tensor([1, 2, 3, 4]), torch.tensor([0, 3, 4]))
    second = mm.Ragged(torch.tensor([5, 6]), torch.tensor([0, 1, 2]))
    batch = mm.Batch({"a": first, "b": second, "c": torch.tensor([7, 8])})
    padded = mm.PadSequences()(batch)
    assert padded["a"].tolist() == [[1, 2, 3], [4, 0, 0]]
    assert padded["b"].tolist() == [[5, 0, 0], [6, 0, 0]]
    assert padded["c"] is batch["c"]
    assert mm.PadSequences(length=2)(batch)["a"].tolist() == [[2, 3], [4, 0]]
    assert mm.PadSequences(columns=["b"])(batch)["a"] is first


@pytest.mark.parametrize("how", ["concat", "sum", "multiply"])
def test_late_fusion_joins_context_at_every_position(how: str) -> None:
    torch.manual_seed(0)
    context = mm.TabularInputBlock(session_schema().select_by_name(["country"]), embedding_dim=3)
    fusion = mm.LateFusion(context, how=how, projection=mm.MLPBlock([2]))  # type: ignore[arg-type]
    batch = mm.Batch({"country": torch.tensor([1, 3])})
    hidden = torch.randn(2, 4, 5)
    found = fusion(hidden, batch)
    vector = context.tables["country"].weight[[1, 3]][:, None].expand(-1, 4, -1)
    if how == "concat":
        joined = torch.cat([hidden, vector], -1)
    else:
        assert fusion.to_width is not None
        joined = hidden + fusion.to_width(vector) if how == "sum" else hidden * (1 + fusion.to_width(vector))
    torch.testing.assert_close(found, fusion.projection(joined))  # type: ignore[misc]
    torch.testing.assert_close(fusion(hidden[:, 0], batch), found[:, 0])


def test_late_fusion_refuses_what_it_cannot_join() -> None:
    with pytest.raises(ValueError, match="how is 'max', expected 'concat', 'sum' or 'multiply'"):
        mm.LateFusion(nn.Identity(), how="max")  # type: ignore[arg-type]

    class Sequence(nn.Module):
        def forward(self, batch: mm.Batch) -> torch.Tensor:
            return torch.ones(2, 4, 5)

    with pytest.raises(ValueError, match=r"shape \(2, 4, 5\), expected one vector for each row"):
        mm.LateFusion(Sequence())(torch.ones(2, 4, 5), mm.Batch({}))
