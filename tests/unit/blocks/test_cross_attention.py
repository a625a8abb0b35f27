import pytest
import torch
from torch import nn

from merlin_models_torch.batch import Batch, Ragged
from merlin_models_torch.blocks.cross_attention import CrossAttention, CrossAttentionBlock


def torchs(ours, context_dim):
    theirs = nn.MultiheadAttention(8, 2, batch_first=True, kdim=context_dim, vdim=context_dim)
    key, value = ours.key_value.weight.chunk(2)
    with torch.no_grad():
        theirs.q_proj_weight.copy_(ours.query.weight)
        theirs.k_proj_weight.copy_(key)
        theirs.v_proj_weight.copy_(value)
        theirs.in_proj_bias.copy_(torch.cat([ours.query.bias, ours.key_value.bias]))
        theirs.out_proj.load_state_dict(ours.out.state_dict())
    return theirs


def test_attention_equals_torchs_with_and_without_padding():
    torch.manual_seed(0)
    ours = CrossAttention(8, heads=2, context_dim=6)
    theirs = torchs(ours, 6)
    hidden, context = torch.randn(3, 5, 8), torch.randn(3, 4, 6)
    torch.testing.assert_close(ours(hidden, context), theirs(hidden, context, context)[0])
    inside = torch.arange(4) < torch.tensor([4, 2, 1])[:, None]
    want = theirs(hidden, context, context, key_padding_mask=~inside)[0]
    torch.testing.assert_close(ours(hidden, context, inside), want)


def test_each_module_comes_after_an_attention_of_its_own():
    torch.manual_seed(0)
    block = CrossAttentionBlock(nn.Linear(8, 8), nn.ReLU(), dim=8, heads=2)
    inputs = {"context": torch.randn(3, 4, 6), "sequence": torch.randn(3, 5, 8)}
    outputs = block(inputs)
    first, second = block.attention
    want = second(block[0](first(inputs["sequence"], inputs["context"])), inputs["context"]).relu()
    torch.testing.assert_close(outputs, want)
    outputs.sum().backward()
    assert all(p.grad is not None for p in block.parameters())
    assert first.key_value.weight.shape == (16, 6)


def test_without_modules_and_with_residual():
    torch.manual_seed(0)
    block = CrossAttentionBlock(dim=8, heads=2, residual=True, key="user", seq_key="items")
    inputs = {"user": torch.randn(3, 6), "items": torch.randn(3, 5, 8), "other": torch.randn(3, 1)}
    outputs = block(inputs)
    # A context of one position gets all the weight, whatever the sequence is.
    value = block.attention[0].key_value(inputs["user"])[:, 8:]
    torch.testing.assert_close(outputs, inputs["items"] + block.attention[0].out(value)[:, None])


def test_padding_of_the_context_changes_nothing():
    torch.manual_seed(0)
    block = CrossAttentionBlock(nn.Identity(), dim=8, heads=2, context_column="history")
    lengths = [4, 2]
    batch = Batch({"history": Ragged(torch.arange(6), torch.tensor([0, 4, 6]))})
    inputs = {"context": torch.randn(2, 4, 8), "sequence": torch.randn(2, 5, 8)}
    together = block(inputs, batch)
    for row, length in enumerate(lengths):
        alone = {
            "context": inputs["context"][row : row + 1, :length],
            "sequence": inputs["sequence"][row : row + 1],
        }
        one = Batch({"history": Ragged(torch.arange(length), torch.tensor([0, length]))})
        torch.testing.assert_close(together[row : row + 1], block(alone, one))


def test_an_empty_context_gives_the_bias_of_the_last_layer():
    block = CrossAttentionBlock(dim=8, heads=2, context_column="history")
    batch = Batch({"history": Ragged(torch.arange(2), torch.tensor([0, 2, 2]))})
    outputs = block({"context": torch.randn(2, 2, 8), "sequence": torch.randn(2, 3, 8)}, batch)
    torch.testing.assert_close(outputs[1], block.attention[0].out.bias.expand(3, 8))


def test_modules_get_the_batch():
    class Add(nn.Module):
        def forward(self, inputs, batch):
            return inputs * 0 + batch["x"]

    block = CrossAttentionBlock(Add(), dim=8, heads=2)
    inputs = {"context": torch.randn(1, 2, 8), "sequence": torch.randn(1, 3, 8)}
    assert (block(inputs, batch=Batch({"x": torch.tensor(7.0)})) == 7).all()


def test_errors():
    block = CrossAttentionBlock(dim=8, heads=2, context_column="history")
    with pytest.raises(ValueError, match=r"of 'a sequence' to 'context' got \['a', 'b', 'context'\]"):
        block(dict.fromkeys(["a", "b", "context"], torch.zeros(1, 2, 8)))
    with pytest.raises(ValueError, match=r"lengths of the context come from the column 'history'.* pass"):
        block({"context": torch.zeros(1, 2, 8), "a": torch.zeros(1, 2, 8)})
    with pytest.raises(TypeError, match="got a Tensor, expected a dict"):
        block(torch.zeros(1, 2, 8))
    with pytest.raises(ValueError, match="dim is 8 and heads is 3"):
        CrossAttentionBlock(dim=8, heads=3)
