"""Transformers as bodies: every masking over every architecture that 23.12.0 runs, and their construction."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers4rec import torch as tr
from transformers4rec.config import transformer as configs
from transformers4rec.config.transformer import transformer_registry
from transformers4rec.torch.block.transformer import GPT2Prepare, TransformerBlock, TransformerPrepare
from transformers4rec.torch.masking import masking_registry

from tests.equivalence.cases._common import LENGTH, refuses, sessions, small_inputs
from tests.equivalence.side import Side

MODES = {
    "training": {"training": True, "testing": False},
    "evaluation": {"training": False, "testing": True},
    "inference": {"training": False, "testing": False},
}
STEPS = 20
WIDTH = 16
STILL = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
SMALL = {**STILL, "intermediate_size": 32}
BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "xlnet": ("XLNetConfig", {}),
    "gpt2": ("GPT2Config", {}),
    "albert": ("AlbertConfig", {}),
    "electra": ("ElectraConfig", {"attention_probs_dropout_prob": 0.0}),
    "bert": ("BertConfig", SMALL),
    "roberta": ("RobertaConfig", SMALL),
    "longformer": ("LongformerConfig", SMALL),
    "transfoxl": ("TransfoXLConfig", {}),
}
PAIRS = {
    "clm": ("xlnet", "gpt2", "transfoxl", "albert", "electra", "longformer"),
    "mlm": ("xlnet", "albert", "electra", "longformer", "bert", "roberta"),
    "rtd": ("xlnet", "albert", "electra", "longformer", "bert", "roberta"),
    "plm": ("xlnet",),
}
REFUSED = {
    "clm": ("bert", "roberta"),
    "mlm": ("gpt2", "transfoxl"),
    "rtd": ("gpt2", "transfoxl"),
    "plm": ("gpt2", "transfoxl", "albert", "electra", "longformer", "bert", "roberta"),
}


def config(name: str, **changes: Any) -> Any:
    """A small configuration without dropout."""
    cls, options = BODIES[name]
    sizes = {"d_model": WIDTH, "n_head": 2, "n_layer": 2, "total_seq_length": LENGTH, "dropout": 0.0}
    return getattr(configs, cls).build(**{**sizes, **options, **changes})


def copied(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """In memory of its own, in single precision."""
    return {k: v.float() if v.is_floating_point() else v.clone() for k, v in batch.items()}


def built(side: Side, body: str, masking: str, options: dict[str, Any] | None = None) -> tuple[Any, Any]:
    """A model of next items with this body and masking, and its input block."""
    inputs = small_inputs(side, masking=masking, **(options or {}))
    transformer = TransformerBlock(config(body), masking=inputs.masking)
    blocks = tr.SequentialBlock(inputs, tr.MLPBlock([WIDTH]), transformer)
    model = tr.Model(tr.Head(blocks, tr.NextItemPredictionTask(weight_tying=True), inputs=inputs))
    side.weights(model)
    return model, inputs


def pair(
    side: Side, body: str, masking: str, options: dict[str, Any] | None = None, curve: bool = False
) -> None:
    """Hidden states, loss, scores and gradients in every mode; some also through twenty steps."""
    model, _ = built(side, body, masking, options)
    batch = sessions(side)
    for number, (mode, flags) in enumerate(MODES.items()):
        model.train(mode == "training")
        side.seed(number)
        side.close(f"{mode}/hidden", model.heads[0].body(copied(batch), **flags))
        side.seed(number)
        output = model(copied(batch), **flags)
        if mode == "inference":
            side.close("inference/scores", output)
            continue
        side.same(f"{mode}/labels", output["labels"])
        side.close(f"{mode}/loss", output["loss"])
        side.close(f"{mode}/predictions", output["predictions"])
        if mode == "training":
            output["loss"].backward()
            side.gradients(model)
    if curve:
        trained(side, model, batch)


def trained(side: Side, model: Any, batch: dict[str, Tensor]) -> None:
    """Losses of twenty steps of Adam, and the weights after them."""
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    model.train()
    for number in range(STEPS):
        side.seed(100 + number)
        optimiser.zero_grad(set_to_none=True)
        loss = model(copied(batch), training=True)["loss"]
        loss.backward()
        optimiser.step()
        losses.append(loss.detach())
    side.curve("losses", torch.stack(losses))
    side.final(model)


def batch_of_one(side: Side, body: str, masking: str) -> None:
    """One session alone: loss, and scores in evaluation and at inference."""
    model, _ = built(side, body, masking)
    batch = {key: value[1:2] for key, value in sessions(side).items()}
    for mode, flags in MODES.items():
        model.train(mode == "training")
        side.seed(1)
        output = model(copied(batch), **flags)
        side.close(f"{mode}/scores", output if mode == "inference" else output["predictions"])
        if mode != "inference":
            side.close(f"{mode}/loss", output["loss"])


def everything_permuted(side: Side) -> None:
    """With ``eval_on_last_item_seq_only=False`` "plm" trains, and 23.12.0 cannot evaluate it."""
    model, _ = built(side, "xlnet", "plm", {"eval_on_last_item_seq_only": False})
    batch = sessions(side)
    side.seed(1)
    side.close("loss", model(copied(batch), training=True)["loss"])
    refuses(side, "evaluation", RuntimeError, lambda: model.eval()(copied(batch), testing=True))


def attention_weights(side: Side) -> None:
    """``log_attention_weights=True`` gives the weights beside the output."""
    inputs = vectors(side)
    for name in ("xlnet", "gpt2", "albert", "electra", "bert", "roberta", "transfoxl"):
        block = TransformerBlock(
            config(name, log_attention_weights=True), output_fn=lambda outputs: outputs
        ).eval()
        side.weights(block, name)
        outputs = block(inputs)
        side.close(f"{name}/output", outputs[0])
        for number, weights in enumerate(outputs.attentions):
            side.close(f"{name}/{number}", weights)


def refused(side: Side) -> None:
    """Pairs that 23.12.0 does not build."""
    for masking, bodies in REFUSED.items():
        for body in bodies:
            given = masking_registry.parse(masking)(hidden_size=WIDTH)
            call = partial(TransformerBlock, config(body), masking=given)
            refuses(side, f"{masking}/{body}", ValueError, call)


def vectors(side: Side, *, rows: int = 3, steps: int = LENGTH) -> Tensor:
    """(B, T, D) inputs of a body alone."""
    side.seed(5)
    return side.given("vectors", {"x": torch.randn(rows, steps, WIDTH)})["x"]


def alone(side: Side, block: Any, inputs: Tensor, name: str = "body", *, training: bool = False) -> None:
    """A body without a masking: outputs and gradients, and its size."""
    side.weights(block, name)
    block.train(training)
    output = block(inputs)
    side.close(f"{name}/output", output)
    (output * torch.arange(output.shape[-1])).sin().mean().backward()
    side.gradients(block, f"{name}/gradient")
    side.value(f"{name}/size", list(block.forward_output_size(inputs.shape)))


def reformer(side: Side) -> None:
    """Reformer, local attention only: 23.12.0 runs it as a body alone.

    It has gradients in training only, and then for the one length that fills its positions.
    """
    block = TransformerBlock(
        configs.ReformerConfig.build(
            d_model=WIDTH,
            n_head=2,
            n_layer=1,
            total_seq_length=LENGTH,
            dropout=0.0,
            local_attention_probs_dropout_prob=0.0,
            axial_pos_shape_first_dim=4,
        )
    )
    alone(side, block, vectors(side, steps=LENGTH + 2), training=True)
    side.close("evaluated", block.eval()(vectors(side, steps=LENGTH + 2)))


def reformer_hashing(side: Side) -> None:
    """Reformer with attention by hashes (LSH), of a configuration of Hugging Face: one seed of hashes.

    ``ReformerConfig.build`` takes no ``attn_layers``: there attention is local.
    """
    config = transformers.ReformerConfig(
        hidden_size=WIDTH,
        num_attention_heads=2,
        attention_head_size=8,
        feed_forward_size=24,
        attn_layers=["lsh", "local"],
        axial_pos_shape=(4, 8),
        axial_pos_embds_dim=(6, 10),
        hidden_dropout_prob=0.0,
        local_attention_probs_dropout_prob=0.0,
        lsh_attn_chunk_length=4,
        local_attn_chunk_length=4,
        num_buckets=4,
        num_hashes=2,
        hash_seed=11,
        max_position_embeddings=32,
        vocab_size=1,
    )
    block = TransformerBlock(config)
    inputs = vectors(side, steps=32)
    alone(side, block, inputs, training=True)
    side.close("evaluated", block.eval()(inputs))


def from_registry(side: Side) -> None:
    """Blocks by the registered names."""
    names = ("albert", "bert", "electra", "gtp2", "longformer", "roberta", "transfo-xl", "xlnet")
    inputs = vectors(side, rows=2, steps=6)
    for name in names:
        side.value(f"{name}/class", transformer_registry.parse(name).__name__)
        block = TransformerBlock.from_registry(name, d_model=WIDTH, n_head=2, n_layer=1, total_seq_length=6)
        side.value(f"{name}/type", type(block.transformer).__name__)
        alone(side, block, inputs, name)
    refuses(side, "unknown", KeyError, lambda: TransformerBlock.from_registry("t5", 8, 2, 1, 6))


def from_huggingface(side: Side) -> None:
    """A configuration and a model of Hugging Face, not of Transformers4Rec."""
    inputs = vectors(side)
    sizes = {"hidden_size": WIDTH, "num_attention_heads": 2, "num_hidden_layers": 1, "intermediate_size": 24}
    roberta = transformers.RobertaConfig(**sizes, vocab_size=3, max_position_embeddings=20)
    alone(side, TransformerBlock(roberta), inputs, "roberta-config")
    gpt2 = transformers.GPT2Config(n_embd=WIDTH, n_head=2, n_layer=1, n_positions=12, vocab_size=1)
    alone(side, TransformerBlock(transformers.GPT2Model(gpt2)), inputs, "gpt2-model")
    xlnet = transformers.XLNetConfig(d_model=WIDTH, n_head=2, n_layer=1, d_inner=24, vocab_size=1)
    alone(side, TransformerBlock(transformers.XLNetModel(xlnet)), inputs, "xlnet-model")
    distil = transformers.DistilBertConfig(dim=WIDTH, n_heads=2, n_layers=1, hidden_dim=24, vocab_size=1)
    distil.max_position_embeddings = 12
    alone(side, TransformerBlock(transformers.DistilBertModel(distil)), inputs, "distilbert-model")
    masking = masking_registry.parse("clm")(hidden_size=WIDTH)
    refuses(side, "clm/roberta", ValueError, lambda: TransformerBlock(roberta, masking=masking))


class Halved(torch.nn.Module):
    """A module that is no transformer of Hugging Face."""

    def forward(self, inputs_embeds: Tensor) -> tuple[Tensor]:
        """Half of the inputs."""
        return (inputs_embeds / 2,)


def not_of_huggingface(side: Side) -> None:
    """Whatever is given is taken, and fails when it cannot be called; a name is not looked up."""
    inputs = vectors(side)
    masking = masking_registry.parse("clm")(hidden_size=WIDTH)
    given = {"xlnet": "xlnet", "unknown": "unknown", "class": configs.XLNetConfig, "module": Halved()}
    for name, transformer in given.items():
        block = TransformerBlock(transformer)
        side.error(f"{name}/call", partial(block, inputs))
        side.error(f"{name}/size", partial(block.forward_output_size, inputs.shape))
        side.error(f"{name}/masking", partial(TransformerBlock, transformer, masking=masking))
    side.close("module", TransformerBlock(Halved())(inputs))


class Doubled(TransformerPrepare):
    """Arguments of one's own for the transformer."""

    def forward(self, inputs_embeds: Tensor) -> dict[str, Any]:
        """Twice the inputs, and an argument that no transformer takes."""
        return {"inputs_embeds": 2 * inputs_embeds, "unheard_of": 1}


def prepared(side: Side) -> None:
    """``prepare_module`` and ``output_fn``; the one that GPT-2 has by itself."""
    inputs = vectors(side)
    block = TransformerBlock(
        config("albert"), prepare_module=Doubled, output_fn=lambda outputs: outputs[0] + 1
    )
    alone(side, block, inputs, "doubled")
    pooled = TransformerBlock(config("albert"), output_fn=lambda outputs: outputs[1])
    side.weights(pooled, "pooled")
    side.close("pooled/output", pooled.eval()(inputs))
    block = TransformerBlock(config("gpt2"))
    side.value("gpt2", type(block.prepare_module).__name__)
    mask = GPT2Prepare(block.transformer)(inputs)["head_mask"]
    side.same("head_mask", mask)
    side.value("table", [cls.__name__ for cls in TransformerBlock.TRANSFORMER_TO_PREPARE])
    refuses(side, "base", NotImplementedError, lambda: TransformerPrepare(block.transformer)(inputs))
    refuses(side, "no-positions", AssertionError, lambda: block.forward_output_size(torch.Size([2, 3])))


def fields(side: Side) -> None:
    """What ``build`` makes of its arguments, also where the architecture reads another field."""
    read = {
        "XLNetConfig": "d_inner ff_activation dropout layer_norm_eps mem_len attn_type",
        "GPT2Config": "n_inner n_positions n_ctx layer_norm_epsilon resid_pdrop embd_pdrop attn_pdrop",
        "AlbertConfig": "hidden_dropout_prob attention_probs_dropout_prob max_position_embeddings",
        "ElectraConfig": "hidden_dropout_prob attention_probs_dropout_prob max_position_embeddings",
        "BertConfig": "dropout hidden_dropout_prob attention_probs_dropout_prob intermediate_size",
        "RobertaConfig": "dropout hidden_dropout_prob attention_probs_dropout_prob max_position_embeddings",
        "LongformerConfig": "dropout hidden_dropout_prob attention_window max_position_embeddings",
        "ReformerConfig": "attn_layers axial_pos_shape axial_pos_embds_dim max_position_embeddings",
        "TransfoXLConfig": "d_head d_inner dropout dropatt layer_norm_epsilon same_length clamp_len mem_len",
    }
    common = " hidden_size num_attention_heads num_hidden_layers vocab_size pad_token_id output_attentions"
    for name, own in read.items():
        made = getattr(configs, name).build(8, 2, 4, total_seq_length=10, dropout=0.25, pad_token=0)
        for field in (own + common).split():
            value = getattr(made, field)
            side.value(f"{name}/{field}", value)
        side.value(f"{name}/class", made.transformers_config_cls.__name__)
    more = configs.BertConfig.build(8, 2, 1, 10, hidden_dropout_prob=0.5, something_else="kept")
    side.value("kwargs", [more.hidden_dropout_prob, more.something_else])
    side.value("xlnet-without-length", configs.XLNetConfig.build(8, 2, 1).d_model)
    refuses(side, "base", NotImplementedError, lambda: configs.T4RecConfig.build(8, 2, 1, 10))


def lengths(side: Side) -> None:
    """How long a session may be: GPT-2 has no positions to spare, XLNet does not count them."""
    for name, steps in {
        "gpt2": (10, 11),
        "albert": (12, 13),
        "electra": (12, 13),
        "bert": (12, 13),
        "roberta": (11, 12),
        "xlnet": (40,),
        "transfoxl": (40,),
    }.items():
        block = TransformerBlock(config(name)).eval()
        for count in steps:
            try:
                shape = list(block(torch.zeros(1, count, WIDTH)).shape)
            except (IndexError, RuntimeError):  # which of the two depends on the release
                shape = "too long"
            side.value(f"{name}/{count}", shape)


def recurrent(side: Side) -> None:
    """A GRU and other modules of torch in a sequence of blocks, on the next item."""
    inputs = small_inputs(side, masking="clm")
    gru = nn.GRU(input_size=WIDTH, hidden_size=WIDTH, num_layers=1, batch_first=True)

    class First(nn.Module):
        """What a GRU gives, without its last state."""

        def __init__(self, module: nn.Module) -> None:
            super().__init__()
            self.module = module

        def forward(self, values: Tensor) -> Tensor:
            return self.module(values)[0]

    body = tr.SequentialBlock(
        inputs,
        tr.MLPBlock([WIDTH]),
        tr.Block(First(gru), [-1, LENGTH, WIDTH]),
        tr.Block(nn.LayerNorm(WIDTH), [-1, LENGTH, WIDTH]),
    )
    model = tr.Head(body, tr.NextItemPredictionTask(weight_tying=True), inputs=inputs).to_model()
    side.weights(model)
    batch = sessions(side)
    side.close("hidden", body(copied(batch), training=True))
    loss = model(copied(batch), training=True)["loss"]
    side.close("loss", loss)
    loss.backward()
    side.gradients(model)
    side.close("scores", model.eval()(copied(batch)))


def raw_gru(side: Side) -> None:
    """``tr.Block(torch.nn.GRU(...), output_size)`` gives what the GRU gives, a pair."""
    block = tr.Block(nn.GRU(WIDTH, 8, batch_first=True), [-1, LENGTH, 8])
    side.weights(block)
    values, state = block(vectors(side))
    side.close("values", values)
    side.close("state", state)
    side.value("size", list(block.forward_output_size([3, LENGTH, WIDTH])))


def whole_model(side: Side, body: str, masking: str) -> None:
    """``config.to_torch_model(inputs, task)``."""
    inputs = small_inputs(side, masking=masking)
    task = tr.NextItemPredictionTask(weight_tying=True)
    model = config(body).to_torch_model(inputs, task)
    side.weights(model)
    batch = sessions(side)
    side.seed(1)
    output = model(copied(batch), training=True)
    side.close("loss", output["loss"])
    side.close("predictions", output["predictions"])
    refuses(side, "inputs", ValueError, lambda: config(body).to_torch_model(nn.Identity(), task))
    refuses(side, "task", ValueError, lambda: config(body).to_torch_model(inputs, nn.Identity()))


def dropout(side: Side, body: str) -> None:
    """Where ``dropout=`` acts, by mean and spread: not its field in BERT, RoBERTa and Longformer."""
    cls, _ = BODIES[body]
    block = TransformerBlock(
        getattr(configs, cls).build(d_model=WIDTH, n_head=2, n_layer=1, total_seq_length=LENGTH, dropout=0.6)
    )
    side.weights(block)
    inputs = vectors(side, rows=1, steps=4)
    side.seed(0 if side.is_original else 1)
    with torch.no_grad():
        side.draws("output", torch.stack([block.train()(inputs)[0] for _ in range(300)]))


def transformer_xl_sees_itself(side: Side) -> None:
    """With ``mem_len=1`` and ``same_length`` a position of Transformer-XL sees no other."""
    block = TransformerBlock(config("transfoxl")).eval()
    side.weights(block)
    inputs = vectors(side)
    changed = inputs.clone()
    changed[:, :-1] += 1
    side.close("before", block(inputs))
    side.value("sees-others", bool((block(inputs) - block(changed))[:, -1].abs().max() > 1e-6))
    seeing = TransformerBlock(config("transfoxl", same_length=False)).eval()
    side.weights(seeing, "seeing")
    side.close("seeing", seeing(inputs))
    longer = TransformerBlock(config("transfoxl", same_length=False, clamp_len=4, dropatt=0.0)).eval()
    side.weights(longer, "clamped")
    side.close("clamped", longer(inputs))
    side.close(
        "again", longer.transformer(inputs_embeds=inputs, mems=longer.transformer(inputs_embeds=inputs)[1])[0]
    )


CURVES = {("clm", "gpt2"), ("mlm", "xlnet"), ("rtd", "electra"), ("plm", "xlnet"), ("mlm", "albert")}

CASES = {
    **{
        f"{masking}-{body}": partial(pair, body=body, masking=masking, curve=(masking, body) in CURVES)
        for masking, bodies in PAIRS.items()
        for body in bodies
    },
    "plm-xlnet-permute-all": partial(pair, body="xlnet", masking="plm", options={"permute_all": True}),
    "plm-xlnet-evaluate-all": everything_permuted,
    "batch-of-one-xlnet": partial(batch_of_one, body="xlnet", masking="plm"),
    "batch-of-one-gpt2": partial(batch_of_one, body="gpt2", masking="clm"),
    "batch-of-one-albert": partial(batch_of_one, body="albert", masking="mlm"),
    "attention-weights": attention_weights,
    "refused": refused,
    "reformer": reformer,
    "reformer-hashing": reformer_hashing,
    "from-registry": from_registry,
    "from-huggingface": from_huggingface,
    "not-of-huggingface": not_of_huggingface,
    "prepared": prepared,
    "fields": fields,
    "lengths": lengths,
    "gru": recurrent,
    "gru-raw": raw_gru,
    "to-torch-model-xlnet": partial(whole_model, body="xlnet", masking="mlm"),
    "to-torch-model-gpt2": partial(whole_model, body="gpt2", masking="clm"),
    **{f"dropout-{body}": partial(dropout, body=body) for body in BODIES},
    "transformer-xl-sees-itself": transformer_xl_sees_itself,
}
