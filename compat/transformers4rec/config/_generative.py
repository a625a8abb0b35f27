"""Configurations of GPT-2, Reformer, and the two with relative positions."""

from __future__ import annotations

from typing import Any

import transformers

from transformers4rec._legacy import legacy
from transformers4rec.config._base import HOME, T4RecConfig, transformer_registry
from transformers4rec.torch.block import _transfo_xl


@transformer_registry.register("gtp2")
@legacy(home=HOME)
class GPT2Config(T4RecConfig, transformers.GPT2Config):
    """Configuration of GPT-2, which looks back only; registered as "gtp2", the spelling of 23.12.0."""

    @classmethod
    @legacy(home=HOME)
    def build(
        cls,
        d_model: int,
        n_head: int,
        n_layer: int,
        total_seq_length: int,
        hidden_act: str = "gelu",
        initializer_range: float = 0.01,
        layer_norm_eps: float = 0.03,
        dropout: float = 0.3,
        pad_token: int = 0,
        log_attention_weights: bool = False,
        **kwargs: Any,
    ) -> GPT2Config:
        """A configuration of the given sizes.

        Args:
            d_model: width.
            n_head: attention heads.
            n_layer: layers.
            total_seq_length: longest session; no positions are added.
            hidden_act: activation of the feed-forward parts.
            initializer_range: standard deviation of the weights at the start.
            layer_norm_eps: not its field: what is added to the variance is ``layer_norm_epsilon``.
            dropout: in training.
            pad_token: not used.
            log_attention_weights: whether attention weights are among the outputs.
            **kwargs: any other field of Hugging Face's configuration.
        """
        return cls(
            n_embd=d_model,
            n_inner=4 * d_model,
            n_layer=n_layer,
            n_head=n_head,
            activation_function=hidden_act,
            initializer_range=initializer_range,
            layer_norm_eps=layer_norm_eps,
            resid_pdrop=dropout,
            embd_pdrop=dropout,
            attn_pdrop=dropout,
            n_positions=total_seq_length,
            n_ctx=total_seq_length,
            output_attentions=log_attention_weights,
            vocab_size=1,
            **kwargs,
        )


@transformer_registry.register("reformer")
@legacy(home=HOME)
class ReformerConfig(T4RecConfig, transformers.ReformerConfig):
    """Configuration of Reformer, whose outputs are twice as wide as its inputs."""

    @classmethod
    @legacy(home=HOME)
    def build(
        cls,
        d_model: int,
        n_head: int,
        n_layer: int,
        total_seq_length: int,
        hidden_act: str = "gelu",
        initializer_range: float = 0.01,
        layer_norm_eps: float = 0.03,
        dropout: float = 0.3,
        pad_token: int = 0,
        log_attention_weights: bool = False,
        axial_pos_shape_first_dim: int = 4,
        **kwargs: Any,
    ) -> ReformerConfig:
        """A configuration of the given sizes.

        Args:
            d_model: width.
            n_head: attention heads.
            n_layer: layers.
            total_seq_length: with two added, the positions there are.
            hidden_act: activation of the feed-forward parts.
            initializer_range: standard deviation of the weights at the start.
            layer_norm_eps: added to the variance by layer normalisation.
            dropout: in training.
            pad_token: id of padding.
            log_attention_weights: whether attention weights are among the outputs.
            axial_pos_shape_first_dim: rows of the matrix that positions are laid out in; in training the
                sequence has to fill it.
            **kwargs: any other field of Hugging Face's configuration.
        """
        return cls(
            hidden_size=d_model,
            attention_head_size=d_model,
            attn_layers=["local", "lsh"] * (n_layer // 2) if n_layer > 2 else ["local"],
            num_hidden_layers=n_layer,
            feed_forward_size=4 * d_model,
            num_attention_heads=n_head,
            hidden_act=hidden_act,
            initializer_range=initializer_range,
            layer_norm_eps=layer_norm_eps,
            hidden_dropout_prob=dropout,
            lsh_attention_probs_dropout_prob=dropout,
            pad_token_id=pad_token,
            max_position_embeddings=total_seq_length + 2,
            axial_pos_embds_dim=[d_model // 2, d_model // 2],
            axial_pos_shape=[axial_pos_shape_first_dim, (total_seq_length + 2) // axial_pos_shape_first_dim],
            output_attentions=log_attention_weights,
            vocab_size=1,
            **kwargs,
        )


@transformer_registry.register("transfo-xl")
@legacy(home=HOME)
class TransfoXLConfig(T4RecConfig, _transfo_xl.TransfoXLConfig):
    """Configuration of Transformer-XL."""

    @classmethod
    @legacy(home=HOME)
    def build(
        cls,
        d_model: int,
        n_head: int,
        n_layer: int,
        total_seq_length: int,
        hidden_act: str = "gelu",
        initializer_range: float = 0.01,
        layer_norm_eps: float = 0.03,
        dropout: float = 0.3,
        pad_token: int = 0,
        log_attention_weights: bool = False,
        **kwargs: Any,
    ) -> TransfoXLConfig:
        """A configuration of the given sizes.

        Args:
            d_model: width.
            n_head: attention heads.
            n_layer: layers.
            total_seq_length: not used, positions are relative.
            hidden_act: activation of the feed-forward parts; not used, it is ReLU.
            initializer_range: standard deviation of the weights at the start.
            layer_norm_eps: not its field: what is added to the variance is ``layer_norm_epsilon``.
            dropout: in training.
            pad_token: id of padding.
            log_attention_weights: whether attention weights are among the outputs.
            **kwargs: any other field of Hugging Face's configuration.
        """
        return cls(
            d_model=d_model,
            d_embed=d_model,
            n_layer=n_layer,
            n_head=n_head,
            d_inner=4 * d_model,
            hidden_act=hidden_act,
            untie_r=True,
            attn_type=0,
            initializer_range=initializer_range,
            layer_norm_eps=layer_norm_eps,
            dropout=dropout,
            pad_token_id=pad_token,
            output_attentions=log_attention_weights,
            vocab_size=1,
            mem_len=1,
            div_val=1,
            **kwargs,
        )


@transformer_registry.register("xlnet")
@legacy(home=HOME)
class XLNetConfig(T4RecConfig, transformers.XLNetConfig):
    """Configuration of XLNet."""

    @classmethod
    @legacy(home=HOME)
    def build(
        cls,
        d_model: int,
        n_head: int,
        n_layer: int,
        total_seq_length: int | None = None,
        attn_type: str = "bi",
        hidden_act: str = "gelu",
        initializer_range: float = 0.01,
        layer_norm_eps: float = 0.03,
        dropout: float = 0.3,
        pad_token: int = 0,
        log_attention_weights: bool = False,
        mem_len: int = 1,
        **kwargs: Any,
    ) -> XLNetConfig:
        """A configuration of the given sizes.

        Args:
            d_model: width.
            n_head: attention heads.
            n_layer: layers.
            total_seq_length: not used, positions are relative.
            attn_type: "bi" sees both ways, "uni" only back, with which 23.12.0 cannot run.
            hidden_act: activation of the feed-forward parts.
            initializer_range: standard deviation of the weights at the start.
            layer_norm_eps: added to the variance by layer normalisation.
            dropout: in training.
            pad_token: id of padding.
            log_attention_weights: whether attention weights are among the outputs.
            mem_len: positions to remember of an earlier call; calls here have none.
            **kwargs: any other field of Hugging Face's configuration.

        Raises:
            ValueError: if the width cannot be shared out among the heads.
        """
        width_of_head, left = divmod(d_model, n_head)
        if left or kwargs.get("d_head", width_of_head) != width_of_head:
            raise ValueError(
                f"d_model is {d_model} and n_head {n_head}: give a width that the heads divide, and no other "
                "d_head than their share"
            )
        return cls(
            d_model=d_model,
            d_inner=4 * d_model,
            n_layer=n_layer,
            n_head=n_head,
            attn_type=attn_type,
            ff_activation=hidden_act,
            initializer_range=initializer_range,
            layer_norm_eps=layer_norm_eps,
            dropout=dropout,
            pad_token_id=pad_token,
            output_attentions=log_attention_weights,
            vocab_size=1,
            mem_len=mem_len,
            **kwargs,
        )
