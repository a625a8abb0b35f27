import copy
import json

import pytest
import torch
from torch import nn

from merlin_models_torch.batch import Batch
from merlin_models_torch.blocks.huggingface import HuggingFaceBlock
from merlin_models_torch.masking import RandomMasking
from merlin_models_torch.masking.plan import MaskPlan
from merlin_models_torch.serialize import from_config, to_config

transformers = pytest.importorskip("transformers")

# Some releases of transformers, among them the last for Python 3.10, compile parts of DeBERTa at import.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "vocab_size": 50,
    "initializer_range": 0.3,
}
GPT2 = {
    "n_embd": 16,
    "n_layer": 2,
    "n_head": 2,
    "n_positions": 9,
    "vocab_size": 50,
    "bos_token_id": 1,
    "eos_token_id": 1,
    "initializer_range": 0.3,
}
XLNET = {"d_model": 16, "n_layer": 2, "n_head": 2, "d_inner": 32, "vocab_size": 50, "initializer_range": 0.3}
CONFIGS = {
    "gpt2": lambda: transformers.GPT2Config(**GPT2),
    "bert": lambda: transformers.BertConfig(**SMALL),
    "albert": lambda: transformers.AlbertConfig(embedding_size=12, **SMALL),
    "electra": lambda: transformers.ElectraConfig(embedding_size=12, **SMALL),
    "roberta": lambda: transformers.RobertaConfig(**SMALL),
    "llama": lambda: transformers.LlamaConfig(num_key_value_heads=2, **SMALL),
    "xlnet": lambda: transformers.XLNetConfig(**XLNET),
    "opt": lambda: transformers.OPTConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        ffn_dim=32,
        word_embed_proj_dim=16,
        vocab_size=50,
        init_std=0.3,
    ),
    "deberta-v2": lambda: transformers.DebertaV2Config(**SMALL),
    "bloom": lambda: transformers.BloomConfig(
        hidden_size=16, n_layer=2, n_head=2, vocab_size=50, initializer_range=0.3
    ),
}
CAUSAL = {"gpt2", "llama", "opt", "bloom"}
PAIRS = set(CONFIGS) - {"deberta-v2", "bloom"}
LENGTHS = [3, 7]


def batch_of(kind, lengths=LENGTHS, steps=7):
    empty = torch.zeros(len(lengths), steps, dtype=torch.bool)
    plan = MaskPlan(empty, empty, empty.long(), torch.tensor(lengths), kind)
    return Batch({"item": torch.ones(len(lengths), steps)}, plan=plan)


def model_of(name):
    torch.manual_seed(0)
    return transformers.AutoModel.from_config(CONFIGS[name]()).eval()


def inputs_of(block):
    torch.manual_seed(1)
    return torch.randn(2, 7, block.in_features)


@pytest.mark.parametrize("name", CONFIGS)
def test_equals_the_model_row_by_row_without_padding(name):
    model = model_of(name)
    block = HuggingFaceBlock(model).eval()
    inputs = inputs_of(block)
    outputs = block(inputs, batch_of("causal" if name in CAUSAL else "full"))
    for row, length in enumerate(LENGTHS):
        want = model(inputs_embeds=inputs[row : row + 1, :length]).last_hidden_state[0]
        torch.testing.assert_close(outputs[row, :length], want, atol=1e-5, rtol=1e-4)
    want = model(inputs_embeds=inputs).last_hidden_state
    torch.testing.assert_close(block(inputs), want)


@pytest.mark.parametrize("kind", ["causal", "full"])
@pytest.mark.parametrize("name", sorted(PAIRS))
def test_attention_sees_what_the_plan_says_whatever_the_architecture(name, kind):
    block = HuggingFaceBlock(model_of(name)).eval()
    inputs = inputs_of(block)
    want = block(inputs, batch_of(kind))
    changed = inputs.clone()
    changed[1, 4:] = torch.randn(3, block.in_features)
    changed[0, 3:] = 50.0
    outputs = block(changed, batch_of(kind))
    torch.testing.assert_close(outputs[0, :3], want[0, :3])
    same = torch.isclose(outputs[1, :4], want[1, :4], atol=1e-5).all(-1)
    assert same.all() if kind == "causal" else not same.any()


@pytest.mark.parametrize("name", ["bert", "gpt2", "xlnet"])
def test_attention_weights_are_those_that_the_answers_come_from(name):
    block = HuggingFaceBlock(model_of(name)).eval()
    inputs = inputs_of(block)
    want = block(inputs, batch_of("causal"))
    weights = block.attention_weights(inputs, batch_of("causal"))
    assert [w.shape for w in weights] == [(2, 2, 7, 7)] * 2
    for layer in weights:
        torch.testing.assert_close(layer.sum(-1), torch.ones(2, 2, 7))
        assert not layer.triu(1).any()
        assert layer[1].tril().std() > 0
    torch.testing.assert_close(block(inputs, batch_of("causal")), want, rtol=0, atol=0)


def test_every_weight_that_is_trained_gets_a_gradient():
    for name in ("bert", "gpt2", "albert", "xlnet"):
        block = HuggingFaceBlock(CONFIGS[name]())
        block(inputs_of(block), batch_of("full")).pow(2).sum().backward()
        trained = [(n, p.grad) for n, p in block.named_parameters() if p.requires_grad]
        assert all(gradient is not None for _, gradient in trained), name
        assert not any("word_embedding" in n or "wte" in n or "pooler" in n for n, _ in trained)


@pytest.mark.parametrize("name", ["gpt2", "electra", "xlnet"])
def test_config_and_deepcopy_build_the_same_block(name):
    block = HuggingFaceBlock(CONFIGS[name]()).eval()
    config, schemas = to_config(block)
    again = from_config(json.loads(json.dumps(config)), schemas).eval()
    again.load_state_dict(block.state_dict())
    inputs = inputs_of(block)
    want = block(inputs, batch_of("full"))
    torch.testing.assert_close(again(inputs, batch_of("full")), want, rtol=0, atol=0)
    torch.testing.assert_close(copy.deepcopy(block)(inputs, batch_of("full")), want, rtol=0, atol=0)


def test_of_a_model_with_a_head_a_copy_of_the_part_below_is_used():
    model = transformers.GPT2LMHeadModel(CONFIGS["gpt2"]()).eval()
    block = HuggingFaceBlock(model).eval()
    inputs = inputs_of(block)
    want = model.transformer(inputs_embeds=inputs).last_hidden_state
    torch.testing.assert_close(block(inputs), want)
    assert model.transformer.wte.weight.shape == (50, 16)
    assert block.model.wte.weight.shape == (1, 16)
    assert model.transformer.wte.weight.requires_grad
    assert not {id(p) for p in model.parameters()} & {id(p) for p in block.parameters()}


def test_an_encoder_by_its_class_name_survives_the_config():
    config = transformers.T5Config(d_model=16, num_layers=1, num_heads=2, d_ff=32, d_kv=8, vocab_size=50)
    block = HuggingFaceBlock(config, architecture="T5EncoderModel").eval()
    written, schemas = to_config(HuggingFaceBlock(block.model))
    again = from_config(json.loads(json.dumps(written)), schemas).eval()
    assert type(again.model) is transformers.T5EncoderModel
    again.load_state_dict(block.state_dict())
    inputs = inputs_of(block)
    torch.testing.assert_close(again(inputs, batch_of("full")), block(inputs, batch_of("full")))


def test_building_leaves_the_mode_as_it_is():
    assert all(m.training for m in HuggingFaceBlock(CONFIGS["bert"]()).modules())
    assert not any(m.training for m in HuggingFaceBlock(model_of("bert")).model.modules())


def test_what_an_architecture_cannot_do_is_told():
    inputs = torch.zeros(2, 7, 16)
    with pytest.raises(ValueError, match=r"deberta-v2 model sees both sides .* causal masking would leak"):
        HuggingFaceBlock(CONFIGS["deberta-v2"]())(inputs, batch_of("causal"))
    with pytest.raises(ValueError, match="bloom model sees only what is before a position"):
        HuggingFaceBlock(CONFIGS["bloom"]())(inputs, batch_of("full"))
    with pytest.raises(
        ValueError, match="architecture 'fnet' takes no vectors in place of ids, or lets padding"
    ):
        HuggingFaceBlock(transformers.FNetConfig(hidden_size=16, num_hidden_layers=1, vocab_size=50))
    with pytest.raises(ValueError, match=r"architecture 't5' takes no vectors.*the encoder alone"):
        HuggingFaceBlock(transformers.T5Config(d_model=16, num_layers=1, num_heads=2, d_kv=8, vocab_size=50))


def test_errors():
    block = HuggingFaceBlock(CONFIGS["gpt2"]())
    with pytest.raises(ValueError, match=r"gpt2 model has width 16 and got .* 4: put MLPBlock\(\[16\]"):
        block(torch.zeros(1, 2, 4))
    with pytest.raises(ValueError, match="sequence has 10 positions and the gpt2 model 9"):
        block(torch.zeros(1, 10, 16))
    with pytest.raises(TypeError, match="takes a configuration or a model of transformers, got Linear"):
        HuggingFaceBlock(nn.Linear(2, 2))
    with pytest.raises(ValueError, match=r"needs its 'model_type' .*got \['n_embd'\]"):
        HuggingFaceBlock({"n_embd": 16})
    with pytest.raises(ValueError, match="transformers has no model class 'AutoConfig'"):
        HuggingFaceBlock(CONFIGS["gpt2"](), architecture="AutoConfig")


def test_an_architecture_may_decide_itself_what_is_seen() -> None:
    config = transformers.GPT2Config(**GPT2)
    torch.manual_seed(0)
    block = HuggingFaceBlock(config, ignore_plan=True).eval()
    inputs = torch.randn(2, 7, 16)
    batch = Batch(
        {"x": torch.zeros(2)}, plan=RandomMasking().evaluate(torch.ones(2, 7).long(), torch.tensor(LENGTHS))
    )
    assert torch.equal(block(inputs, batch), block(inputs))
    assert torch.equal(block(inputs, batch), block.model(inputs_embeds=inputs).last_hidden_state)
    assert block.init_arguments()["ignore_plan"] is True
    obeying = HuggingFaceBlock(config).eval()
    obeying.load_state_dict(block.state_dict())
    assert not torch.allclose(block(inputs, batch)[1], obeying(inputs, batch)[1])


def test_a_config_of_a_stranger_fetches_nothing() -> None:
    from merlin_models_torch.blocks.huggingface import _harmless

    kernels = "someone/kernels"
    values = {
        "n_embd": 8,
        "attn_implementation": kernels,
        "_attn_implementation": "eager",
        "experts_implementation": kernels,
        "auto_map": {"AutoModel": "someone/code"},
        "quantization_config": {"quant_method": "other"},
        "_name_or_path": "someone/model",
        "text_config": {"attn_implementation": kernels, "hidden_size": 4},
    }
    assert _harmless(values) == {
        "n_embd": 8,
        "attn_implementation": "eager",
        "text_config": {"hidden_size": 4},
    }
    block = HuggingFaceBlock({**values, "model_type": "gpt2", "n_layer": 1, "n_head": 2, "text_config": {}})
    assert block(torch.zeros(1, 3, 8)).shape == (1, 3, 8)
