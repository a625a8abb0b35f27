"""Bodies: what is ours beside Hugging Face's models equals them, and programs are told of what they get."""

import pytest
import torch
import transformers
from transformers4rec import torch as tr
from transformers4rec.config import transformer as configs
from transformers4rec.torch.block._transfo_xl import TransfoXLModel
from transformers4rec.torch.block._xlnet import XLNetModel
from transformers4rec.torch.masking import PermutationLanguageModeling, masking_registry

from tests.compat.small import LENGTH, batch, schema

WIDTH = 8
SIZES = {"d_model": WIDTH, "n_head": 2, "n_layer": 2, "total_seq_length": LENGTH, "dropout": 0.0}
STILL = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "intermediate_size": 16}


def vectors(rows=5, steps=LENGTH, *, seed=0):
    return torch.randn(rows, steps, WIDTH, generator=torch.Generator().manual_seed(seed))


def stirred(model):
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model.eval()


def xlnet(**options):
    ours = stirred(XLNetModel(configs.XLNetConfig.build(**SIZES, **options)))
    theirs = transformers.XLNetModel(ours.config).eval()
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


@pytest.mark.parametrize("mode", ["training", "testing"])
def test_permuted_xlnet_equals_hugging_faces(mode):
    ours, theirs = xlnet()
    masking = PermutationLanguageModeling(hidden_size=WIDTH)
    torch.manual_seed(2)
    ids = torch.randint(1, 9, (5, LENGTH)) * (torch.arange(LENGTH) <= torch.arange(5)[:, None])
    masking.compute_masked_targets(ids, **{mode: True})
    inputs = {"inputs_embeds": vectors(), **masking.transformer_arguments}
    expected, found = theirs(**inputs), ours(**inputs)
    assert len(found) == 1  # no memory: it is the quick way
    torch.testing.assert_close(found[0], expected[0], atol=1e-5, rtol=1e-5)
    for model, output in ((ours, found), (theirs, expected)):
        model.zero_grad()
        output[0].square().mean().backward()
    for (name, mine), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in (mine, other)]
        torch.testing.assert_close(*gradients, atol=1e-6, rtol=1e-4, msg=name)


def test_permuted_xlnet_that_looks_back_sees_what_both_allow():
    # Hugging Face's own fails here.
    back, _ = xlnet(attn_type="uni")
    both, _ = xlnet()
    both.load_state_dict(back.state_dict())
    unseen = (torch.rand(5, LENGTH, LENGTH, generator=torch.Generator().manual_seed(3)) < 0.3).float()
    later = torch.ones(LENGTH, LENGTH).triu(1)
    every = torch.eye(LENGTH).expand(5, LENGTH, LENGTH)
    torch.testing.assert_close(
        back(inputs_embeds=vectors(), perm_mask=unseen, target_mapping=every)[0],
        both(inputs_embeds=vectors(), perm_mask=unseen.maximum(later), target_mapping=every)[0],
    )


def test_an_unusual_mapping_goes_to_hugging_face():
    ours, theirs = xlnet()
    mapping = torch.zeros(5, 1, LENGTH)
    mapping[:, 0, 2] = 1
    inputs = {
        "inputs_embeds": vectors(),
        "target_mapping": mapping,
        "perm_mask": torch.ones(5, LENGTH, LENGTH).triu(1),
    }
    assert ours(**inputs)[0].shape == (5, 1, WIDTH)
    torch.testing.assert_close(ours(**inputs)[0], theirs(**inputs)[0])


def transfo_xl(**options):
    return stirred(TransfoXLModel(configs.TransfoXLConfig.build(**SIZES, **options)))


def plain_transfo_xl(model, inputs):
    """The formula of the paper, position by position."""
    config, hidden = model.config, inputs
    for layer in model.layers:
        attention = layer.dec_attn
        rows, steps, dim = hidden.shape
        seen = torch.cat([hidden.new_zeros(rows, config.mem_len, dim), hidden], 1)
        query, key, value = (
            part.view(rows, -1, config.n_head, config.d_head) for part in attention.qkv_net(seen).chunk(3, -1)
        )
        mixed = torch.zeros(rows, steps, config.n_head, config.d_head)
        for place in range(steps):
            own = query[:, config.mem_len + place]
            visible = config.mem_len + place + 1
            distance = torch.arange(visible - 1, -1, -1.0)
            vectors_of = attention.r_net(model.pos_emb(distance)).view(visible, config.n_head, config.d_head)
            content = torch.einsum("bhd,bshd->bhs", own + attention.r_w_bias, key[:, :visible])
            far = torch.einsum("bhd,shd->bhs", own + attention.r_r_bias, vectors_of)
            weights = ((content + far) / config.d_head**0.5).softmax(-1)
            mixed[:, place] = torch.einsum("bhs,bshd->bhd", weights, value[:, :visible])
        hidden = attention.layer_norm(hidden + attention.o_net(mixed.flatten(2)))
        hidden = layer.pos_ff.layer_norm(hidden + layer.pos_ff.CoreNet(hidden))
    return hidden


def test_transformer_xl_is_the_formula():
    model = transfo_xl(same_length=False)
    torch.testing.assert_close(
        model(inputs_embeds=vectors())[0], plain_transfo_xl(model, vectors()), atol=1e-5, rtol=1e-5
    )


def test_transformer_xl_as_built_sees_only_itself_and_says_so():
    with pytest.warns(UserWarning, match=r"lets each position see only itself.* same_length=False"):
        model = transfo_xl()
    inputs, alone = vectors(), vectors()
    alone[:, :-1] = 0
    torch.testing.assert_close(model(inputs_embeds=alone)[0][:, -1], model(inputs_embeds=inputs)[0][:, -1])


def test_transformer_xl_goes_on_from_its_memory():
    model = transfo_xl(same_length=False)
    model.config.mem_len = LENGTH
    whole = model(inputs_embeds=vectors(steps=2 * LENGTH), mems=[torch.zeros(0, 5, WIDTH)] * 2)[0]
    first = model(inputs_embeds=vectors(steps=2 * LENGTH)[:, :LENGTH], mems=[torch.zeros(0, 5, WIDTH)] * 2)
    second = model(inputs_embeds=vectors(steps=2 * LENGTH)[:, LENGTH:], mems=first.mems)[0]
    torch.testing.assert_close(second, whole[:, LENGTH:], atol=1e-5, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:Transformer-XL with")
def test_transformer_xl_of_ids_is_that_of_their_vectors():
    model = transfo_xl()
    ids = torch.zeros(2, 3, dtype=torch.int64)
    torch.testing.assert_close(model(ids)[0], model(inputs_embeds=model.word_emb(ids))[0])
    with pytest.raises(ValueError, match="give either input_ids or inputs_embeds"):
        model()


@pytest.mark.filterwarnings("ignore:Transformer-XL with")
def test_transformer_xl_gives_weights_and_states_if_asked():
    model = transfo_xl()
    output = model(inputs_embeds=vectors(), output_attentions=True, output_hidden_states=True)
    assert len(output.attentions) == 2
    torch.testing.assert_close(output.attentions[0].sum(-1), torch.ones(5, 2, LENGTH))
    torch.testing.assert_close(output.hidden_states[-1], output.last_hidden_state)
    assert isinstance(model(inputs_embeds=vectors(), return_dict=False), tuple)


@pytest.mark.parametrize("name", ["BertConfig", "RobertaConfig", "LongformerConfig"])
def test_dropout_that_sets_nothing(name):
    build = getattr(configs, name).build
    with pytest.warns(UserWarning, match=rf"{name}.build\(dropout=0.5\) sets no field .* drops 0.1"):
        config = build(8, 2, 1, 10, dropout=0.5)
    assert config.hidden_dropout_prob == 0.1
    assert build(8, 2, 1, 10, **STILL).hidden_dropout_prob == 0.0


@pytest.mark.parametrize("name", ["AlbertConfig", "BertConfig", "ElectraConfig", "RobertaConfig"])
@pytest.mark.filterwarnings("ignore:.* sets no field")
def test_state_dicts_have_the_positions_that_4_30_had(name):
    model = getattr(configs, name).build(**SIZES).to_huggingface_torch_model()
    assert torch.equal(model.state_dict()["embeddings.position_ids"], torch.arange(LENGTH + 2)[None])
    given = tr.TransformerBlock(
        transformers.BertModel(transformers.BertConfig(vocab_size=1, num_hidden_layers=1))
    )
    assert "transformer.embeddings.position_ids" in given.state_dict()


REFUSED = [
    ("clm", "BertConfig"),
    ("mlm", "GPT2Config"),
    ("rtd", "TransfoXLConfig"),
    ("plm", "LongformerConfig"),
    ("plm", "AlbertConfig"),
]


@pytest.mark.parametrize(("masking", "name"), REFUSED)
@pytest.mark.filterwarnings("ignore:.*as in Transformers4Rec 23.12.0")
def test_pairs_that_are_refused(masking, name):
    config = getattr(configs, name).build(**SIZES)
    given = masking_registry.parse(masking)(hidden_size=WIDTH)
    with pytest.raises(ValueError, match=r"LanguageModeling (is not supported by|requires the parameters)"):
        tr.TransformerBlock(config, masking=given)


@pytest.mark.parametrize("name", ["AlbertConfig", "ElectraConfig", "LongformerConfig"])
@pytest.mark.filterwarnings("ignore:.* sets no field")
def test_a_body_that_sees_the_target_is_told_of(name):
    options = STILL if name == "LongformerConfig" else {}
    with pytest.warns(UserWarning, match="looks both ways, and masking 'causal' does not stop it"):
        tr.TransformerBlock(
            getattr(configs, name).build(**SIZES, **options),
            masking=masking_registry["clm"](hidden_size=WIDTH),
        )


def test_gpt2_learns_without_a_warning():
    inputs = tr.TabularSequenceFeatures.from_schema(
        schema(), max_sequence_length=LENGTH, masking="clm", d_output=WIDTH, aggregation="concat"
    )
    model = configs.GPT2Config.build(**SIZES).to_torch_model(
        inputs, tr.NextItemPredictionTask(weight_tying=True)
    )
    optimiser = torch.optim.Adam(model.parameters(), 0.02)
    losses = []
    for _ in range(30):
        optimiser.zero_grad()
        loss = model(batch(), training=True)["loss"]
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2
