"""Any Hugging Face model as the body."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from merlin_models_torch.batch import Batch
from merlin_models_torch.blocks.attention import plan_of
from merlin_models_torch.blocks.huggingface_mask import find_way, run
from merlin_models_torch.serialize import serializable

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

_UNSAFE = re.compile(r"_.*|.*implementation.*|auto_map|quantization_config|model_type")
# Parts of the models that hidden states do not depend on, and that DDP would wait for.
_UNUSED = ("pooler", "mask_emb", "seg_embed", "r_s_bias")


@serializable
class HuggingFaceBlock(nn.Module):
    """A model of Hugging Face transformers between input block and output (extra ``transformers``).

    It gets vectors instead of token ids, so its word embeddings are put away, and its hidden states are the
    outputs. Attention sees what the batch's masking plan says, whatever the architecture does by itself: with
    causal masking BERT sees only what is before, with random masking GPT-2 sees both sides. Without a plan
    the architecture decides. How the model takes a mask is found out by trying when the block is built.

    Args:
        config: a configuration of transformers, or its values with "model_type" among them: a new model is
            made. Or a model, with or without a head, of which a copy of the part below the head is used.
        architecture: class of transformers to make, such as "T5EncoderModel"; the one that ``AutoModel``
            chooses if not given.
        ignore_plan: (legacy) the architecture decides what attention sees, padding too, whatever the masking
            plan says: GPT-2 looks back only, ALBERT sees both sides.

    Raises:
        ImportError: if transformers is not installed.
        TypeError: if ``config`` is neither a configuration nor a model.
        ValueError: if the architecture is unknown, takes no vectors, or lets padding change the answers.

    Example:
        >>> from transformers import GPT2Config
        >>> body = HuggingFaceBlock(GPT2Config(n_embd=8, n_layer=1, n_head=2))
        >>> body(torch.zeros(2, 5, 8)).shape
        torch.Size([2, 5, 8])
    """

    def __init__(
        self,
        config: PretrainedConfig | PreTrainedModel | Mapping[str, Any],
        *,
        architecture: str | None = None,
        ignore_plan: bool = False,
    ) -> None:
        super().__init__()
        model, self._architecture = _model(config, architecture)
        self.name = str(model.config.model_type)
        words = model.get_input_embeddings()
        self.in_features = int(words.weight.shape[1])
        unused = nn.Embedding(1, self.in_features).to(words.weight).train(model.training)
        model.set_input_embeddings(unused)
        model.config.use_cache = False
        self._freeze(model)
        way = find_way(model, self.in_features)
        if way is None:
            raise ValueError(
                f"the architecture {self.name!r} takes no vectors in place of ids, or lets padding change "
                "its answers: use another one, or the encoder alone (architecture='T5EncoderModel', say)"
            )
        self._way = way
        self.ignore_plan = ignore_plan
        self._longest = _longest(model)
        self.model: Any = model

    @staticmethod
    def _freeze(model: Any) -> None:
        model.get_input_embeddings().requires_grad_(False)
        for name, parameter in model.named_parameters():
            if any(part in _UNUSED for part in name.split(".")):
                parameter.requires_grad_(False)

    def forward(self, inputs: Tensor, batch: Batch | None = None) -> Tensor:
        """Runs the model.

        Args:
            inputs: (B, T, S) float, S the width of the model's word embeddings.
            batch: with the plan that says what attention may see.

        Returns:
            (B, T, D), D the model's hidden size. Rows of padding have no meaning.

        Raises:
            ValueError: if the width is another, there are more positions than the model has, or the model
                cannot see what the plan says.
        """
        return run(self.model, inputs, self._arguments(inputs, batch))

    def attention_weights(self, inputs: Tensor, batch: Batch | None = None) -> tuple[Tensor, ...]:
        """The attention weights of each layer, by the model's plain attention instead of the fused one.

        Args:
            inputs: as for :meth:`forward`.
            batch: as for :meth:`forward`.

        Returns:
            For each layer (B, H, T, T): how much each position (third) takes from each (last).

        Raises:
            ValueError: if the architecture gives no attention weights.
        """
        arguments = self._arguments(inputs, batch)
        before = self.model.config._attn_implementation
        self.model.set_attn_implementation("eager")
        try:
            outputs = self.model(inputs_embeds=inputs, output_attentions=True, return_dict=True, **arguments)
        finally:
            self.model.set_attn_implementation(before)
        weights = getattr(outputs, "attentions", None)
        if not weights or weights[0] is None:
            raise ValueError(f"the architecture {self.name!r} gives no attention weights: use another one")
        return tuple(weights)

    def _arguments(self, inputs: Tensor, batch: Batch | None) -> dict[str, Any]:
        if inputs.shape[-1] != self.in_features:
            raise ValueError(
                f"the {self.name} model has width {self.in_features} and got inputs of width "
                f"{inputs.shape[-1]}: put MLPBlock([{self.in_features}]) before it"
            )
        if self._longest is not None and inputs.shape[1] > self._longest:
            raise ValueError(
                f"the sequence has {inputs.shape[1]} positions and the {self.name} model {self._longest}: "
                "shorten the sequences or raise max_position_embeddings (n_positions) of its config"
            )
        if self.ignore_plan:
            return {}
        plan = plan_of(inputs, batch, sight=self._way.sight(f"the {self.name} model"))
        if plan is None:
            return {}
        return self._way.arguments(plan.visible(), inputs)

    def init_arguments(self) -> dict[str, Any]:
        """What builds this block again; the weights are in the state dict."""
        values = json.loads(self.model.config.to_json_string(use_diff=False))
        return {
            "config": values,
            "architecture": self._architecture,
            "ignore_plan": self.ignore_plan,
        }


def _model(config: Any, architecture: str | None) -> tuple[Any, str | None]:
    """The model without a head, and the name of its class where AutoModel would make another."""
    try:
        import transformers
    except ImportError as error:
        raise ImportError(
            "HuggingFaceBlock needs transformers: pip install 'merlin-models-torch[transformers]'"
        ) from error
    if isinstance(config, transformers.PreTrainedModel):
        model: Any = copy.deepcopy(config.base_model)
        usual: Any = transformers.MODEL_MAPPING.get(type(model.config), None)
        return model, None if type(model) is usual else type(model).__name__
    if isinstance(config, Mapping):
        values = _harmless(config)
        if "model_type" not in config:
            raise ValueError(
                f"a config of transformers needs its 'model_type' ('gpt2', say), got {sorted(config)}"
            )
        config = transformers.AutoConfig.for_model(config["model_type"], **values)
    if not isinstance(config, transformers.PretrainedConfig):
        raise TypeError(
            f"HuggingFaceBlock takes a configuration or a model of transformers, got {type(config).__name__}"
        )
    config = copy.deepcopy(config)
    if architecture is None:
        make: Any = transformers.AutoModel.from_config
        return make(config).base_model, None
    cls: Any = getattr(transformers, architecture, None)
    if not isinstance(cls, type) or not issubclass(cls, transformers.PreTrainedModel):
        raise ValueError(f"transformers has no model class {architecture!r}: check the name")
    return cls(config).base_model, architecture


def _harmless(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a config without those by which transformers would fetch code, or import more.

    An implementation of attention may name a repository of kernels.
    """
    found = {
        name: _harmless(value) if isinstance(value, Mapping) else value
        for name, value in values.items()
        if not _UNSAFE.fullmatch(name)
    }
    chosen = [values.get(name) for name in ("attn_implementation", "_attn_implementation")]
    plain = [one for one in chosen if one in ("eager", "sdpa")]
    return {**found, **({"attn_implementation": plain[0]} if plain else {})}


def _longest(model: Any) -> int | None:
    """Positions that the model has vectors for; None if it computes them."""
    names = ("position_embeddings", "wpe", "embed_positions")
    tables = [m for n, m in model.named_modules() if n.endswith(names) and isinstance(m, nn.Embedding)]
    stated = getattr(model.config, "max_position_embeddings", None)
    if not tables or stated is None:
        return None
    # Tables with a row for padding count positions from the row after it.
    free = [t.num_embeddings - (0 if t.padding_idx is None else t.padding_idx + 1) for t in tables]
    return min(int(stated), *free)
