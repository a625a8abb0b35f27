"""MeanPooling is the mean over what the plan shows, however it is computed."""

import pytest
import torch

import merlin_models_torch as mm
from tests.unit.schemas import session_schema
from tests.unit.sessions import session_batch


def inputs_of(masking: mm.Masking) -> tuple[torch.Tensor, mm.Batch]:
    torch.manual_seed(0)
    block = mm.TabularInputBlock(session_schema(), embedding_dim=4, masking=masking)
    batch = block.for_training(session_batch(6))
    return block(batch), batch


@pytest.mark.parametrize("masking", [mm.CausalMasking(), mm.RandomMasking(probability=0.5)])
def test_each_position_is_the_mean_of_those_it_sees(masking: mm.Masking) -> None:
    inputs, batch = inputs_of(masking)
    assert batch.plan is not None
    found = mm.MeanPooling()(inputs, batch)
    seen = batch.plan.visible().expand(len(inputs), inputs.shape[1], -1)
    for row, length in enumerate(batch.plan.lengths.tolist()):
        for step in range(min(length, inputs.shape[1])):
            torch.testing.assert_close(found[row, step], inputs[row, seen[row, step]].mean(0))


def test_without_a_plan_everything_is_seen() -> None:
    inputs = torch.tensor([[[1.0, 0.0], [3.0, 2.0]]])
    assert mm.MeanPooling()(inputs).tolist() == [[[2.0, 1.0], [2.0, 1.0]]]


def test_permuted_masking_is_refused() -> None:
    with pytest.raises(ValueError, match="MeanPooling has one stream"):
        mm.MeanPooling()(*inputs_of(mm.PermutedMasking()))
