"""Configurations of transformers: Hugging Face's, built from the few sizes that programs give."""

from __future__ import annotations

from typing import Any

import transformers

from transformers4rec._legacy import absent, legacy
from transformers4rec._registry import Registry

transformer_registry: Registry = Registry("transformers")

__getattr__ = absent(
    __name__,
    "AlbertConfig",
    "BertConfig",
    "ElectraConfig",
    "GPT2Config",
    "LongformerConfig",
    "ReformerConfig",
    "RobertaConfig",
    "TransfoXLConfig",
)


class T4RecConfig:
    """What a configuration of Hugging Face can do besides, put before it in the bases of a class."""

    def to_huggingface_torch_model(self) -> transformers.PreTrainedModel:
        """Hugging Face's model of this configuration, its weights drawn."""
        from transformers4rec.torch.block.transformer import huggingface_model

        return huggingface_model(self)

    def to_torch_model(
        self,
        input_features: Any,
        *prediction_task: Any,
        task_blocks: Any = None,
        task_weights: Any = None,
        loss_reduction: str = "mean",
        **kwargs: Any,
    ) -> Any:
        """A whole model: inputs, this transformer, tasks.

        Args:
            input_features: a ``TabularSequenceFeatures``.
            *prediction_task: the tasks.
            task_blocks: blocks before them, one for all or by name of the task.
            task_weights: weights of their losses.
            loss_reduction: "mean" or "sum" of the losses.
            **kwargs: of ``Model``.

        Raises:
            ValueError: if inputs or tasks are of another class.
        """
        from transformers4rec.torch.block.base import SequentialBlock
        from transformers4rec.torch.block.transformer import TransformerBlock
        from transformers4rec.torch.features.sequence import TabularSequenceFeatures
        from transformers4rec.torch.model.base import Head, PredictionTask

        if not isinstance(input_features, TabularSequenceFeatures):
            raise ValueError(
                f"input_features is a {type(input_features).__name__}: give a TabularSequenceFeatures, for "
                "example TabularSequenceFeatures.from_schema(schema, ...)"
            )
        for task in prediction_task:
            if not isinstance(task, PredictionTask):
                raise ValueError(f"a task is a {type(task).__name__}: give instances of PredictionTask")
        body = SequentialBlock(input_features, TransformerBlock(self, masking=input_features.masking))
        head = Head(
            body,
            list(prediction_task),
            task_blocks=task_blocks,
            task_weights=task_weights,
            loss_reduction=loss_reduction,
        )
        return head.to_model(**kwargs)

    @property
    def transformers_config_cls(self) -> type:
        """Hugging Face's class of this configuration."""
        return next(base for base in type(self).__mro__ if base.__module__.startswith("transformers."))

    @classmethod
    def build(cls, *args: Any, **kwargs: Any) -> Any:
        """A configuration of the given sizes."""
        raise NotImplementedError(f"{cls.__name__} has to define build")


@transformer_registry.register("xlnet")
@legacy
class XLNetConfig(T4RecConfig, transformers.XLNetConfig):
    """Configuration of XLNet."""

    @classmethod
    @legacy
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
            attn_type: "bi" sees both ways, "uni" only back.
            hidden_act: activation of the feed-forward parts.
            initializer_range: standard deviation of the weights at the start.
            layer_norm_eps: added to the variance by layer normalisation.
            dropout: in training.
            pad_token: id of padding.
            log_attention_weights: whether attention weights are among the outputs.
            mem_len: positions to remember of an earlier call; calls here have none.
            **kwargs: any other field of Hugging Face's configuration.
        """
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
