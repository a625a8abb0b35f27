"""The second stream of XLNet against Hugging Face's ``perm_mask`` and ``target_mapping``."""

import pytest
import torch

from merlin_models_torch.batch import Batch
from merlin_models_torch.blocks.relative_attention import query_bias
from merlin_models_torch.blocks.xlnet import XLNetBlock
from merlin_models_torch.masking import CausalMasking, PermutedMasking

WIDTH, STEPS = 8, 6
LENGTHS = torch.tensor([6, 3, 5])
IDS = (torch.arange(STEPS) < LENGTHS[:, None]) * torch.arange(1, 19).view(3, STEPS)


def huggingface(**options):
    transformers = pytest.importorskip(
        "transformers", reason="Hugging Face's XLNet is what the block must equal"
    )
    config = transformers.XLNetConfig(
        **{
            "vocab_size": 10,
            "d_model": WIDTH,
            "n_head": 2,
            "n_layer": 3,
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


def block_of(**options):
    torch.manual_seed(0)
    sizes = {"heads": 2, "layers": 3, "inner_dim": 12, "dropout": 0.0, "initializer_range": 0.3}
    return XLNetBlock(WIDTH, **{**sizes, "two_streams": True, **options})


def batch_of(plan):
    return Batch({"item": IDS}, plan=plan)


def planned(targets, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return PermutedMasking(targets=targets, probability=0.5).train(IDS, LENGTHS, generator=generator)


def mapping_of(targeted):
    """(B, N, T): one row for each target, rows of zeros where a session has fewer than another."""
    mapping = torch.zeros(3, int(targeted.sum(1).max()), STEPS)
    for row in range(3):
        for number, step in enumerate(targeted[row].nonzero().flatten()):
            mapping[row, number, step] = 1
    return mapping


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("targets", ["spans", "all", "evaluate", "predict"])
def test_equals_huggingface(targets, training):
    theirs, ours = huggingface().train(training), block_of().train(training)
    ours.load_huggingface(theirs)
    if targets == "evaluate":
        plan = PermutedMasking().evaluate(IDS, LENGTHS)
    elif targets == "predict":
        plan = PermutedMasking().predict(IDS[:, :-1], LENGTHS - 1)
    else:
        plan = planned(targets)
    torch.manual_seed(2)
    first = torch.randn(3, STEPS, WIDTH, requires_grad=True)
    second = first.detach().clone().requires_grad_()
    have = ours(first, batch_of(plan))[plan.targeted]
    mapping = mapping_of(plan.targeted)
    outputs = theirs(inputs_embeds=second, perm_mask=(~plan.visible()).float(), target_mapping=mapping)
    want = outputs.last_hidden_state[mapping.any(-1)]
    torch.testing.assert_close(have, want, rtol=1e-5, atol=1e-5)
    towards = torch.randn(have.shape)
    have.backward(towards)
    want.backward(towards)
    torch.testing.assert_close(first.grad, second.grad, rtol=1e-4, atol=1e-4)
    gradients = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    for name, parameter in ours.named_parameters():
        if parameter.requires_grad:
            torch.testing.assert_close(parameter.grad, gradients[name], rtol=1e-4, atol=1e-4, msg=name)


def test_another_plan_uses_one_stream():
    two, one = block_of(), block_of(two_streams=False)
    state = {name: value for name, value in two.state_dict().items() if name != "mask_emb"}
    one.load_state_dict(state)
    inputs = torch.randn(3, STEPS, WIDTH)
    plan = CausalMasking(attention="full").train(IDS, LENGTHS)
    torch.testing.assert_close(two(inputs, batch_of(plan)), one(inputs, batch_of(plan)), rtol=0, atol=0)
    torch.testing.assert_close(two(inputs), one(inputs), rtol=0, atol=0)


def test_no_target_sees_itself_or_those_after_it_in_the_order():
    block, plan = block_of(), planned("all", seed=3)
    inputs = torch.randn(3, STEPS, WIDTH, requires_grad=True)
    outputs = block(inputs, batch_of(plan))
    for row, step in plan.targeted.nonzero().tolist():
        (gradient,) = torch.autograd.grad(outputs[row, step].square().sum(), inputs, retain_graph=True)
        reached = gradient.abs().sum(-1) > 0
        assert reached[row].tolist() == plan.visible()[row, step].tolist()
        assert not reached[[other for other in range(3) if other != row]].any()


def test_a_query_that_sees_nothing_depends_on_nothing():
    block, plan = block_of(), planned("all")
    blind = ~plan.visible().any(-1)
    assert blind.any()
    outputs = [block(torch.randn(3, STEPS, WIDTH), batch_of(plan))[blind] for _ in range(2)]
    assert outputs[0].isfinite().all()
    torch.testing.assert_close(outputs[0], outputs[1], rtol=0, atol=0)


def test_query_bias_by_hand():
    visible = torch.tensor([[[False, True], [False, False]]])
    bias, some = query_bias(visible)
    assert bias.tolist() == [[[[-torch.inf, 0.0], [0.0, 0.0]]]]
    assert some.tolist() == [[[[True], [False]]]]


def test_the_mask_embedding_is_loaded_only_with_two_streams():
    theirs = huggingface()
    two, one = block_of(), block_of(two_streams=False)
    two.load_huggingface(theirs)
    one.load_huggingface(theirs)
    torch.testing.assert_close(two.mask_emb, theirs.mask_emb, rtol=0, atol=0)
    assert "mask_emb" not in one.state_dict()
    state = {name: value for name, value in theirs.state_dict().items() if name != "mask_emb"}
    with pytest.raises(ValueError, match="the source has no weight 'mask_emb'"):
        two.load_huggingface(state)


def test_one_stream_refuses_a_permuted_plan():
    with pytest.raises(ValueError, match=r"XLNetBlock has one stream, .* needs two: .*or two_streams=True"):
        block_of(two_streams=False)(torch.zeros(3, STEPS, WIDTH), batch_of(planned("spans")))
