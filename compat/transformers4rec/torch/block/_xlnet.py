"""Hugging Face's XLNet with the core's attention where nothing unusual is asked of it."""

from __future__ import annotations

from typing import Any

import torch
import transformers
from transformers.models.xlnet.modeling_xlnet import XLNetModelOutput

from merlin_models_torch.blocks.dropout import Dropout
from merlin_models_torch.blocks.relative_attention import (
    attention_bias,
    relative_attention,
    relative_positions,
)


class XLNetModel(transformers.XLNetModel):
    """Hugging Face's model: its class, configuration, parameters and outputs.

    Sequences of vectors without masks, memory or segments, all that Transformers4Rec asks for, go through the
    attention of ``merlin_models_torch``; any other call is Hugging Face's own.

    Args:
        config: Hugging Face's configuration.
    """

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        for module in list(self.modules()):
            if isinstance(getattr(module, "dropout", None), torch.nn.Dropout):
                module.dropout = Dropout(module.dropout.p)

    def _is_plain(self, output_attentions: bool | None, output_hidden_states: bool | None) -> bool:
        config = self.config
        asked = (
            (output_attentions, config.output_attentions),
            (output_hidden_states, config.output_hidden_states),
        )
        return (
            not any(default if given is None else given for given, default in asked)
            and not self.bi_data
            and self.clamp_len <= 0
            and not self.same_length
            and config.return_dict
        )

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        mems: Any = None,
        perm_mask: torch.Tensor | None = None,
        target_mapping: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        input_mask: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        use_mems: bool | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        """Hugging Face's forward; the arguments are theirs.

        Returns:
            Their output; without new memory where the core's attention computed it.
        """
        unusual = (
            input_ids,
            attention_mask,
            mems,
            perm_mask,
            target_mapping,
            token_type_ids,
            input_mask,
            use_mems or None,
            return_dict,
        )
        plain = self._is_plain(output_attentions, output_hidden_states) and inputs_embeds is not None
        if not plain or kwargs or any(argument is not None for argument in unusual):
            return super().forward(
                input_ids=input_ids,
                attention_mask=attention_mask,
                mems=mems,
                perm_mask=perm_mask,
                target_mapping=target_mapping,
                token_type_ids=token_type_ids,
                input_mask=input_mask,
                inputs_embeds=inputs_embeds,
                use_mems=use_mems,
                output_attentions=output_attentions,
                output_hidden_states=output_hidden_states,
                return_dict=return_dict,
                **kwargs,
            )
        return XLNetModelOutput(last_hidden_state=self._plain(inputs_embeds))

    def _plain(self, inputs: torch.Tensor) -> torch.Tensor:
        """(B, T, D) to (B, T, D)."""
        count = inputs.shape[1]
        bias = None
        if self.attn_type == "uni":
            visible = torch.ones(1, count, count, dtype=torch.bool, device=inputs.device).tril()
            bias = attention_bias(visible).to(inputs.dtype)
        positions = relative_positions(count, self.d_model, device=inputs.device).to(inputs.dtype)
        positions = self.dropout(positions)
        hidden = self.dropout(inputs)
        for layer in self.layer:
            # The core's attention has the same parameters under the same names, so it runs on Hugging Face's.
            hidden = layer.ff(relative_attention(layer.rel_attn, hidden, positions, bias))
        return self.dropout(hidden)
