"""Every masking with every body that can do it, and small sessions to try them on."""

from collections.abc import Callable
from dataclasses import fields, replace
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import merlin_models_torch as mm
from tests.unit.schemas import session_schema

WIDTH, LIMIT, ROOM = 16, 6, 12

CAUSAL: dict[str, mm.Masking] = {
    "causal": mm.CausalMasking(),
    "causal, last": mm.CausalMasking(targets="last"),
    "causal, next 3": mm.CausalMasking(next_k=3),
    "causal, last, next 3": mm.CausalMasking(targets="last", next_k=3),
}
BOTH_SIDES: dict[str, mm.Masking] = {
    "random": mm.RandomMasking(probability=0.3),
    "replaced": mm.ReplacedMasking(probability=0.3),
}
PERMUTED: dict[str, mm.Masking] = {
    "permuted spans": mm.PermutedMasking(probability=0.4, max_span_length=2),
    "all permuted": mm.PermutedMasking(targets="all"),
}
MASKINGS = {**CAUSAL, **BOTH_SIDES, **PERMUTED}


def _transformer(positions: Any, **options: Any) -> Callable[[], nn.Module]:
    return lambda: mm.TransformerBlock(
        WIDTH,
        heads=2,
        layers=2,
        dropout=0.1,
        positions=positions,
        max_length=ROOM,
        initializer_range=0.2,
        **options,
    )


def _xlnet(**options: Any) -> Callable[[], nn.Module]:
    return lambda: mm.XLNetBlock(WIDTH, heads=2, layers=2, initializer_range=0.2, **options)


def _xl(**options: Any) -> Callable[[], nn.Module]:
    return lambda: mm.TransformerXLBlock(WIDTH, heads=2, layers=2, initializer_range=0.2, **options)


def _huggingface(kind: str) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        transformers = pytest.importorskip("transformers", reason="the body is Hugging Face's")
        if kind == "gpt2":
            config = transformers.GPT2Config(
                vocab_size=5, n_embd=WIDTH, n_layer=2, n_head=2, n_positions=ROOM, initializer_range=0.2
            )
        else:
            config = transformers.BertConfig(
                vocab_size=5,
                hidden_size=WIDTH,
                num_hidden_layers=2,
                num_attention_heads=2,
                intermediate_size=20,
                max_position_embeddings=ROOM,
                initializer_range=0.2,
            )
        return mm.HuggingFaceBlock(config)

    return make


_EITHER: dict[str, Callable[[], nn.Module]] = {
    "transformer, learned": _transformer("learned"),
    "transformer, rotary": _transformer("rotary"),
    "transformer, relative": _transformer("relative"),
    "transformer, no positions": _transformer("none", norm="post"),
    "consistent": lambda: mm.ConsistentBlock(_transformer("learned")(), dim=WIDTH),
    "xlnet": _xlnet(),
    "transformer-xl": _xl(),
    "gpt2": _huggingface("gpt2"),
    "bert": _huggingface("bert"),
}
BODIES: dict[str, Callable[[], nn.Module]] = {
    **_EITHER,
    "transformer-xl, segments": _xl(segment_length=2, memory_length=ROOM),
    "gru": lambda: mm.GRUBlock(WIDTH, layers=2),
    "lstm": lambda: mm.LSTMBlock(WIDTH),
    "gru, both ways": lambda: mm.GRUBlock(WIDTH, bidirectional=True),
    "lstm, both ways": lambda: mm.LSTMBlock(WIDTH, bidirectional=True),
    "xlnet, two streams": _xlnet(two_streams=True),
}
FITTING = [
    *((m, b) for m in CAUSAL for b in (*_EITHER, "transformer-xl, segments", "gru", "lstm")),
    *((m, b) for m in BOTH_SIDES for b in (*_EITHER, "gru, both ways", "lstm, both ways")),
    *((m, "xlnet, two streams") for m in MASKINGS),
]
UNFIT = [
    *((m, b) for m in ("causal", "causal, last") for b in ("gru, both ways", "lstm, both ways")),
    *((m, b) for m in BOTH_SIDES for b in ("gru", "lstm", "transformer-xl, segments")),
    *((m, b) for m in PERMUTED for b in BODIES if b != "xlnet, two streams"),
]


def build(masking: mm.Masking, body: nn.Module) -> mm.Model:
    """A model whose items have 6 visible places."""
    inputs = mm.TabularInputBlock(
        session_schema(),
        embedding_dim=WIDTH,
        init_std=1.0,
        projection=mm.MLPBlock([WIDTH], activation="none"),
        masking=masking,
        max_sequence_length=LIMIT,
    )
    return mm.Model(inputs, body, mm.CategoricalOutput(weight_tying=True, top_ks=(5,)))


@cache
def model_of(masking: str, body: str) -> mm.Model:
    """The model of a case, without dropout; made once, and not to be changed."""
    torch.manual_seed(0)
    return build(MASKINGS[masking], BODIES[body]()).eval()


def sessions(lengths: list[int]) -> mm.Batch:
    """Sessions in which no item comes twice."""
    generator = torch.Generator().manual_seed(5)
    total = sum(lengths)
    offsets = torch.tensor([0, *lengths]).cumsum(0)
    items = torch.cat([torch.randperm(30, generator=generator)[:n] + 1 for n in lengths])
    features: dict[str, Any] = {
        "item_id": mm.Ragged(items, offsets),
        "category": mm.Ragged(torch.randint(1, 8, (total,), generator=generator), offsets),
        "age": mm.Ragged(torch.rand(total, generator=generator), offsets),
        "price": mm.Ragged(torch.rand(total, generator=generator), offsets),
        "country": torch.randint(1, 5, (len(lengths),), generator=generator),
    }
    return mm.Batch(features)


def without_last(batch: mm.Batch) -> mm.Batch:
    """The same sessions, each without its last item."""
    lists = {
        name: mm.Ragged.from_padded(column.padded(), column.lengths - 1)
        for name, column in batch.features.items()
        if isinstance(column, mm.Ragged)
    }
    return batch.with_features(lists)


def plans(model: mm.Model, batch: mm.Batch) -> dict[str, mm.Batch]:
    """The batch as it is prepared for training, evaluation and prediction."""
    return {
        "train": model.inputs.for_training(batch, generator=torch.Generator().manual_seed(3)),
        "evaluate": model.inputs.for_evaluation(batch),
        "predict": model.inputs.for_prediction(batch),
    }


def plan_of(batch: mm.Batch) -> mm.MaskPlan:
    """The plan, which is there."""
    assert batch.plan is not None
    return batch.plan


def widened(batch: mm.Batch, more: int) -> mm.Batch:
    """The prepared batch with more columns of padding, its plan as it is."""
    plan = plan_of(batch)
    wide: dict[str, Any] = {}
    for field in fields(plan):
        value = getattr(plan, field.name)
        if isinstance(value, Tensor) and value.dim() == 2:
            wide[field.name] = nn.functional.pad(value, (0, more))
    if plan.pairs is not None:
        wide["pairs"] = nn.functional.pad(plan.pairs, (0, more, 0, more))
    if plan.further is not None:
        wide["further"] = nn.functional.pad(plan.further, (0, 0, 0, more))
    lists = {
        name: nn.functional.pad(column, (0, more))
        for name, column in batch.features.items()
        if isinstance(column, Tensor) and column.dim() == 2
    }
    return batch.with_features(lists).with_plan(replace(plan, **wide))


def repeated(plan: mm.MaskPlan, times: int) -> mm.MaskPlan:
    """The plan of the same rows several times over."""
    tensors = {f.name: getattr(plan, f.name) for f in fields(plan)}
    return replace(
        plan,
        **{n: v.repeat(times, *(1,) * (v.dim() - 1)) for n, v in tensors.items() if isinstance(v, Tensor)},
    )


def may_see(plan: mm.MaskPlan, steps: int) -> Tensor:
    """(B, T, S) bool: the items that the output of each position of the plan may depend on, of ``steps``."""
    count = plan.replaced.shape[1]
    allowed = plan.visible().expand(-1, count, -1) & ~plan.replaced[:, None, :]
    return nn.functional.pad(allowed, (0, max(0, steps - count)))[..., :steps]
