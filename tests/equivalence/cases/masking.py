"""Maskings: positions, targets and hidden inputs of every kind of session, with the same draws."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from transformers4rec import torch as tr
from transformers4rec.torch import masking as legacy
from transformers4rec.torch.masking import MaskingInfo, MaskSequence, masking_registry

from tests.equivalence.cases._common import LENGTH, refuses, sessions, small_inputs
from tests.equivalence.side import Side

MODES = {
    "training": {"training": True, "testing": False},
    "evaluation": {"training": False, "testing": True},
    "inference": {"training": False, "testing": False},
}
WIDTH = 3
DRAWS = 20
"""Passes with new draws in training: spans, forced and shown items all occur among them."""


def item_ids(side: Side, kind: str, *, padding: int = 0) -> Tensor:
    """(B, T) ids.

    Args:
        side: keeps them.
        kind: "mixed" has every length; "single" sessions of one item; "alone" one session; "gaps" has padding
            ids between items, as where unknown items have the padding's id; "empty" has a session of no
            item; "long" is of 58 items, where spans are many.
        padding: the padding's id.
    """
    side.seed(2)
    rows, steps = {"alone": (1, 7), "long": (2, 60)}.get(kind, (9, 8))
    lengths = torch.arange(rows) % steps + 1
    if kind in ("alone", "long"):
        lengths = lengths * 0 + steps - 2
    elif kind == "single":
        lengths = torch.ones_like(lengths)
    elif kind == "empty":
        lengths[3] = 0
    ids = torch.randint(1, 50, (rows, steps))
    ids = torch.where(torch.arange(steps) < lengths[:, None], ids, padding)
    if kind == "gaps":
        ids[4:, 2] = padding
    return side.given(f"ids/{kind}", {"ids": ids})["ids"]


def observe(side: Side, masking: Any, ids: Tensor, mode: str, name: str, *, passes: int = 1) -> None:
    """Positions, targets, transformer arguments and hidden inputs of some passes."""
    inputs = side.given(f"{name}/{mode}/vectors", {"x": torch.randn(*ids.shape, WIDTH)})["x"]
    for number in range(passes):
        side.seed(number)
        hidden = masking(inputs, ids, **MODES[mode])
        key = f"{name}/{mode}/{number}"
        side.same(f"{key}/schema", masking.mask_schema)
        side.same(f"{key}/targets", masking.masked_targets)
        side.close(f"{key}/hidden", hidden)
        for argument, value in masking.transformer_arguments.items():
            side.same(f"{key}/{argument}", value)


def made(side: Side, name: str, options: dict[str, Any]) -> Any:
    """A masking by its registered name, its vector the same on both sides."""
    masking = masking_registry.parse(name)(hidden_size=WIDTH, **options)
    side.weights(masking, "masking")
    return masking


def plans(
    side: Side,
    masking: str,
    options: dict[str, Any] | None = None,
    kinds: tuple[str, ...] = ("mixed",),
    modes: tuple[str, ...] = tuple(MODES),
) -> None:
    """What a masking makes of sessions, mode by mode."""
    block = made(side, masking, options or {})
    for kind in kinds:
        ids = item_ids(side, kind, padding=block.padding_idx)
        for mode in modes:
            observe(side, block, ids, mode, kind, passes=DRAWS if mode == "training" else 1)


def registered_names(side: Side) -> None:
    """Every name and its class."""
    for name in ("clm", "causal", "mlm", "masked", "plm", "permutation", "rtd", "replacement"):
        side.value(name, masking_registry.parse(name).__name__)
    refuses(side, "unknown", KeyError, lambda: masking_registry.parse("bert"))
    for name in ("clm", "mlm", "plm", "rtd"):
        block = masking_registry.parse(name)(hidden_size=2, something_else=1)
        side.value(f"{name}/arguments", sorted(block.transformer_arguments))
        side.value(f"{name}/state", sorted(block.state_dict()))
        side.value(f"{name}/size", list(block.forward_output_size(torch.Size([2, 3, 4]))))


def replacement_ignores_probability(side: Side) -> None:
    """Masking "rtd" hides as often with ``mlm_probability=0.9`` as without it, and replaces nothing."""
    block = made(side, "rtd", {"mlm_probability": 0.9})
    side.value("probability", block.mlm_probability)
    ids = item_ids(side, "long")
    observe(side, block, ids, "training", "long", passes=DRAWS)


def fake_tokens(side: Side) -> None:
    """Replacements of hidden items, drawn from scores over all items or over the batch's targets."""
    ids = item_ids(side, "mixed")
    block = made(side, "rtd", {})
    side.seed(1)
    targets = block.compute_masked_targets(ids, training=True).targets.flatten()
    count = int((targets != 0).sum())
    scores = side.given("scores", {"all": torch.randn(count, 50), "batch": torch.randn(count, count)})
    for name, from_batch in (("all", False), ("batch", True)):
        block.sample_from_batch = from_batch
        side.seed(3)
        inputs, labels, updates = block.get_fake_tokens(ids, targets, scores[name])
        side.same(f"{name}/inputs", inputs)
        side.same(f"{name}/labels", labels)
        side.same(f"{name}/updates", torch.as_tensor(updates, dtype=torch.int64))
    side.seed(4)
    side.same("samples", block.sample_from_softmax(scores["all"]))


def errors(side: Side) -> None:
    """What the maskings refuse."""
    vector, row = torch.arange(1, 5), torch.tensor([[1, 2, 0], [0, 0, 0]])
    for name in ("clm", "mlm", "rtd"):
        block = masking_registry.parse(name)(hidden_size=2)
        refuses(side, f"{name}/vector", AssertionError, partial(block.compute_masked_targets, vector))
    for name in ("mlm", "rtd", "plm"):
        block = masking_registry.parse(name)(hidden_size=2)
        call = partial(block.compute_masked_targets, row, training=True)
        refuses(side, f"{name}/empty-session", RuntimeError, call)
    base = MaskSequence(hidden_size=2)
    refuses(side, "base", NotImplementedError, lambda: base.compute_masked_targets(row))
    never = masking_registry.parse("plm")(hidden_size=2, plm_probability=2.0)
    refuses(side, "plm/probability", RuntimeError, lambda: never.compute_masked_targets(row, training=True))


class FirstItem(MaskSequence):
    """A masking of one's own: the first item is hidden and is the target."""

    def _compute_masked_targets(self, item_ids, training=False, testing=False):
        schema = torch.zeros_like(item_ids, dtype=torch.bool)
        schema[:, 0] = True
        return MaskingInfo(schema, torch.where(schema, item_ids, torch.zeros_like(item_ids)))


class ZeroInstead(legacy.MaskedLanguageModeling):
    """Hidden positions become zero, and the second half of a session is hidden."""

    def _compute_masked_targets(self, item_ids, training=False, testing=False):
        info = super()._compute_masked_targets(item_ids, training=training, testing=testing)
        if training:
            info.schema[:, : item_ids.shape[1] // 2] = False
            info.targets = torch.where(info.schema, item_ids, torch.zeros_like(item_ids))
        return info

    def apply_mask_to_inputs(self, inputs, mask_schema, training=False, testing=False):
        hidden = super().apply_mask_to_inputs(inputs, mask_schema, training=training, testing=testing)
        return torch.where(mask_schema.unsqueeze(-1), torch.zeros_like(hidden), hidden)


def own_masking(side: Side, cls: type[MaskSequence]) -> None:
    """A subclass, in an input block as in a model."""
    inputs = small_inputs(side)
    inputs.set_masking(cls(hidden_size=16))
    side.weights(inputs)
    batch = sessions(side)
    for number, (mode, flags) in enumerate(MODES.items()):
        side.seed(number)
        hidden = inputs({k: v.float() if v.is_floating_point() else v for k, v in batch.items()}, **flags)
        side.close(f"{mode}/hidden", hidden)
        side.same(f"{mode}/schema", inputs.masking.mask_schema)
        side.same(f"{mode}/targets", inputs.masking.masked_targets)


def patched(side: Side) -> None:
    """Methods replaced on an instance and attributes changed after it is made."""
    inputs = small_inputs(side, masking="mlm")
    side.weights(inputs)
    batch = sessions(side)
    kept = inputs.masking._compute_masked_targets

    def every_second(item_ids, training=False, testing=False):
        info = kept(item_ids, training=training, testing=testing)
        if training:
            info.schema[:, ::2] = False
            info.targets[:, ::2] = 0
        return info

    inputs.masking._compute_masked_targets = every_second
    inputs.masking.mlm_probability = 0.6
    side.seed(1)
    side.close("hidden", inputs(dict(batch), training=True))
    side.same("schema", inputs.masking.mask_schema)
    inputs.masking.eval_on_last_item_seq_only = False
    side.close("all", inputs(dict(batch), testing=True))
    side.same("all/targets", inputs.masking.masked_targets)


def arguments_of_inputs(side: Side) -> None:
    """What ``from_schema(masking=...)`` hands on to the masking."""
    for name, options in (("clm", LAST), ("mlm", {"mlm_probability": 0.4} | EVERY), ("plm", {})):
        masking = small_inputs(side, masking=name, **options).masking
        kept = {key: value for key, value in vars(masking).items() if isinstance(value, bool | int | float)}
        side.value(name, {key: kept[key] for key in sorted(kept) if not key.startswith("_")})


def models(side: Side, masking: str, options: dict[str, Any]) -> None:
    """Loss and predictions of a model whose masking has options: targets of training and evaluation."""
    inputs = small_inputs(side, masking=masking, **options)
    config = tr.XLNetConfig.build(d_model=16, n_head=2, n_layer=1, total_seq_length=LENGTH, dropout=0.0)
    body = tr.SequentialBlock(inputs, tr.TransformerBlock(config, masking=inputs.masking))
    model = tr.Head(body, tr.NextItemPredictionTask(weight_tying=True), inputs=inputs).to_model()
    side.weights(model)
    batch = sessions(side)
    for mode, flags in MODES.items():
        side.seed(3)
        output = model({key: value.clone() for key, value in batch.items()}, **flags)
        if mode == "inference":
            side.close("inference/scores", output)
            continue
        side.same(f"{mode}/labels", output["labels"])
        side.close(f"{mode}/loss", output["loss"])
        side.close(f"{mode}/predictions", output["predictions"])


def nothing_to_learn(side: Side) -> None:
    """Sessions of one item leave mlm without a target in training: the loss is no number."""
    inputs = small_inputs(side, masking="mlm")
    body = tr.SequentialBlock(inputs, tr.Block(nn.Identity(), [-1, LENGTH, 16]))
    model = tr.Head(body, tr.NextItemPredictionTask(weight_tying=True), inputs=inputs).to_model()
    side.weights(model)
    batch = {key: value[:1].clone() for key, value in sessions(side).items()}
    side.seed(1)
    loss = model(batch, training=True)["loss"]
    side.value("is-nan", bool(loss.isnan()))


LAST = {"train_on_last_item_seq_only": True}
EVERY = {"eval_on_last_item_seq_only": False}
ODD = ("single", "alone", "gaps")
NOT_TRAINING = ("evaluation", "inference")

CASES = {
    "names": registered_names,
    "errors": errors,
    "own-masking": partial(own_masking, cls=FirstItem),
    "own-mlm": partial(own_masking, cls=ZeroInstead),
    "patched": patched,
    "from-schema": arguments_of_inputs,
    "no-targets": nothing_to_learn,
    "clm": partial(plans, masking="clm"),
    "clm-train-on-last": partial(plans, masking="causal", options=LAST),
    "clm-evaluate-all": partial(plans, masking="clm", options=EVERY),
    "clm-train-on-last-evaluate-all": partial(plans, masking="clm", options=LAST | EVERY),
    "clm-odd-sessions": partial(plans, masking="clm", options=LAST, kinds=(*ODD, "empty")),
    "clm-padding-99": partial(plans, masking="clm", options=LAST | {"padding_idx": 99}),
    "mlm": partial(plans, masking="mlm"),
    "mlm-often": partial(plans, masking="masked", options={"mlm_probability": 0.8}),
    "mlm-evaluate-all": partial(plans, masking="mlm", options=EVERY),
    "mlm-single-sessions": partial(plans, masking="mlm", kinds=("single",)),
    "mlm-batch-of-one": partial(plans, masking="mlm", kinds=("alone",)),
    "mlm-unknown-is-padding": partial(plans, masking="mlm", kinds=("gaps",)),
    "mlm-empty-session": partial(plans, masking="mlm", kinds=("empty",), modes=NOT_TRAINING),
    "mlm-padding-99": partial(plans, masking="mlm", options={"padding_idx": 99}, kinds=("mixed", "gaps")),
    "rtd": partial(plans, masking="rtd", kinds=("mixed", *ODD)),
    "rtd-evaluate-all": partial(plans, masking="replacement", options=EVERY),
    "rtd-ignores-mlm-probability": replacement_ignores_probability,
    "rtd-fake-tokens": fake_tokens,
    "plm": partial(plans, masking="plm", kinds=("mixed", "long")),
    "plm-options": partial(
        plans, masking="permutation", options={"plm_probability": 0.5, "max_span_length": 3}
    ),
    "plm-permute-all": partial(plans, masking="plm", options={"permute_all": True}),
    "plm-evaluate-all": partial(plans, masking="plm", options=EVERY, kinds=("mixed", *ODD)),
    "plm-odd-sessions": partial(plans, masking="plm", kinds=ODD),
    "plm-empty-session": partial(plans, masking="plm", kinds=("empty",), modes=NOT_TRAINING),
    "plm-padding-99": partial(plans, masking="plm", options={"padding_idx": 99}, kinds=("mixed", "gaps")),
    "model-clm-last": partial(models, masking="clm", options=LAST),
    "model-clm-evaluate-all": partial(models, masking="clm", options=EVERY),
    "model-mlm-evaluate-all": partial(models, masking="mlm", options=EVERY),
    "model-rtd-evaluate-all": partial(models, masking="rtd", options=EVERY),
}
