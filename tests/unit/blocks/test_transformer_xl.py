import math

import pytest
import torch

from merlin_models_torch.batch import Batch
from merlin_models_torch.blocks.transformer_xl import TransformerXLBlock, XLAttention
from merlin_models_torch.blocks.xlnet import XLNetBlock
from merlin_models_torch.masking.plan import MaskPlan


def batch_of(lengths, kind, steps=7):
    empty = torch.zeros(len(lengths), steps, dtype=torch.bool)
    plan = MaskPlan(empty, empty, empty.long(), torch.tensor(lengths), kind)
    return Batch({"item": torch.ones(len(lengths), steps)}, plan=plan)


def block_of(**options):
    torch.manual_seed(0)
    return TransformerXLBlock(
        8, **{"heads": 2, "layers": 2, "dropout": 0.0, "initializer_range": 0.4, **options}
    )


def test_attention_equals_the_papers_formula_pair_by_pair():
    torch.manual_seed(0)
    attention = XLAttention(4, heads=1, dropout=0.0)
    torch.nn.init.normal_(attention.content_bias)
    torch.nn.init.normal_(attention.distance_bias)
    memory, hidden = torch.randn(1, 2, 4), torch.randn(1, 3, 4)
    seen = torch.cat([memory, hidden], 1)[0]
    query = attention.query(hidden)[0]
    key, value = attention.key_value(seen).chunk(2, -1)
    u, v = attention.content_bias[0], attention.distance_bias[0]
    scores = torch.zeros(3, 5)
    for i in range(3):
        for j in range(5):
            distance = 2 + i - j
            angles = torch.tensor([distance, distance / 100.0])
            r = attention.distance(torch.cat([angles.sin(), angles.cos()]))
            scores[i, j] = ((query[i] + u) @ key[j] + (query[i] + v) @ r) / math.sqrt(4)
    want = attention.out(scores.softmax(-1) @ value)
    torch.testing.assert_close(attention(hidden, memory, None)[0], want)


def test_equals_xlnet_with_the_same_weights():
    xlnet = XLNetBlock(8, heads=2, layers=1, dropout=0.0, activation="relu", initializer_range=0.4)
    ours = block_of(layers=1, layer_norm_eps=0.03)
    theirs, layer = xlnet.layer[0], ours.layer[0]
    with torch.no_grad():
        layer.attention.query.weight.copy_(theirs.rel_attn.q.flatten(1).T)
        layer.attention.key_value.weight.copy_(
            torch.cat([theirs.rel_attn.k.flatten(1), theirs.rel_attn.v.flatten(1)], 1).T
        )
        layer.attention.distance.weight.copy_(theirs.rel_attn.r.flatten(1).T)
        layer.attention.out.weight.copy_(theirs.rel_attn.o.flatten(1))
        layer.attention.content_bias.copy_(theirs.rel_attn.r_w_bias)
        layer.attention.distance_bias.copy_(theirs.rel_attn.r_r_bias)
    layer.ff.layer_1.load_state_dict(theirs.ff.layer_1.state_dict())
    layer.ff.layer_2.load_state_dict(theirs.ff.layer_2.state_dict())
    inputs = torch.randn(2, 7, 8)
    for kind in ("causal", "full"):
        batch = batch_of([4, 7], kind)
        used = torch.arange(7) < torch.tensor([4, 7])[:, None]
        torch.testing.assert_close(ours(inputs, batch)[used], xlnet(inputs, batch)[used])
    torch.testing.assert_close(ours(inputs), xlnet(inputs))


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("segment", [1, 2, 3, 7, 20])
def test_segments_with_a_long_memory_equal_the_whole(norm, segment):
    whole = block_of(norm=norm)
    pieces = block_of(norm=norm, segment_length=segment, memory_length=50)
    inputs = torch.randn(2, 7, 8)
    batch = batch_of([4, 7], "causal")
    torch.testing.assert_close(pieces(inputs, batch)[1], whole(inputs, batch)[1])
    torch.testing.assert_close(pieces(inputs, batch)[0, :4], whole(inputs, batch)[0, :4])
    torch.testing.assert_close(pieces(inputs), pieces(inputs, batch))


def test_each_layer_reaches_one_memory_further_back_and_no_gradient_does():
    block = block_of(segment_length=2, memory_length=2)
    inputs = torch.randn(1, 8, 8, requires_grad=True)
    outputs = block(inputs)
    for position, changes in ((1, False), (2, True), (7, True)):
        other = inputs.detach().clone()
        other[0, position] += 1
        assert (not torch.allclose(block(other)[0, 7], outputs[0, 7])) is changes
    outputs[0, 7].pow(3).sum().backward()
    assert torch.equal(inputs.grad[0].abs().sum(-1) > 0, torch.arange(8) >= 6)


@pytest.mark.parametrize("kind", ["causal", "full"])
@pytest.mark.parametrize("norm", ["pre", "post"])
def test_padding_changes_nothing(norm, kind):
    block = block_of(norm=norm)
    inputs = torch.randn(2, 7, 8)
    together = block(inputs, batch_of([3, 7], kind))
    for row, length in enumerate([3, 7]):
        alone = block(inputs[row : row + 1, :length], batch_of([length], kind, length))
        torch.testing.assert_close(together[row, :length], alone[0])


@pytest.mark.parametrize("segment", [None, 3])
def test_causal_positions_do_not_see_later_ones(segment):
    block = block_of(segment_length=segment)
    inputs = torch.randn(1, 7, 8)
    other = inputs.clone()
    other[0, 4:] = torch.randn(3, 8)
    batch = batch_of([7], "causal")
    torch.testing.assert_close(block(other, batch)[0, :4], block(inputs, batch)[0, :4])


@pytest.mark.parametrize("options", [{}, {"norm": "pre"}, {"segment_length": 3}])
def test_gradients_reach_every_weight(options):
    block = block_of(**options)
    (block(torch.randn(2, 7, 8), batch_of([7, 7], "causal")) ** 3).sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in block.parameters())


def test_errors():
    with pytest.raises(ValueError, match="dim is 7, expected an even width"):
        TransformerXLBlock(7, heads=1, layers=1)
    with pytest.raises(ValueError, match="dim is 8 and heads is 3"):
        block_of(heads=3)
    with pytest.raises(ValueError, match="norm is 'both', expected one of"):
        block_of(norm="both")
    with pytest.raises(ValueError, match="segment_length is 0, expected at least 1"):
        block_of(segment_length=0)
    with pytest.raises(ValueError, match="memory_length is 3 and segment_length is None: a memory"):
        block_of(memory_length=3)
    with pytest.raises(
        ValueError, match=r"segments sees only what is before a position.*segment_length=None"
    ):
        block_of(segment_length=2)(torch.zeros(1, 7, 8), batch_of([7], "full"))
    with pytest.raises(ValueError, match=r"width 8 and got inputs of width 4: put MLPBlock\(\[8\]\)"):
        block_of()(torch.zeros(1, 7, 4))
