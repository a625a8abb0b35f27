"""Configurations of transformers that look both ways and have vectors of absolute positions."""

from __future__ import annotations

from typing import Any

import transformers

from transformers4rec._legacy import legacy, tell_once
from transformers4rec.config._base import HOME, T4RecConfig, transformer_registry

_DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob")


def _tell_of_dropout(config: type, dropout: float, given: dict[str, Any]) -> None:
    """Warns once that ``dropout`` does nothing, unless the fields that do are given too."""
    if not any(name in given for name in _DROPOUTS):
        tell_once(
            f"dropout-{config.__name__}",
            f"{config.__name__}.build(dropout={dropout}) sets no field of that architecture, which drops 0.1 "
            f"whatever is given, as in Transformers4Rec 23.12.0: give {' and '.join(_DROPOUTS)}. See "
            "migration_guides/what-differs.md",
        )


@transformer_registry.register("albert")
@legacy(home=HOME)
class AlbertConfig(T4RecConfig, transformers.AlbertConfig):
    """Configuration of ALBERT, whose layers share their weights."""

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
    ) -> AlbertConfig:
        """A configuration of the given sizes.

        Args:
            d_model: width.
            n_head: attention heads.
            n_layer: layers.
            total_seq_length: longest session; two positions are added for what inference appends.
            hidden_act: activation of the feed-forward parts.
            initializer_range: standard deviation of the weights at the start.
            layer_norm_eps: added to the variance by layer normalisation.
            dropout: in training.
            pad_token: not used.
            log_attention_weights: whether attention weights are among the outputs.
            **kwargs: any other field of Hugging Face's configuration.
        """
        return cls(
            hidden_size=d_model,
            num_hidden_layers=n_layer,
            num_attention_heads=n_head,
            hidden_act=hidden_act,
            intermediate_size=4 * d_model,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
            max_position_embeddings=total_seq_length + 2,
            embedding_size=d_model,
            initializer_range=initializer_range,
            layer_norm_eps=layer_norm_eps,
            output_attentions=log_attention_weights,
            vocab_size=1,
            **kwargs,
        )


@transformer_registry.register("bert")
@legacy(home=HOME)
class BertConfig(T4RecConfig, transformers.BertConfig):
    """Configuration of BERT; its feed-forward parts are 3072 wide, or ``intermediate_size``."""

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
    ) -> BertConfig:
        """A configuration of the given sizes.

        Args:
            d_model: width.
            n_head: attention heads.
            n_layer: layers.
            total_seq_length: longest session; two positions are added for what inference appends.
            hidden_act: activation of the feed-forward parts.
            initializer_range: standard deviation of the weights at the start.
            layer_norm_eps: added to the variance by layer normalisation.
            dropout: not its field: what is dropped is ``hidden_dropout_prob`` and
                ``attention_probs_dropout_prob``, 0.1 unless given by their names.
            pad_token: id of padding.
            log_attention_weights: whether attention weights are among the outputs.
            **kwargs: any other field of Hugging Face's configuration.
        """
        _tell_of_dropout(cls, dropout, kwargs)
        return cls(
            hidden_size=d_model,
            num_hidden_layers=n_layer,
            num_attention_heads=n_head,
            hidden_act=hidden_act,
            initializer_range=initializer_range,
            layer_norm_eps=layer_norm_eps,
            dropout=dropout,
            pad_token_id=pad_token,
            max_position_embeddings=total_seq_length + 2,
            output_attentions=log_attention_weights,
            vocab_size=1,
            **kwargs,
        )


@transformer_registry.register("electra")
@legacy(home=HOME)
class ElectraConfig(T4RecConfig, transformers.ElectraConfig):
    """Configuration of ELECTRA."""

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
    ) -> ElectraConfig:
        """A configuration of the given sizes.

        Args:
            d_model: width.
            n_head: attention heads.
            n_layer: layers.
            total_seq_length: longest session; two positions are added for what inference appends.
            hidden_act: activation of the feed-forward parts.
            initializer_range: standard deviation of the weights at the start.
            layer_norm_eps: added to the variance by layer normalisation.
            dropout: in training; of attention weights it is 0.1 unless
                ``attention_probs_dropout_prob`` is given.
            pad_token: id of padding.
            log_attention_weights: whether attention weights are among the outputs.
            **kwargs: any other field of Hugging Face's configuration.
        """
        return cls(
            hidden_size=d_model,
            num_hidden_layers=n_layer,
            num_attention_heads=n_head,
            hidden_act=hidden_act,
            embedding_size=d_model,
            intermediate_size=4 * d_model,
            initializer_range=initializer_range,
            layer_norm_eps=layer_norm_eps,
            hidden_dropout_prob=dropout,
            max_position_embeddings=total_seq_length + 2,
            pad_token_id=pad_token,
            output_attentions=log_attention_weights,
            vocab_size=1,
            **kwargs,
        )


@transformer_registry.register("longformer")
@legacy(home=HOME)
class LongformerConfig(T4RecConfig, transformers.LongformerConfig):
    """Configuration of Longformer; its feed-forward parts are 3072 wide, or ``intermediate_size``."""

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
    ) -> LongformerConfig:
        """A configuration of the given sizes.

        Args:
            d_model: width.
            n_head: attention heads.
            n_layer: layers.
            total_seq_length: with two added, which has to be even: the width of the window of attention.
            hidden_act: activation of the feed-forward parts.
            initializer_range: standard deviation of the weights at the start.
            layer_norm_eps: added to the variance by layer normalisation.
            dropout: not its field: what is dropped is ``hidden_dropout_prob`` and
                ``attention_probs_dropout_prob``, 0.1 unless given by their names.
            pad_token: id of padding.
            log_attention_weights: whether attention weights are among the outputs.
            **kwargs: any other field of Hugging Face's configuration.
        """
        _tell_of_dropout(cls, dropout, kwargs)
        return cls(
            hidden_size=d_model,
            num_hidden_layers=n_layer,
            num_attention_heads=n_head,
            hidden_act=hidden_act,
            attention_window=total_seq_length + 2,
            initializer_range=initializer_range,
            layer_norm_eps=layer_norm_eps,
            dropout=dropout,
            pad_token_id=pad_token,
            output_attentions=log_attention_weights,
            vocab_size=1,
            **kwargs,
        )


@transformer_registry.register("roberta")
@legacy(home=HOME)
class RobertaConfig(T4RecConfig, transformers.RobertaConfig):
    """Configuration of RoBERTa; its feed-forward parts are 3072 wide, or ``intermediate_size``."""

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
    ) -> RobertaConfig:
        """A configuration of the given sizes.

        Args:
            d_model: width.
            n_head: attention heads.
            n_layer: layers.
            total_seq_length: longest session; two positions are added for what inference appends.
            hidden_act: activation of the feed-forward parts.
            initializer_range: standard deviation of the weights at the start.
            layer_norm_eps: added to the variance by layer normalisation.
            dropout: not its field: what is dropped is ``hidden_dropout_prob`` and
                ``attention_probs_dropout_prob``, 0.1 unless given by their names.
            pad_token: id of padding.
            log_attention_weights: whether attention weights are among the outputs.
            **kwargs: any other field of Hugging Face's configuration.
        """
        _tell_of_dropout(cls, dropout, kwargs)
        return cls(
            hidden_size=d_model,
            num_hidden_layers=n_layer,
            num_attention_heads=n_head,
            hidden_act=hidden_act,
            initializer_range=initializer_range,
            layer_norm_eps=layer_norm_eps,
            dropout=dropout,
            pad_token_id=pad_token,
            max_position_embeddings=total_seq_length + 2,
            output_attentions=log_attention_weights,
            vocab_size=1,
            **kwargs,
        )
