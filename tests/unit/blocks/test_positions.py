import math

import pytest
import torch

from merlin_models_torch.batch import Batch
from merlin_models_torch.blocks import attention
from merlin_models_torch.blocks.attention import SelfAttention, View, attend
from merlin_models_torch.blocks.positions import Positions, RelativeBias, rotation
from merlin_models_torch.blocks.transformer import TransformerBlock
from merlin_models_torch.masking.plan import MaskPlan

KINDS = ["rotary", "relative"]


def batch_of(lengths, steps, kind):
    empty = torch.zeros(len(lengths), steps, dtype=torch.bool)
    plan = MaskPlan(empty, empty, empty.long(), torch.tensor(lengths), kind)
    return Batch({"item": torch.ones(len(lengths), steps)}, plan=plan)


def block_of(positions, **options):
    torch.manual_seed(0)
    return TransformerBlock(
        8,
        **{"heads": 2, "layers": 2, "dropout": 0.0, "max_length": 4, "initializer_range": 0.5, **options},
        positions=positions,
    )


def test_rotation_by_hand():
    # Width 2, one pair, angle 1 a position: (1, 0) at position 2 becomes (cos 2, sin 2).
    turned = Positions(rotation(torch.zeros(1, 3, 1), 2)).rotated(torch.tensor([1.0, 0.0]).expand(1, 1, 3, 2))
    want = [[math.cos(t), math.sin(t)] for t in range(3)]
    torch.testing.assert_close(turned[0, 0], torch.tensor(want))


def test_rotation_equals_hugging_faces():
    config = pytest.importorskip("transformers").LlamaConfig(
        hidden_size=16, num_attention_heads=2, max_position_embeddings=50
    )
    from transformers.models.llama import modeling_llama as llama

    torch.manual_seed(0)
    query, key = torch.randn(2, 3, 2, 11, 8)
    cos, sin = llama.LlamaRotaryEmbedding(config)(query, torch.arange(11)[None])
    want = llama.apply_rotary_pos_emb(query, key, cos, sin)
    positions = Positions(rotation(torch.zeros(3, 11, 1), 8))
    torch.testing.assert_close(positions.rotated(query), want[0])
    torch.testing.assert_close(positions.rotated(key), want[1])


def test_rotated_products_depend_on_the_distance_only():
    torch.manual_seed(0)
    query, key = torch.randn(2, 8)
    positions = Positions(rotation(torch.zeros(1, 9, 1), 8))
    queries, keys = (positions.rotated(v.expand(1, 1, 9, 8))[0, 0] for v in (query, key))
    scores = queries @ keys.T
    for distance in range(-8, 9):
        same = scores.diagonal(distance)
        torch.testing.assert_close(same, same[:1].expand_as(same))
    assert scores[0].std() > 0.1


def test_relative_bias_by_its_table():
    bias = RelativeBias(3, 2)
    result = bias(5)
    for head in range(2):
        for query in range(5):
            for key in range(5):
                row = max(-2, min(2, key - query)) + 2
                assert result[head, query, key] == bias.table.weight[row, head]


VIEWS = {
    "all": View(),
    "causal": View(causal=True),
    "lengths": View(mask=torch.tensor([[[True, True, False, False]], [[False] * 4]])),
    "both": View(mask=torch.tensor([[[False, True, True, False]], [[False] * 4]]), causal=True),
}


@pytest.mark.parametrize("name", VIEWS)
def test_attention_with_a_bias_equals_the_formula(name, monkeypatch):
    torch.manual_seed(0)
    view = VIEWS[name]
    heads = [torch.randn(2, 3, 4, 5, requires_grad=True) for _ in range(3)]
    bias = torch.randn(3, 4, 4, requires_grad=True)
    visible = torch.ones(2, 4, 4, dtype=torch.bool) if view.mask is None else view.mask.expand(2, 4, 4)
    if view.causal:
        visible = visible & torch.ones(4, 4, dtype=torch.bool).tril()
    weights = (heads[0] @ heads[1].transpose(2, 3) / math.sqrt(5) + bias).exp() * visible[:, None]
    want = weights / weights.sum(-1, keepdim=True).clamp(min=1e-9) @ heads[2]
    monkeypatch.setattr(attention, "dropout", lambda inputs, probability: inputs)
    gradients = torch.autograd.grad((want**2).sum(), [*heads, bias])
    for options in ({}, {"probability": 0.5, "training": True}):
        have = attend(*heads, view=view, bias=bias, **options)
        torch.testing.assert_close(have, want)
        for ours, theirs in zip(torch.autograd.grad((have**2).sum(), [*heads, bias]), gradients, strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


def test_keys_may_be_more_than_queries(monkeypatch):
    torch.manual_seed(0)
    query, key, value = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 7, 5), torch.randn(2, 3, 7, 5)
    view = View(mask=torch.arange(7)[None, None] < torch.tensor([7, 3])[:, None, None])
    monkeypatch.setattr(attention, "dropout", lambda inputs, probability: inputs)
    by_hand = attend(query, key, value, view=view, probability=0.5, training=True)
    torch.testing.assert_close(attend(query, key, value, view=view), by_hand)
    short = attend(query[1:], key[1:, :, :3], value[1:, :, :3], view=View())
    torch.testing.assert_close(by_hand[1:], short)


@pytest.mark.parametrize("kind", ["causal", "full"])
@pytest.mark.parametrize("positions", KINDS)
def test_padding_changes_nothing(positions, kind):
    block = block_of(positions)
    inputs = torch.randn(2, 7, 8)
    together = block(inputs, batch_of([3, 7], 7, kind))
    for row, length in enumerate([3, 7]):
        alone = block(inputs[row : row + 1, :length], batch_of([length], length, kind))
        torch.testing.assert_close(together[row, :length], alone[0])


@pytest.mark.parametrize("positions", KINDS)
def test_order_matters_and_the_start_does_not(positions):
    block = block_of(positions)
    inputs = torch.randn(1, 6, 8)
    want = block(inputs)
    swapped = block(inputs[:, [0, 2, 1, 3, 4, 5]])
    assert (swapped[0, 5] - want[0, 5]).abs().max() > 1e-3
    # In causal attention, what is before a session but not visible shifts all positions and changes nothing.
    before = torch.cat([torch.randn(1, 3, 8), inputs], 1)
    hidden = torch.ones(9, 9, dtype=torch.bool).tril()
    hidden[3:, :3] = False
    layer_positions = (
        Positions(rotation(before, 4)) if positions == "rotary" else Positions(bias=block.distances(9))
    )
    shifted, plain = before, inputs
    short = Positions(rotation(inputs, 4)) if positions == "rotary" else Positions(bias=block.distances(6))
    for layer in block.layer:
        shifted = layer(shifted, View(mask=hidden[None]), layer_positions)
        plain = layer(plain, View(causal=True), short)
    torch.testing.assert_close(shifted[:, 3:], plain)


@pytest.mark.parametrize("positions", KINDS)
def test_gradients_reach_everything(positions):
    block = block_of(positions)
    block(torch.randn(2, 5, 8)).pow(2).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in block.parameters())


def test_without_positions_attention_is_as_before():
    torch.manual_seed(0)
    layer = SelfAttention(8, heads=2)
    inputs = torch.randn(2, 5, 8)
    torch.testing.assert_close(layer(inputs, View()), layer(inputs, View(), Positions()), rtol=0, atol=0)


def test_errors():
    with pytest.raises(ValueError, match="relative positions need max_length"):
        block_of("relative", max_length=None)
    with pytest.raises(
        ValueError, match=r"rotary positions need heads of even width, got 1 \(dim 8, heads 8\)"
    ):
        block_of("rotary", heads=8)
    with pytest.raises(ValueError, match="positions is 'alibi', expected one of"):
        block_of("alibi")
