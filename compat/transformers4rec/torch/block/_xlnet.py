"""Hugging Face's XLNet with the core's attention where nothing unusual is asked of it."""

from __future__ import annotations

from typing import Any

import torch
import transformers
from torch import Tensor
from transformers.models.xlnet.modeling_xlnet import XLNetModelOutput

from merlin_models_torch.blocks.relative_attention import (
    RelativeAttention,
    attention_bias,
    relative_attention,
    relative_positions,
)
from transformers4rec.torch.block._reading import packing_of

_HIDDEN = -1e30
"""Added to scores of what a query may not see: one that sees nothing takes from all alike, as in theirs."""


class XLNetModel(transformers.XLNetModel):
    """Hugging Face's model: its class, configuration, parameters and outputs.

    Sequences of vectors without memory or segments, and the masks of masking "plm" for them, all that
    Transformers4Rec asks for, go through the attention of ``merlin_models_torch``; any other call is Hugging
    Face's own.

    Args:
        config: Hugging Face's configuration.
    """

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
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        mems: Any = None,
        perm_mask: Tensor | None = None,
        target_mapping: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        input_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
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
            token_type_ids,
            input_mask,
            use_mems or None,
            return_dict,
        )
        plain = self._is_plain(output_attentions, output_hidden_states) and inputs_embeds is not None
        if (
            not plain
            or kwargs
            or any(argument is not None for argument in unusual)
            or not _maps_to_itself(target_mapping, perm_mask)
        ):
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
        hidden = (
            self._one_stream(inputs_embeds)
            if perm_mask is None
            else self._two_streams(inputs_embeds, perm_mask)
        )
        return XLNetModelOutput(last_hidden_state=hidden)

    def _positions(self, inputs: Tensor) -> Tensor:
        positions = relative_positions(inputs.shape[1], self.d_model, device=inputs.device)
        return self.dropout(positions.to(inputs.dtype))

    def _visible(self, inputs: Tensor) -> Tensor | None:
        """(1, T, T) bool: what is before, where the model looks back only."""
        if self.attn_type != "uni":
            return None
        steps = inputs.shape[1]
        return torch.ones(1, steps, steps, dtype=torch.bool, device=inputs.device).tril()

    def _one_stream(self, inputs: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        visible = self._visible(inputs)
        bias = None if visible is None else attention_bias(visible).to(inputs.dtype)
        positions = self._positions(inputs)
        hidden = self.dropout(inputs)
        packing = packing_of(self, inputs)
        for number, layer in enumerate(self.layer, 1):
            of_layer = packing if number == len(self.layer) else None
            hidden = hidden if of_layer is None else of_layer.entered(hidden)
            # The core's attention has the same parameters under the same names, so it runs on Hugging Face's.
            hidden = layer.ff(relative_attention(layer.rel_attn, hidden, positions, bias, of_layer))
        hidden = self.dropout(hidden)
        return hidden if packing is None else packing.left(hidden)

    def _two_streams(self, inputs: Tensor, perm_mask: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D): what each position is predicted from.

        Args:
            inputs: (B, T, D).
            perm_mask: (B, T, T), above 0 where a position (middle) may not see another (last).
        """
        visible, earlier = perm_mask <= 0, self._visible(inputs)
        if earlier is not None:
            visible = visible & earlier
        bias = attention_bias(visible).to(inputs.dtype)
        seen = torch.zeros_like(visible, dtype=inputs.dtype).masked_fill_(~visible, _HIDDEN)[:, None]
        every = inputs.new_ones(())
        positions = self._positions(inputs)
        hidden = self.dropout(inputs)
        queries = self.dropout(self.mask_emb.to(inputs.dtype).expand_as(inputs))
        for number, layer in enumerate(self.layer, 1):
            attention = layer.rel_attn
            queries = layer.ff(
                RelativeAttention.queries(attention, queries, hidden, positions, (seen, every))
            )
            if number < len(self.layer):  # nothing comes of the items of the last layer
                hidden = layer.ff(relative_attention(attention, hidden, positions, bias))
        return self.dropout(queries)


def _maps_to_itself(target_mapping: Tensor | None, perm_mask: Tensor | None) -> bool:
    """Whether there are no masks, or both, and every position is asked for in its own place."""
    if target_mapping is None or perm_mask is None:
        return target_mapping is None and perm_mask is None
    steps = target_mapping.shape[-1]
    if not target_mapping.is_floating_point() or target_mapping.shape[-2:] != (steps, steps):
        return False
    same = torch.eye(steps, dtype=target_mapping.dtype, device=target_mapping.device)
    return bool((target_mapping == same).all())
