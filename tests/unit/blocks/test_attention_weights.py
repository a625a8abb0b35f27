"""Attention weights: against those of Hugging Face and torch, and against what positions can see."""

import pytest
import torch
from torch import Tensor, nn

import merlin_models_torch as mm
from merlin_models_torch.blocks.attention import View
from merlin_models_torch.blocks.transformer_xl import XLAttention
from tests.unit.sessions import session_batch, session_model

POSITIONS = ["learned", "rotary", "relative", "none"]


def plan_of(attention: str, lengths: list[int], steps: int) -> mm.MaskPlan:
    empty = torch.zeros(len(lengths), steps, dtype=torch.bool)
    return mm.MaskPlan(empty, empty, empty.long(), torch.tensor(lengths), attention)  # type: ignore[arg-type]


@pytest.mark.parametrize("attention", ["causal", "full"])
def test_xlnets_are_those_of_hugging_face(attention: str) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.XLNetConfig(d_model=8, n_head=2, n_layer=3, d_inner=32, vocab_size=1)
    theirs = transformers.XLNetModel(config).eval()
    block = mm.XLNetBlock(8, heads=2, layers=3, layer_norm_eps=config.layer_norm_eps).eval()
    block.load_huggingface(theirs)
    inputs = torch.randn(2, 5, 8)
    plan = plan_of(attention, [5, 3], 5)
    hidden = (~plan.visible()).expand(-1, 5, -1).float()
    expected = theirs(inputs_embeds=inputs, perm_mask=hidden, output_attentions=True).attentions
    for ours, want in zip(block.attention_weights(inputs, mm.Batch({}, plan=plan)), expected, strict=True):
        torch.testing.assert_close(ours, want, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("positions", POSITIONS)
def test_a_transformers_weights_mix_the_values_that_come_out(positions: str) -> None:
    torch.manual_seed(0)
    block = mm.TransformerBlock(8, heads=2, layers=1, positions=positions, max_length=9, norm="pre").eval()
    layer = block.layer[0]
    inputs, batch = torch.randn(3, 6, 8), mm.Batch({}, plan=plan_of("causal", [6, 2, 4], 6))
    used = torch.arange(6) < torch.tensor([6, 2, 4])[:, None]
    (weights,) = block.attention_weights(inputs, batch)
    start = inputs if block.positions is None else inputs + block.positions.weight[:6]
    value = layer.attention.qkv(layer.attention_norm(start))[..., 16:].view(3, 6, 2, 4)
    mixed = torch.einsum("bhts,bshd->bthd", weights, value).flatten(2)
    hidden = start + layer.attention.out(mixed)
    expected = block.last_norm(hidden + layer.ff(layer.ff_norm(hidden)))
    torch.testing.assert_close(block(inputs, batch)[used], expected[used])
    assert not weights.triu(1).any()


def test_torchs_attention_has_the_same_weights() -> None:
    torch.manual_seed(0)
    theirs = nn.MultiheadAttention(8, 2, batch_first=True)
    ours = mm.TransformerBlock(8, heads=2, layers=1, positions="none").layer[0].attention
    ours.qkv.weight, ours.qkv.bias = theirs.in_proj_weight, theirs.in_proj_bias
    inputs = torch.randn(2, 5, 8)
    inside = torch.arange(5) < torch.tensor([5, 3])[:, None]
    expected = theirs(inputs, inputs, inputs, key_padding_mask=~inside, average_attn_weights=False)[1]
    torch.testing.assert_close(ours.weights(inputs, View(mask=inside[:, None])), expected)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_transformer_xls_weights_mix_the_values_that_come_out(norm: str) -> None:
    torch.manual_seed(0)
    attention = XLAttention(8, heads=2, dropout=0.0)
    nn.init.normal_(attention.content_bias)
    nn.init.normal_(attention.distance_bias)
    hidden, memory = torch.randn(2, 4, 8), torch.randn(2, 3, 8)
    weights = attention.weights(hidden, memory, None)
    value = attention.key_value(torch.cat([memory, hidden], 1))[..., 8:].view(2, 7, 2, 4)
    mixed = torch.einsum("bhts,bshd->bthd", weights, value).flatten(2)
    torch.testing.assert_close(attention(hidden, memory, None), attention.out(mixed))


def test_pieces_weigh_themselves_and_their_memory_only() -> None:
    torch.manual_seed(0)
    block = mm.TransformerXLBlock(8, heads=2, layers=2, segment_length=3, memory_length=2).eval()
    for weights in block.attention_weights(torch.randn(2, 7, 8)):
        torch.testing.assert_close(weights.sum(-1), torch.ones(2, 2, 7))
        steps = torch.arange(7)
        first = steps // 3 * 3 - 2
        seen = (steps <= steps[:, None]) & (steps >= first[:, None])
        assert torch.equal(weights != 0, seen.expand(2, 2, 7, 7))
    whole = mm.TransformerXLBlock(8, heads=2, layers=2).eval()
    pieces = mm.TransformerXLBlock(8, heads=2, layers=2, segment_length=9).eval()
    pieces.load_state_dict(whole.state_dict())
    inputs, batch = torch.randn(2, 7, 8), mm.Batch({}, plan=plan_of("causal", [7, 7], 7))
    for ours, other in zip(
        whole.attention_weights(inputs, batch), pieces.attention_weights(inputs, batch), strict=True
    ):
        torch.testing.assert_close(ours, other)


def test_two_streams_give_the_weights_of_what_predicts() -> None:
    torch.manual_seed(0)
    ids, lengths = torch.tensor([[1, 2, 3, 4], [5, 6, 0, 0]]), torch.tensor([4, 2])
    plan = mm.PermutedMasking(targets="all").train(ids, lengths, generator=torch.Generator().manual_seed(1))
    block = mm.XLNetBlock(8, heads=2, layers=1, two_streams=True, initializer_range=0.5).eval()
    inputs, batch = torch.randn(2, 4, 8), mm.Batch({}, plan=plan)
    (weights,) = block.attention_weights(inputs, batch)
    assert plan.pairs is not None
    assert torch.equal(weights != 0, plan.pairs[:, None].expand_as(weights))
    attention = block.layer[0].rel_attn
    value = torch.einsum("btd,dhw->bthw", inputs, attention.v)
    mixed = torch.einsum("bhts,bshw,dhw->btd", weights, value, attention.o)
    expected = block.layer[0].ff(attention.layer_norm(mixed + block.mask_emb))
    torch.testing.assert_close(block(inputs, batch), expected)


def test_every_body_of_a_model_is_asked_and_left_as_it_was() -> None:
    model = session_model(mm.CausalMasking()).train()
    batch = session_batch(6)
    found = mm.attention_weights(model, batch)
    assert list(found) == ["body.layers.1"]
    (weights,) = found["body.layers.1"]
    steps = max(batch.lengths("item_id").tolist())
    assert weights.shape == (6, 2, steps, steps)
    assert not weights.requires_grad
    torch.testing.assert_close(weights.sum(-1), torch.ones(6, 2, steps))
    assert model.training
    assert not model.body[1]._forward_pre_hooks
    again: tuple[Tensor, ...] = mm.attention_weights(model, batch)["body.layers.1"]
    assert torch.equal(weights, again[0])


def test_a_model_without_attention_says_so() -> None:
    with pytest.raises(ValueError, match="no part of the GRUBlock has attention weights: use a body with"):
        mm.attention_weights(mm.GRUBlock(4), torch.zeros(1, 2, 3))
