import pytest
import torch

from merlin_models_torch.batch import Batch
from merlin_models_torch.blocks import attention
from merlin_models_torch.blocks.attention import SelfAttention, View, attend
from merlin_models_torch.blocks.transformer import TransformerBlock, TransformerLayer
from merlin_models_torch.masking.plan import MaskPlan


def batch_of(lengths, steps, attention):
    empty = torch.zeros(len(lengths), steps, dtype=torch.bool)
    plan = MaskPlan(empty, empty, empty.long(), torch.tensor(lengths), attention)
    return Batch({"item": torch.ones(len(lengths), steps)}, plan=plan)


def block_of(seed=0, **options):
    torch.manual_seed(seed)
    options = {"heads": 2, "layers": 2, "dropout": 0.0, "max_length": 10, "initializer_range": 0.3, **options}
    return TransformerBlock(8, **options)


def test_attention_by_hand():
    # One head of width 1: weights of the second position are softmax(1 * 1, 1 * 2) = (0.26894, 0.73106).
    query = torch.tensor([1.0, 1.0]).view(1, 1, 2, 1)
    key = torch.tensor([1.0, 2.0]).view(1, 1, 2, 1)
    value = torch.tensor([10.0, 20.0]).view(1, 1, 2, 1)
    causal = attend(query, key, value, view=View(causal=True)).flatten()
    torch.testing.assert_close(causal, torch.tensor([10.0, 17.310586]))
    full = attend(query, key, value, view=View()).flatten()
    torch.testing.assert_close(full, torch.tensor([17.310586, 17.310586]))
    first = attend(query, key, value, view=View(mask=torch.tensor([[[True, False]]]))).flatten()
    torch.testing.assert_close(first, torch.tensor([10.0, 10.0]))


VIEWS = {
    "all": View(),
    "causal": View(causal=True),
    "lengths": View(mask=torch.tensor([[[True, True, False, False]], [[False] * 4]])),
    "both": View(mask=torch.tensor([[[False, True, True, False]], [[False] * 4]]), causal=True),
    "pairs": View(mask=torch.tensor([[[i != j for j in range(4)] for i in range(4)], [[False] * 4] * 4])),
}


@pytest.mark.parametrize("name", VIEWS)
def test_formula_equals_the_kernel_with_gradients(name, monkeypatch):
    torch.manual_seed(0)
    heads = [torch.randn(2, 3, 4, 5, requires_grad=True) for _ in range(3)]
    want = attend(*heads, view=VIEWS[name])
    monkeypatch.setattr(attention, "dropout", lambda inputs, probability: inputs)
    have = attend(*heads, view=VIEWS[name], probability=0.5, training=True)
    torch.testing.assert_close(have, want)
    assert not have.isnan().any()
    for ours, theirs in zip(
        torch.autograd.grad((have**2).sum(), heads), torch.autograd.grad((want**2).sum(), heads), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


def test_dropped_attention_has_the_right_mean():
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 1, 2, 6, 4)
    many = [tensor.expand(4000, 2, 6, 4) for tensor in (query, key, value)]
    mean = attend(*many, view=View(causal=True), probability=0.3, training=True).mean(0)
    torch.testing.assert_close(mean, attend(query, key, value, view=View(causal=True))[0], rtol=0, atol=0.08)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_layer_equals_torchs(norm):
    torch.manual_seed(0)
    ours = TransformerLayer(
        8,
        heads=2,
        inner_dim=12,
        dropout=0.0,
        attention_dropout=0.0,
        activation="gelu",
        norm=norm,
        layer_norm_eps=1e-5,
    )
    theirs = torch.nn.TransformerEncoderLayer(
        8, 2, 12, dropout=0.0, activation="gelu", batch_first=True, norm_first=norm == "pre"
    )
    theirs.load_state_dict(
        {
            "self_attn.in_proj_weight": ours.attention.qkv.weight,
            "self_attn.in_proj_bias": ours.attention.qkv.bias,
            "self_attn.out_proj.weight": ours.attention.out.weight,
            "self_attn.out_proj.bias": ours.attention.out.bias,
            "linear1.weight": ours.ff.layer_1.weight,
            "linear1.bias": ours.ff.layer_1.bias,
            "linear2.weight": ours.ff.layer_2.weight,
            "linear2.bias": ours.ff.layer_2.bias,
            "norm1.weight": ours.attention_norm.weight,
            "norm1.bias": ours.attention_norm.bias,
            "norm2.weight": ours.ff_norm.weight,
            "norm2.bias": ours.ff_norm.bias,
        }
    )
    inputs = torch.randn(3, 5, 8)
    later = torch.nn.Transformer.generate_square_subsequent_mask(5)
    torch.testing.assert_close(ours(inputs, View(causal=True)), theirs(inputs, src_mask=later))
    padding = torch.tensor([[False] * 5, [False] * 3 + [True] * 2, [False] + [True] * 4])
    seen = View(mask=~padding[:, None])
    torch.testing.assert_close(ours(inputs, seen), theirs(inputs, src_key_padding_mask=padding))


@pytest.mark.parametrize("attention", ["causal", "full"])
@pytest.mark.parametrize("options", [{}, {"norm": "post"}, {"positions": "none"}])
def test_padding_changes_nothing(attention, options):
    block = block_of(**options)
    inputs = torch.randn(2, 7, 8)
    lengths = [3, 7]
    together = block(inputs, batch_of(lengths, 7, attention))
    for row, length in enumerate(lengths):
        alone = block(inputs[row : row + 1, :length], batch_of([length], length, attention))
        torch.testing.assert_close(together[row, :length], alone[0])


def test_causal_positions_do_not_see_later_ones():
    block = block_of()
    inputs = torch.randn(1, 6, 8, requires_grad=True)
    block(inputs, batch_of([6], 6, "causal"))[0, 2].square().sum().backward()
    assert (inputs.grad[0, :3].abs().sum(-1) > 0).all()
    assert not inputs.grad[0, 3:].any()


def test_full_attention_sees_all_in_use():
    block = block_of()
    inputs = torch.randn(1, 6, 8, requires_grad=True)
    block(inputs, batch_of([4], 6, "full"))[0, 2].square().sum().backward()
    assert (inputs.grad[0, :4].abs().sum(-1) > 0).all()
    assert not inputs.grad[0, 4:].any()


def test_order_matters_only_with_positions():
    turned = torch.tensor([2, 0, 1, 3])
    inputs = torch.randn(1, 4, 8)
    without = block_of(positions="none")
    torch.testing.assert_close(without(inputs[:, turned]), without(inputs)[:, turned])
    learned = block_of()
    assert not torch.allclose(learned(inputs[:, turned]), learned(inputs)[:, turned], atol=1e-2)


@pytest.mark.parametrize("attention_dropout", [0.0, 0.4])
def test_an_empty_sequence_gives_numbers_and_gradients(attention_dropout):
    block = block_of(dropout=0.2, attention_dropout=attention_dropout)
    outputs = block(torch.randn(2, 4, 8), batch_of([0, 3], 4, "full"))
    outputs.square().sum().backward()
    assert outputs.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in block.parameters())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("attention", ["causal", "full"])
def test_autocast_stays_near(dtype, attention):
    block = block_of(initializer_range=0.1)
    inputs, batch = torch.randn(2, 5, 8), batch_of([0, 4], 5, attention)
    with torch.autocast("cpu", dtype=dtype):
        low = block(inputs, batch)
    torch.testing.assert_close(low.float()[1, :4], block(inputs, batch)[1, :4], rtol=0, atol=0.05)
    block.train()
    for layer in block.layer:
        layer.attention.dropout = 0.5
    with torch.autocast("cpu", dtype=dtype):
        assert block(inputs, batch).isfinite().all()


def test_starts_from_a_normal_of_the_given_width():
    block = block_of(initializer_range=0.05, inner_dim=512, layers=4)
    weights = torch.cat(
        [parameter.detach().flatten() for parameter in block.parameters() if parameter.dim() > 1]
    )
    assert float(weights.mean()) == pytest.approx(0, abs=1e-3)
    assert float(weights.std()) == pytest.approx(0.05, rel=0.02)
    assert not block.layer[0].ff.layer_1.bias.any()


def test_exports_with_any_batch_and_length():
    class Encode(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.block = block_of().eval()

        def forward(self, inputs, lengths):
            empty = torch.zeros(inputs.shape[:2], dtype=torch.bool)
            plan = MaskPlan(empty, empty, empty.long(), lengths, "full")
            return self.block(inputs, Batch({"item": inputs}, plan=plan))

    encode = Encode()
    sizes = {0: torch.export.Dim("B", min=1, max=64)}
    shapes = {"inputs": {**sizes, 1: torch.export.Dim("T", min=2, max=10)}, "lengths": sizes}
    program = torch.export.export(
        encode, (torch.randn(3, 5, 8), torch.tensor([1, 5, 2])), dynamic_shapes=shapes
    )
    inputs, lengths = torch.randn(2, 7, 8), torch.tensor([7, 3])
    used = torch.arange(7) < lengths[:, None]
    torch.testing.assert_close(program.module()(inputs, lengths)[used], encode(inputs, lengths)[used])


def test_errors_say_what_to_do():
    with pytest.raises(ValueError, match="dim is 8 and heads is 3: choose"):
        SelfAttention(8, heads=3)
    with pytest.raises(ValueError, match="need max_length"):
        TransformerBlock(8, heads=2, layers=1)
    with pytest.raises(ValueError, match=r"norm is 'both', expected one of \['pre', 'post'\]"):
        block_of(norm="both")
    with pytest.raises(ValueError, match="positions is 'spiral'"):
        block_of(positions="spiral")
    with pytest.raises(ValueError, match="12 positions and the transformer block has max_length=10: shorten"):
        block_of()(torch.zeros(1, 12, 8))
    with pytest.raises(ValueError, match=r"width 8 and got inputs of width 4: put MLPBlock\(\[8\]\)"):
        block_of()(torch.zeros(1, 2, 4))
    with pytest.raises(ValueError, match="plan has 6 positions and the inputs of the block have 5"):
        block_of()(torch.zeros(1, 5, 8), batch_of([6], 6, "full"))
