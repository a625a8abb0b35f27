import pytest
import torch

from merlin_models_torch.batch import Batch
from merlin_models_torch.blocks.relative_attention import (
    RelativeAttention,
    attention_bias,
    relative_positions,
)
from merlin_models_torch.blocks.xlnet import XLNetBlock, XLNetLayer
from merlin_models_torch.masking.plan import MaskPlan

WIDTH, STEPS = 8, 6


def batch_of(lengths, attention, steps=STEPS):
    empty = torch.zeros(len(lengths), steps, dtype=torch.bool)
    plan = MaskPlan(empty, empty, empty.long(), torch.tensor(lengths), attention)
    return Batch({"item": torch.ones(len(lengths), steps)}, plan=plan)


def block_of(**options):
    torch.manual_seed(0)
    options = {"heads": 2, "layers": 2, "inner_dim": 12, "dropout": 0.0, "initializer_range": 0.3, **options}
    return XLNetBlock(WIDTH, **options)


def huggingface(**options):
    transformers = pytest.importorskip(
        "transformers", reason="Hugging Face's XLNet is what the block must equal"
    )
    config = transformers.XLNetConfig(
        **{
            "vocab_size": 10,
            "d_model": WIDTH,
            "n_head": 2,
            "n_layer": 2,
            "d_inner": 12,
            "ff_activation": "gelu",
            "dropout": 0.0,
            "layer_norm_eps": 0.03,
            "initializer_range": 0.3,
            **options,
        }
    )
    torch.manual_seed(1)
    return transformers.XLNetModel(config)


def compare(ours, theirs, batch, **masks):
    """Outputs at positions in use within 1e-5 and gradients, of inputs and of every weight, within 1e-4."""
    torch.manual_seed(2)
    first = torch.randn(3, STEPS, WIDTH, requires_grad=True)
    second = first.detach().clone().requires_grad_()
    lengths = torch.tensor([STEPS] * 3) if batch is None else batch.plan.lengths
    used = (torch.arange(STEPS) < lengths[:, None])[..., None]
    towards = torch.randn(3, STEPS, WIDTH) * used
    have = ours(first, batch)
    want = theirs(inputs_embeds=second, **masks).last_hidden_state
    torch.testing.assert_close(have * used, want * used, rtol=1e-5, atol=1e-5)
    have.backward(towards)
    want.backward(towards)
    torch.testing.assert_close(first.grad, second.grad, rtol=1e-4, atol=1e-4)
    gradients = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    for name, parameter in ours.named_parameters():
        if parameter.requires_grad:
            torch.testing.assert_close(parameter.grad, gradients[name], rtol=1e-4, atol=1e-4, msg=name)
        else:
            assert gradients[name] is None


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("seen", ["all", "lengths", "causal", "causal and lengths"])
def test_equals_huggingface(seen, training):
    theirs, ours = huggingface().train(training), block_of().train(training)
    ours.load_huggingface(theirs)
    lengths = [STEPS, 1, 4] if "lengths" in seen else [STEPS] * 3
    masks = {}
    if "lengths" in seen:
        masks["attention_mask"] = (torch.arange(STEPS) < torch.tensor(lengths)[:, None]).float()
    if "causal" in seen:
        masks["perm_mask"] = torch.ones(STEPS, STEPS).triu(1).expand(3, -1, -1)
    batch = None if seen == "all" else batch_of(lengths, "causal" if "causal" in seen else "full")
    compare(ours, theirs, batch, **masks)


def test_causal_plan_equals_huggingfaces_one_way_type():
    theirs, ours = huggingface(attn_type="uni").eval(), block_of().eval()
    ours.load_huggingface(theirs)
    compare(ours, theirs, batch_of([STEPS] * 3, "causal"))


def test_state_dict_fits_as_it_is():
    theirs, ours = huggingface(), block_of()
    left = ours.load_state_dict(theirs.state_dict(), strict=False)
    assert left.missing_keys == []
    assert sorted(left.unexpected_keys) == ["mask_emb", "word_embedding.weight"]
    order = [name for name, _ in theirs.named_parameters() if name.startswith("layer.")]
    assert [name for name, _ in ours.named_parameters()] == order


def test_dropout_has_the_effect_of_huggingfaces():
    # Same weights, many rows: mean and spread over the rows agree, though the draws differ.
    theirs, ours = huggingface(dropout=0.3, n_layer=1).train(), block_of(dropout=0.3, layers=1).train()
    ours.load_huggingface(theirs)
    row = torch.randn(1, STEPS, WIDTH)
    torch.manual_seed(3)
    # Positions are dropped once for a batch, so that many small batches are needed.
    have = torch.cat([ours(row.expand(10, -1, -1)) for _ in range(200)]).detach()
    want = theirs(inputs_embeds=row.expand(2000, -1, -1)).last_hidden_state.detach()
    torch.testing.assert_close(have.mean(0), want.mean(0), rtol=0, atol=0.15)
    torch.testing.assert_close(have.std(0), want.std(0), rtol=0.1, atol=0.05)
    torch.testing.assert_close((have == 0).float().mean(), torch.tensor(0.3), rtol=0, atol=0.01)


def test_attention_by_hand():
    # One head of width 2, identity projections; score = (q + w) . k + (q + r) . R[i - j], over sqrt(2).
    layer = RelativeAttention(2, heads=1, dropout=0.0, layer_norm_eps=0.0)
    layer.requires_grad_(False)
    for weight in (layer.q, layer.k, layer.v, layer.o, layer.r):
        weight.copy_(torch.eye(2)[:, None])
    layer.r_w_bias.copy_(torch.tensor([[1.0, 0.0]]))
    layer.r_r_bias.copy_(torch.tensor([[0.0, 1.0]]))
    x = torch.tensor([[0.5, -1.0], [2.0, 1.0]])
    # Rows of the positions: distance 2, 1, 0, -1.
    positions = torch.tensor([[9.0, 9.0], [1.0, 2.0], [3.0, -1.0], [-2.0, 0.5]])
    scores = torch.tensor(
        [
            # q0 + w = (1.5, -1), q0 + r = (0.5, 0): key 0 at distance 0, key 1 at distance -1
            [1.5 * 0.5 + 1.0 + 0.5 * 3.0, 1.5 * 2.0 - 1.0 - 0.5 * 2.0],
            # q1 + w = (3, 1), q1 + r = (2, 2): key 0 at distance 1, key 1 at distance 0
            [3 * 0.5 - 1.0 + 2 * 1.0 + 2 * 2.0, 3 * 2.0 + 1.0 + 2 * 3.0 - 2 * 1.0],
        ]
    )
    mixed = (scores / 2**0.5).softmax(-1) @ x
    want = torch.nn.functional.layer_norm(mixed + x, (2,), eps=0.0)
    torch.testing.assert_close(layer(x[None], positions)[0], want)


def test_positions_are_sines_and_cosines_of_the_distance():
    vectors = relative_positions(3, 4)
    distances = torch.tensor([3.0, 2.0, 1.0, 0.0, -1.0, -2.0])
    torch.testing.assert_close(vectors[:, 0], distances.sin())
    torch.testing.assert_close(vectors[:, 1], (distances / 100).sin())
    torch.testing.assert_close(vectors[:, 2], distances.cos())
    torch.testing.assert_close(vectors[:, 3], (distances / 100).cos())


def test_bias_lets_each_position_see_itself():
    bias = attention_bias(torch.tensor([[[True, False, False]]]))
    assert bias.shape == (1, 1, 3, 3)
    assert (bias[0, 0] == 0).tolist() == [[True, False, False], [True, True, False], [True, False, True]]


@pytest.mark.parametrize("attention", ["causal", "full"])
def test_padding_changes_nothing(attention):
    block = block_of()
    inputs = torch.randn(2, 7, WIDTH)
    lengths = [3, 7]
    together = block(inputs, batch_of(lengths, attention, 7))
    for row, length in enumerate(lengths):
        alone = block(inputs[row : row + 1, :length], batch_of([length], attention, length))
        torch.testing.assert_close(together[row, :length], alone[0])


def test_causal_positions_do_not_see_later_ones():
    block = block_of()
    inputs = torch.randn(1, STEPS, WIDTH, requires_grad=True)
    block(inputs, batch_of([STEPS], "causal"))[0, 2].square().sum().backward()
    assert (inputs.grad[0, :3].abs().sum(-1) > 0).all()
    assert not inputs.grad[0, 3:].any()


def test_an_empty_sequence_gives_numbers_and_gradients():
    block = block_of(dropout=0.4)
    outputs = block(torch.randn(2, STEPS, WIDTH), batch_of([0, 3], "full"))
    outputs.square().sum().backward()
    assert outputs.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in block.parameters() if parameter.requires_grad)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_stays_near(dtype):
    block, batch = block_of(initializer_range=0.1), batch_of([0, 4], "full")
    inputs = torch.randn(2, STEPS, WIDTH)
    with torch.autocast("cpu", dtype=dtype):
        low = block(inputs, batch)
    torch.testing.assert_close(low.float(), block(inputs, batch), rtol=0, atol=0.05)


def test_starts_as_huggingfaces():
    block = XLNetBlock(64, heads=4, layers=2)
    weights = torch.cat(
        [parameter.detach().flatten() for name, parameter in block.named_parameters() if "norm" not in name]
    )
    zeros = torch.cat(
        [
            layer.ff.get_submodule(part).bias.detach()
            for layer in block.layer
            for part in ("layer_1", "layer_2")
        ]
    )
    assert not zeros.any()
    drawn = weights[weights != 0]
    assert len(drawn) == len(weights) - len(zeros)
    assert float(drawn.mean()) == pytest.approx(0, abs=1e-4)
    assert float(drawn.std()) == pytest.approx(0.01, rel=0.02)
    assert float((drawn.abs() < 0.01).float().mean()) == pytest.approx(0.6827, abs=0.01)
    assert (block.layer[0].ff.layer_norm.weight == 1).all()


def test_exports_with_any_batch_and_length():
    class Encode(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.block = block_of().eval()

        def forward(self, inputs, lengths):
            empty = torch.zeros(inputs.shape[:2], dtype=torch.bool)
            plan = MaskPlan(empty, empty, empty.long(), lengths, "causal")
            return self.block(inputs, Batch({"item": inputs}, plan=plan))

    encode = Encode()
    sizes = {0: torch.export.Dim("B", min=1, max=64)}
    shapes = {"inputs": {**sizes, 1: torch.export.Dim("T", min=2, max=10)}, "lengths": sizes}
    example = (torch.randn(3, 5, WIDTH), torch.tensor([1, 5, 2]))
    program = torch.export.export(encode, example, dynamic_shapes=shapes)
    inputs, lengths = torch.randn(2, 7, WIDTH), torch.tensor([7, 3])
    used = torch.arange(7) < lengths[:, None]
    torch.testing.assert_close(program.module()(inputs, lengths)[used], encode(inputs, lengths)[used])


def test_layer_works_alone():
    block = block_of(layers=1)
    torch.manual_seed(5)
    layer = XLNetLayer(WIDTH, heads=2, inner_dim=12, dropout=0.0, activation="gelu", layer_norm_eps=0.03)
    layer.load_state_dict(block.layer[0].state_dict())
    inputs, batch = torch.randn(2, STEPS, WIDTH), batch_of([2, 5], "full")
    bias = attention_bias(batch.plan.visible())
    used = torch.arange(STEPS) < batch.plan.lengths[:, None]
    alone = layer(inputs, relative_positions(STEPS, WIDTH), bias)
    torch.testing.assert_close(alone[used], block(inputs, batch)[used])


def test_foreign_weights_are_refused_and_change_nothing():
    block = block_of()
    before = {name: value.clone() for name, value in block.state_dict().items()}
    state = block_of(layers=2, initializer_range=0.1).state_dict()
    with pytest.raises(ValueError, match=r"no weight 'layer\.0\.ff\.layer_1\.bias'"):
        block.load_huggingface(
            {name: value for name, value in state.items() if name != "layer.0.ff.layer_1.bias"}
        )
    with pytest.raises(ValueError, match=r"has a weight 'layer\.2\..*' and the block has not"):
        block.load_huggingface(block_of(layers=3).state_dict())
    with pytest.raises(ValueError, match=r"'layer.0.ff.layer_1.bias' is \(16,\) in the source and \(12,\)"):
        block.load_huggingface(block_of(inner_dim=16).state_dict())
    with pytest.raises(ValueError, match=r"no weight 'layer\.0\..*: is it an XLNet"):
        block.load_huggingface({"encoder.weight": torch.zeros(2)})
    for name, value in block.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    block.load_huggingface({f"transformer.{name}": value for name, value in state.items()})
    torch.testing.assert_close(block.layer[1].rel_attn.q.detach(), state["layer.1.rel_attn.q"])


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"ff_activation": "relu"}, "ff_activation='relu' and the block activation='gelu'"),
        ({"layer_norm_eps": 1e-12}, "layer_norm_eps=1e-12 and the block 0.03"),
        ({"clamp_len": 3}, "clamp_len=3 .* use the Hugging Face model"),
    ],
)
def test_other_computation_is_refused(option, message):
    with pytest.raises(ValueError, match=message):
        block_of().load_huggingface(huggingface(**option))


def test_errors_say_what_to_do():
    with pytest.raises(ValueError, match="dim is 7, expected an even width"):
        XLNetBlock(7, heads=1, layers=1)
    with pytest.raises(ValueError, match="dim is 8 and heads is 3: choose"):
        block_of(heads=3)
    with pytest.raises(ValueError, match=r"width 8 and got inputs of width 4: put MLPBlock\(\[8\]\)"):
        block_of()(torch.zeros(1, 2, 4))
    with pytest.raises(ValueError, match="plan has 6 positions and the inputs of the block have 5"):
        block_of()(torch.zeros(1, 5, WIDTH), batch_of([6], "full"))
