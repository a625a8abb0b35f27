"""ConsistentBlock: means by hand, against a loop, and inside the space of the items."""

import pytest
import torch

import merlin_models_torch as mm
from tests.unit.schemas import session_schema
from tests.unit.sessions import session_batch


def block_of() -> mm.ConsistentBlock:
    torch.manual_seed(0)
    encoder = mm.TransformerBlock(16, heads=2, layers=1, max_length=9, initializer_range=0.3)
    return mm.ConsistentBlock(encoder, dim=16).eval()


def planned(masking: mm.Masking) -> tuple[torch.Tensor, mm.Batch]:
    torch.manual_seed(1)
    inputs = mm.TabularInputBlock(session_schema(), projection=mm.MLPBlock([16]), masking=masking)
    batch = inputs.for_training(session_batch(6), generator=torch.Generator().manual_seed(0))
    return inputs(batch).detach(), batch


def test_equal_weights_give_the_mean_of_what_was_seen() -> None:
    block = block_of()
    with torch.no_grad():
        block.query.weight.zero_()
        block.query.bias.zero_()
    vectors, batch = planned(mm.CausalMasking())
    means = vectors.cumsum(1) / torch.arange(1, vectors.shape[1] + 1)[:, None]
    found = block(vectors, batch)
    inside = torch.arange(vectors.shape[1]) < batch.plan.lengths[:, None]
    torch.testing.assert_close(found[inside], means[inside])
    torch.testing.assert_close(block(vectors), vectors.mean(1, keepdim=True).expand_as(vectors))


@pytest.mark.parametrize("masking", [mm.CausalMasking(), mm.RandomMasking(probability=0.3)])
def test_each_position_is_the_weighted_mean_of_those_it_may_see(masking: mm.Masking) -> None:
    block = block_of()
    vectors, batch = planned(masking)
    hidden = block.encoder(vectors, batch)
    found = block(vectors, batch)
    (weights,) = block.attention_weights(vectors, batch)
    causal = isinstance(masking, mm.CausalMasking)
    for row, length in enumerate(batch.plan.lengths.clamp(max=vectors.shape[1]).tolist()):
        for step in range(length):
            seen = range(step + 1 if causal else length)
            query = block.query(hidden[row, step])
            scores = torch.stack([query @ block.key(hidden[row, at]) / 4 for at in seen])
            share = scores.exp() / scores.exp().sum()
            torch.testing.assert_close(weights[row, 0, step, : len(seen)], share)
            torch.testing.assert_close(found[row, step], share @ vectors[row, : len(seen)])


def test_two_streams_are_refused() -> None:
    body = mm.ConsistentBlock(mm.XLNetBlock(16, heads=2, layers=1, two_streams=True), dim=16)
    with pytest.raises(ValueError, match="ConsistentBlock has one stream"):
        mm.SessionModel(session_schema(), dim=16, body=body, masking="permuted")
