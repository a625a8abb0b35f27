"""Transformer-XL as transformers 4.30 had it; transformers 5 has it no more."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.utils import ModelOutput

from merlin_models_torch.blocks.dropout import Dropout
from transformers4rec._legacy import tell_once


class TransfoXLConfig(PretrainedConfig):
    """Sizes and options, by the names and with the defaults of transformers 4.30."""

    model_type = "transfo-xl"
    keys_to_ignore_at_inference = ("mems",)
    attribute_map = {  # noqa: RUF012 - as in the base class
        "n_token": "vocab_size",
        "hidden_size": "d_model",
        "num_attention_heads": "n_head",
        "num_hidden_layers": "n_layer",
    }

    vocab_size: int = 267735
    cutoffs: tuple[int, ...] | list[int] = (20000, 40000, 200000)
    d_model: int = 1024
    d_embed: int = 1024
    n_head: int = 16
    d_head: int = 64
    d_inner: int = 4096
    div_val: int = 4
    pre_lnorm: bool = False
    n_layer: int = 18
    mem_len: int = 1600
    clamp_len: int = 1000
    same_length: bool = True
    attn_type: int = 0
    dropout: float = 0.1
    dropatt: float = 0.0
    untie_r: bool = True
    init: str = "normal"
    init_range: float = 0.01
    proj_init_std: float = 0.01
    init_std: float = 0.02
    layer_norm_epsilon: float = 1e-5
    eos_token_id: int | None = 0
    # Of the adaptive softmax over words, which nothing here reads.
    sample_softmax: int = -1
    adaptive: bool = True

    @property
    def tie_projs(self) -> list[bool]:
        """Whether projections of the adaptive softmax are shared, a value for each part."""
        return [False, *[True] * len(self.cutoffs)]

    @property
    def max_position_embeddings(self) -> int:
        """No bound: positions are relative."""
        return -1


@dataclass
class TransfoXLModelOutput(ModelOutput):
    """What the model gives.

    Args:
        last_hidden_state: (B, T, D).
        mems: for each layer (M, B, D), the last of its inputs.
        hidden_states: for each layer and the end (B, T, D), if asked for.
        attentions: for each layer (B, H, T, M + T), if asked for.
    """

    last_hidden_state: Tensor | None = None
    mems: list[Tensor] | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


class RelativeAttention(nn.Module):
    """Attention by content and by distance, also to a memory (Dai et al. 2019, sections 3.2 and 3.3).

    Args:
        config: the sizes.
        biases: ``r_r_bias`` and ``r_w_bias`` where all layers share them.
    """

    def __init__(self, config: TransfoXLConfig, biases: tuple[nn.Parameter, nn.Parameter] | None) -> None:
        super().__init__()
        self.heads, self.width = config.n_head, config.d_head
        inner = self.heads * self.width
        self.pre_lnorm = config.pre_lnorm
        self.qkv_net = nn.Linear(config.d_model, 3 * inner, bias=False)
        self.drop = Dropout(config.dropout)
        self.dropatt = Dropout(config.dropatt)
        self.o_net = nn.Linear(inner, config.d_model, bias=False)
        self.layer_norm = nn.LayerNorm(config.d_model, eps=config.layer_norm_epsilon)
        self.r_r_bias, self.r_w_bias = biases or (_biases(config), _biases(config))
        self.r_net = nn.Linear(config.d_model, inner, bias=False)

    def forward(
        self, hidden: Tensor, memory: Tensor, positions: Tensor, hidden_keys: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Attends, adds the input and, unless it did before, normalises.

        Args:
            hidden: (B, T, D).
            memory: (B, M, D).
            positions: (M + T, D) of the distances from 0.
            hidden_keys: (T, M + T) bool, what a position may not see.

        Returns:
            (B, T, D), and the weights (B, H, T, M + T).
        """
        (rows, steps, _), total = hidden.shape, memory.shape[1] + hidden.shape[1]
        seen = torch.cat([memory, hidden], 1)
        projected = self.qkv_net(self.layer_norm(seen) if self.pre_lnorm else seen)
        query, key, value = projected.view(rows, total, 3, self.heads, self.width).permute(2, 0, 3, 1, 4)
        query = query[:, :, -steps:] / math.sqrt(self.width)
        scale = 1 / math.sqrt(self.width)
        scores = (query + self.r_w_bias[:, None] * scale) @ key.transpose(2, 3)
        distances = self.r_net(positions).view(total, self.heads, self.width)
        scores = scores + _distance_scores(query + self.r_r_bias[:, None] * scale, distances)
        scores = scores.masked_fill(hidden_keys, torch.finfo(scores.dtype).min)
        weights = self.dropatt(scores.softmax(-1))
        mixed = (weights @ value).transpose(1, 2).reshape(rows, steps, -1)
        summed = hidden + self.drop(self.o_net(mixed))
        return (summed if self.pre_lnorm else self.layer_norm(summed)), weights


class FeedForward(nn.Module):
    """Two linear layers at each position, a residual connection and layer normalisation.

    Args:
        config: the sizes.
    """

    def __init__(self, config: TransfoXLConfig) -> None:
        super().__init__()
        self.CoreNet = nn.Sequential(
            nn.Linear(config.d_model, config.d_inner),
            nn.ReLU(),
            Dropout(config.dropout),
            nn.Linear(config.d_inner, config.d_model),
            Dropout(config.dropout),
        )
        self.layer_norm = nn.LayerNorm(config.d_model, eps=config.layer_norm_epsilon)
        self.pre_lnorm = config.pre_lnorm

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        if self.pre_lnorm:
            return hidden + self.CoreNet(self.layer_norm(hidden))
        return self.layer_norm(hidden + self.CoreNet(hidden))


class Layer(nn.Module):
    """One layer: attention and feed-forward.

    Args:
        config: the sizes.
        biases: of the attention, where all layers share them.
    """

    def __init__(self, config: TransfoXLConfig, biases: tuple[nn.Parameter, nn.Parameter] | None) -> None:
        super().__init__()
        self.dec_attn = RelativeAttention(config, biases)
        self.pos_ff = FeedForward(config)


class WordEmbedding(nn.Module):
    """Vectors of ids, which sessions do not use.

    Args:
        config: the sizes.
    """

    def __init__(self, config: TransfoXLConfig) -> None:
        super().__init__()
        if config.div_val != 1 and config.vocab_size > 1:
            raise ValueError(f"div_val is {config.div_val}, and only 1 is offered: give vectors, not ids")
        self.emb_layers = nn.ModuleList([nn.Embedding(config.vocab_size, config.d_embed)])
        self.emb_projs = nn.ParameterList()
        if config.d_embed != config.d_model:
            self.emb_projs.append(nn.Parameter(torch.empty(config.d_model, config.d_embed)))
        self.scale = math.sqrt(config.d_model)

    def forward(self, ids: Tensor) -> Tensor:
        """(B, T, D) of (B, T) ids."""
        vectors = self.emb_layers[0](ids)
        for projection in self.emb_projs:
            vectors = nn.functional.linear(vectors, projection)
        return vectors * self.scale


class Positions(nn.Module):
    """Sinusoids of distances.

    Args:
        dim: width D.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("inv_freq", 1 / 10000 ** (torch.arange(0.0, dim, 2.0) / dim))

    def forward(self, distances: Tensor) -> Tensor:
        """(S, D) of (S,) distances."""
        angles = distances[:, None] * self.inv_freq
        return torch.cat([angles.sin(), angles.cos()], -1)


class TransfoXLModel(PreTrainedModel):
    """Transformer-XL with the parameters, their names and the results of transformers 4.30.

    Without a memory given, each layer has one of ``mem_len`` zero vectors, as there. With ``same_length``,
    which is the default, a position sees as many before it as the memory is long: with the ``mem_len=1`` that
    Transformers4Rec builds, only itself.

    Args:
        config: the sizes.
    """

    config_class = TransfoXLConfig
    base_model_prefix = "transformer"

    def __init__(self, config: TransfoXLConfig) -> None:
        super().__init__(config)
        if config.attn_type != 0:
            raise NotImplementedError(f"attn_type is {config.attn_type}: only 0 is offered, as in 4.30")
        if config.same_length and config.mem_len == 1:
            tell_once(
                "transfo-xl",
                "Transformer-XL with same_length=True and mem_len=1, which TransfoXLConfig.build gives, lets "
                "each position see only itself, as in Transformers4Rec 23.12.0: the items before it change "
                "nothing. Write TransfoXLConfig.build(..., same_length=False). See "
                "migration_guides/what-differs.md",
            )
        self.word_emb = WordEmbedding(config)
        self.drop = Dropout(config.dropout)
        shared = None
        if not config.untie_r:
            self.r_w_bias, self.r_r_bias = _biases(config), _biases(config)
            shared = (self.r_r_bias, self.r_w_bias)
        self.layers = nn.ModuleList(Layer(config, shared) for _ in range(config.n_layer))
        self.pos_emb = Positions(config.d_model)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """The vectors of ids."""
        return self.word_emb

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Puts others in place."""
        self.word_emb = value

    def _init_weights(self, module: nn.Module) -> None:
        config = self.config
        for name, parameter in module.named_parameters(recurse=False):
            if name == "bias":
                nn.init.zeros_(parameter)
            elif isinstance(module, nn.LayerNorm):
                nn.init.normal_(parameter, 1.0, config.init_std)
            elif isinstance(module, nn.ParameterList):
                nn.init.normal_(parameter, std=config.proj_init_std)
            elif config.init == "uniform":
                nn.init.uniform_(parameter, -config.init_range, config.init_range)
            else:
                nn.init.normal_(parameter, std=config.init_std)
        if isinstance(module, Positions):  # a loaded model has its buffers made anew
            dim = self.config.d_model
            with torch.no_grad():
                module.inv_freq.copy_(1 / 10000 ** (torch.arange(0.0, dim, 2.0) / dim))

    def forward(
        self,
        input_ids: Tensor | None = None,
        mems: list[Tensor] | None = None,
        inputs_embeds: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> Any:
        """Runs all layers.

        Args:
            input_ids: (B, T) int64, or None.
            mems: for each layer (M, B, D); zeros if not given.
            inputs_embeds: (B, T, D), instead of ids.
            output_attentions: whether to give the weights.
            output_hidden_states: whether to give the inputs of all layers.
            return_dict: whether to give an object, not a tuple.

        Returns:
            A :class:`TransfoXLModelOutput`.

        Raises:
            ValueError: if ids and vectors are given, or neither.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("give either input_ids or inputs_embeds to the Transformer-XL model")
        config = self.config
        inputs = self.word_emb(input_ids) if inputs_embeds is None else inputs_embeds
        rows, steps, dim = inputs.shape
        memories = (
            [inputs.new_zeros(rows, config.mem_len, dim)] * len(self.layers)
            if mems is None
            else [memory.transpose(0, 1) for memory in mems]
        )
        total = memories[0].shape[1] + steps if memories else steps
        distances = torch.arange(total, device=inputs.device, dtype=inputs.dtype)
        if config.clamp_len > 0:
            distances = distances.clamp(max=config.clamp_len)
        positions = self.drop(self.pos_emb(distances))
        unseen = self._unseen(steps, total, inputs.device)
        hidden, states, attentions = self.drop(inputs), [], []
        for layer, memory in zip(self.layers, memories, strict=True):
            states.append(hidden)
            hidden, weights = layer.dec_attn(hidden, memory, positions, unseen)
            hidden = layer.pos_ff(hidden)
            attentions.append(weights)
        hidden = self.drop(hidden)
        output = TransfoXLModelOutput(
            last_hidden_state=hidden,
            mems=self._next_memories(memories, states) if config.mem_len > 0 else None,
            hidden_states=(*states, hidden)
            if _asked(output_hidden_states, config, "hidden_states")
            else None,
            attentions=tuple(attentions) if _asked(output_attentions, config, "attentions") else None,
        )
        return output if (config.return_dict if return_dict is None else return_dict) else output.to_tuple()

    def _unseen(self, steps: int, total: int, device: torch.device) -> Tensor:
        """(T, M + T) bool: later positions, and with ``same_length`` earlier ones than the memory is long."""
        memory = total - steps
        pairs = torch.ones(steps, total, dtype=torch.bool, device=device)
        unseen = pairs.triu(1 + memory)
        if self.config.same_length:
            beyond = total - self.config.mem_len
            unseen |= pairs.tril(-(steps - beyond if beyond > 0 else steps))
        return unseen

    def _next_memories(self, memories: list[Tensor], states: list[Tensor]) -> list[Tensor]:
        kept = self.config.mem_len
        return [
            torch.cat([memory, state], 1)[:, -kept:].transpose(0, 1).detach()
            for memory, state in zip(memories, states, strict=True)
        ]


def _asked(given: bool | None, config: TransfoXLConfig, what: str) -> bool:
    return bool(getattr(config, f"output_{what}") if given is None else given)


def _biases(config: TransfoXLConfig) -> nn.Parameter:
    return nn.Parameter(torch.empty(config.n_head, config.d_head))


def _distance_scores(query: Tensor, distances: Tensor) -> Tensor:
    """The product of each query with the vector of its distance to each key.

    Args:
        query: (B, H, T, d); the last is at the last key.
        distances: (S, H, d), of the distances from 0.

    Returns:
        (B, H, T, S); keys after the query, which nothing may see, have the score of distance 0.
    """
    (rows, heads, steps, width), total = query.shape, distances.shape[0]
    keys = torch.arange(total, device=query.device)
    places = keys[-steps:]
    windows = distances[(places[:, None] - keys).clamp(min=0)]  # (T, S, H, d)
    queries = query.permute(2, 1, 0, 3).reshape(steps * heads, rows, width)
    scores = torch.bmm(queries, windows.permute(0, 2, 3, 1).reshape(steps * heads, width, total))
    return scores.view(steps, heads, rows, total).permute(2, 1, 0, 3)
