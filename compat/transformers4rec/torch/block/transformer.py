"""Transformers of Hugging Face as blocks."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from transformers import PretrainedConfig, PreTrainedModel

from transformers4rec._legacy import elsewhere, legacy, tell_once
from transformers4rec.config.transformer import T4RecConfig, transformer_registry
from transformers4rec.torch.block._huggingface import huggingface_model, looks_back_only, with_buffers
from transformers4rec.torch.block.base import BlockBase
from transformers4rec.torch.masking import (
    CausalLanguageModeling,
    MaskedLanguageModeling,
    MaskSequence,
    PermutationLanguageModeling,
    ReplacementLanguageModeling,
)

__getattr__ = elsewhere(__name__, {"transformers4rec.torch.utils.torch_utils": "MappingTransformerMasking"})
TransformerBody = PreTrainedModel | PretrainedConfig

_BOTH_SIDES = (MaskedLanguageModeling, ReplacementLanguageModeling)
_BUILT_IN = (CausalLanguageModeling, *_BOTH_SIDES, PermutationLanguageModeling)
_MASKINGS: dict[str, tuple[type[MaskSequence], ...]] = {
    **dict.fromkeys(
        (
            "BertConfig",
            "ConvBertConfig",
            "DebertaConfig",
            "DistilBertConfig",
            "MegatronBertConfig",
            "MPNetConfig",
            "RobertaConfig",
        ),
        _BOTH_SIDES,
    ),
    **dict.fromkeys(("LongformerConfig", "RoFormerConfig"), (CausalLanguageModeling, *_BOTH_SIDES)),
    **dict.fromkeys(("GPT2Config", "TransfoXLConfig"), (CausalLanguageModeling,)),
    "XLNetConfig": _BUILT_IN,
}


class TransformerPrepare(torch.nn.Module):
    """Makes the arguments of a transformer's call.

    Args:
        transformer: the model.
        masking: the block's masking.
    """

    def __init__(self, transformer: PreTrainedModel, masking: MaskSequence | None = None) -> None:
        super().__init__()
        self.transformer = transformer
        self.masking = masking

    def forward(self, inputs_embeds: torch.Tensor) -> dict[str, Any]:
        """The arguments for (B, T, D) inputs."""
        raise NotImplementedError(f"{type(self).__name__} has to define forward")


class GPT2Prepare(TransformerPrepare):
    """Gives GPT-2 a causal mask of its heads; transformers 5 takes none, and GPT-2 is causal by itself."""

    def forward(self, inputs_embeds: torch.Tensor) -> dict[str, Any]:
        """The inputs, and ``head_mask``: (layers, 1, 1, T, T) uint8."""
        steps = inputs_embeds.shape[1]
        visible = torch.ones(steps, steps, dtype=torch.uint8, device=inputs_embeds.device).tril()
        layers = self.transformer.config.num_hidden_layers
        return {"inputs_embeds": inputs_embeds, "head_mask": visible.expand(layers, 1, 1, -1, -1)}


class _Prepares:
    """A table that is made when it is asked for: code of Hugging Face's models takes long to import."""

    def __get__(
        self, block: object, owner: type | None = None
    ) -> dict[type[PreTrainedModel], type[TransformerPrepare]]:
        return _prepares()


@functools.cache
def _prepares() -> dict[type[PreTrainedModel], type[TransformerPrepare]]:
    from transformers import GPT2Model

    return {GPT2Model: GPT2Prepare}


def _parameters(transformer: Any) -> frozenset[str]:
    """Names of what its ``forward`` takes, nothing if it has none."""
    forward = getattr(transformer, "forward", None)
    return frozenset(inspect.signature(forward).parameters) if callable(forward) else frozenset()


def _not_a_transformer(given: Any, missing: str) -> AttributeError:
    return AttributeError(
        f"TransformerBlock was given {given!r}, which has no {missing!r}: give it a configuration, such as "
        "XLNetConfig.build(...), or a model of Hugging Face; by name, TransformerBlock.from_registry"
    )


def _first(model_outputs: Any) -> Any:
    return model_outputs[0]


@legacy
class TransformerBlock(BlockBase):
    """A transformer of Hugging Face over a sequence of vectors.

    Args:
        transformer: a configuration of Transformers4Rec or of Hugging Face, or a model of theirs.
        masking: that of the input block.
        prepare_module: class that makes the arguments of the transformer's call.
        output_fn: picks the output of what it returns; the first by default.

    Raises:
        ValueError: if the transformer cannot do the masking.
    """

    TRANSFORMER_TO_PREPARE: ClassVar = _Prepares()

    def __init__(
        self,
        transformer: TransformerBody,
        masking: MaskSequence | None = None,
        prepare_module: type[TransformerPrepare] | None = None,
        output_fn: Callable[[Any], Any] = _first,
    ) -> None:
        super().__init__()
        self.transformer: PreTrainedModel
        if isinstance(transformer, T4RecConfig):
            self.transformer = transformer.to_huggingface_torch_model()
        elif isinstance(transformer, PretrainedConfig):
            self.transformer = huggingface_model(transformer)
        elif isinstance(transformer, PreTrainedModel):
            self.transformer = with_buffers(transformer)
        else:  # modules of one's own; anything else fails when it is called, as in 23.12.0
            self.transformer = transformer
        self._taken = _parameters(self.transformer)
        if masking:
            self._check(masking)
        self.masking = masking
        self.prepare_module: TransformerPrepare | None = None
        prepare = prepare_module or self.TRANSFORMER_TO_PREPARE.get(type(self.transformer))
        if prepare:
            self.prepare_module = prepare(self.transformer, self.masking)
        self.output_fn = output_fn

    def _check(self, masking: MaskSequence) -> None:
        if not isinstance(self.transformer, PreTrainedModel):
            raise _not_a_transformer(self.transformer, "config_class")
        config = type(self.transformer).config_class.__name__
        possible = _MASKINGS.get(config, _BUILT_IN)
        if type(masking) in _BUILT_IN and type(masking) not in possible:
            names = [candidate.__name__ for candidate in possible]
            raise ValueError(
                f"{type(masking).__name__} is not supported by the {config} architecture: "
                f"mask by one of {names}"
            )
        missing = sorted(set(masking.transformer_required_arguments()) - self._taken)
        if missing:
            raise ValueError(
                f"{type(masking).__name__} requires the parameters {missing}, which "
                f"{type(self.transformer).__name__} does not take: choose another transformer or masking"
            )
        if isinstance(masking, CausalLanguageModeling) and not looks_back_only(self.transformer):
            tell_once(
                "leak",
                f"{type(self.transformer).__name__} looks both ways, and masking 'causal' does not stop it: "
                "the target leaks, each position sees the item that it predicts. As in Transformers4Rec "
                "23.12.0, training and evaluation metrics then say nothing about prediction. Use "
                "masking='mlm', or a body that looks back only, such as XLNetConfig.build(..., "
                "attn_type='uni'). See migration_guides/from-transformers4rec.md#masking",
            )

    @classmethod
    @legacy
    def from_registry(
        cls,
        transformer: str,
        d_model: int,
        n_head: int,
        n_layer: int,
        total_seq_length: int,
        masking: MaskSequence | None = None,
    ) -> TransformerBlock:
        """A block of the transformer of this name.

        Args:
            transformer: its registered name.
            d_model: width.
            n_head: attention heads.
            n_layer: layers.
            total_seq_length: longest sequence.
            masking: that of the input block.

        Raises:
            KeyError: for an unknown name.
        """
        config = transformer_registry.parse(transformer).build(
            d_model=d_model, n_head=n_head, n_layer=n_layer, total_seq_length=total_seq_length
        )
        return cls(config, masking)

    def forward(self, inputs_embeds: torch.Tensor, **kwargs: Any) -> Any:
        """(B, T, D) of (B, T, D) inputs, or what ``output_fn`` picks."""
        arguments: dict[str, Any] = {"inputs_embeds": inputs_embeds}
        if self.prepare_module:
            arguments = self.prepare_module(inputs_embeds)
        if self.masking:
            arguments = {**arguments, **self.masking.transformer_arguments}
        if not callable(getattr(self.transformer, "forward", None)):
            raise _not_a_transformer(self.transformer, "forward")
        taken = {name: value for name, value in arguments.items() if name in self._taken}
        return self.output_fn(self.transformer(**taken))

    def _get_name(self) -> str:
        # The spelling of 23.12.0.
        return "TansformerBlock"

    def forward_output_size(self, input_size: Any) -> torch.Size:
        """Rows, positions and the transformer's width.

        Raises:
            AssertionError: if the input has no positions.
        """
        if len(input_size) != 3:
            raise AssertionError(
                f"the input has size {tuple(input_size)}, 3 dimensions are expected: give the input block an "
                "aggregation, and check that its columns are lists"
            )
        if not hasattr(self.transformer, "config"):
            raise _not_a_transformer(self.transformer, "config")
        return torch.Size([input_size[0], input_size[1], self.transformer.config.hidden_size])
