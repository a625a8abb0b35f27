"""What every configuration of a transformer can do here, and their names."""

from __future__ import annotations

from typing import Any

import transformers

from transformers4rec._registry import Registry

HOME = "transformers4rec.config.transformer"

transformer_registry: Registry = Registry("transformers")


class T4RecConfig:
    """What a configuration of Hugging Face can do besides, put before it in the bases of a class."""

    def to_huggingface_torch_model(self) -> transformers.PreTrainedModel:
        """Hugging Face's model of this configuration, its weights drawn."""
        from transformers4rec.torch.block._huggingface import huggingface_model

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
        """Hugging Face's class of this configuration.

        Raises:
            IndexError: if it has none among its bases.
        """
        for base in type(self).__mro__:
            if issubclass(base, transformers.PretrainedConfig) and not issubclass(base, T4RecConfig):
                return base
        raise IndexError(
            f"{type(self).__name__} has no configuration of Hugging Face among its bases: write "
            "class MyConfig(T4RecConfig, transformers.BertConfig)"
        )

    @classmethod
    def build(cls, *args: Any, **kwargs: Any) -> Any:
        """A configuration of the given sizes."""
        raise NotImplementedError(f"{cls.__name__} has to define build")


T4RecConfig.__module__ = HOME
