"""Weights of a Transformers4Rec model, or one of Merlin Models V1, into what its program was rewritten to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from merlin_migrate.checkpoint_merlin import convert_merlin, is_merlin
from merlin_migrate.weights import GUIDE, CheckpointError, read_weights

if TYPE_CHECKING:
    import merlin_models_torch as mm

__all__ = ["CheckpointError", "convert_state", "load_weights", "read_weights"]

_INPUTS = r"heads\.0\.body\.(?P<i>\d+)\."
_TARGET = r"heads\.0\.prediction_task_dict\.(?P<target>[^./]+)/[^.]+\."
_TASK = r"heads\.0\.prediction_task_dict\.[^.]+\."
RENAMED: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(old), new)
    for old, new in (
        (
            _INPUTS + r"to_merge\.(categorical_module|\d+)\.embedding_tables\.(?P<table>[^.]+)\.weight",
            "tables",
        ),
        (
            _INPUTS + r"to_merge\.continuous_module\.1\.(?P<j>\d+)\.0\.(?P<p>weight|bias)",
            r"body.layers.\g<i>.continuous_projection.linears.\g<j>.\g<p>",
        ),
        (
            _INPUTS + r"projection_module\.(?P<j>\d+)\.0\.(?P<p>weight|bias)",
            r"body.layers.\g<i>.projection.linears.\g<j>.\g<p>",
        ),
        (
            _INPUTS + r"to_merge\.continuous_module\.embedding_tables\.(?P<c>.+)\.embedding_table\.weight",
            r"body.layers.\g<i>.embeddings.\g<c>.vectors",
        ),
        (
            _INPUTS
            + r"to_merge\.continuous_module\.embedding_tables\.(?P<c>.+)"
            + r"\.projection_layer\.(?P<p>weight|bias)",
            r"body.layers.\g<i>.embeddings.\g<c>.votes.\g<p>",
        ),
        (
            _INPUTS + r"to_merge\.\w+\._?post\.(0\.)?feature_layer_norm\.(?P<c>.+)\.(?P<p>weight|bias)",
            r"body.layers.\g<i>.layer_norm.norms.\g<c>.\g<p>",
        ),
        (_INPUTS + r"_masking\.masked_item_embedding", r"body.layers.\g<i>.mask_vector.weight"),
        (_INPUTS + r"(?P<j>\d+)\.0\.(?P<p>weight|bias)", r"body.layers.\g<i>.linears.\g<j>.\g<p>"),
        (_INPUTS + r"transformer\.layer\.(?P<p>.+)", r"body.layers.\g<i>.layer.\g<p>"),
        (_INPUTS + r"transformer\.mask_emb", r"body.layers.\g<i>.mask_emb"),
        (_INPUTS + r"transformer\.(?P<p>.+)", r"body.layers.\g<i>.model.\g<p>"),
        (_INPUTS + r"module\.(?P<p>(weight|bias)_[ih]h_l\d+)", r"body.layers.\g<i>.recurrent.\g<p>"),
        (_INPUTS + r"module\.(?P<p>.+)", r"body.layers.\g<i>.\g<p>"),
        (_TASK + r"pre\.module\.output_layer", "output.weight"),
        (_TARGET + r"pre\.0\.(?P<p>weight|bias)", r"output.outputs.\g<target>.linear.\g<p>"),
        (
            _TARGET + r"task_block\.(?P<j>\d+)\.0\.(?P<p>weight|bias)",
            r"body.layers.1.branches.\g<target>.linears.\g<j>.\g<p>",
        ),
        (_TASK + r"task_block\.0\.0\.(?P<p>weight|bias)", r"output.projection.\g<p>"),
    )
)
UNUSED = re.compile(_INPUTS + r"transformer\.(mask_emb|word_embedding\.weight|.*position_ids)")
COPIES = (
    (re.compile(_INPUTS + r"(prepare_module\.)?masking\.masked_item_embedding"), "mask_vector.weight"),
    (re.compile(_INPUTS + r"prepare_module\.transformer\.(?P<p>.+)"), "model"),
    (re.compile(_TASK + r"masking\.masked_item_embedding"), "mask_vector.weight"),
    (re.compile(_TASK + r"embeddings\.embedding_tables\.(?P<table>.+)\.weight"), "tables"),
    (
        re.compile(_TASK + r"embeddings\._?post\.(0\.)?feature_layer_norm\.(?P<c>.+)\.(?P<p>weight|bias)"),
        "norms",
    ),
    (re.compile(_TASK + r"(pre\.module\.)?item_embedding_table\.weight"), "items"),
)


def convert_state(state: Mapping[str, Tensor], model: mm.Model) -> dict[str, Tensor]:
    """A legacy state dict under the names of the new model.

    Those of ranking models of ``merlin.models.torch`` V2 are told by their names, see :func:`convert_merlin`.

    Args:
        state: of a model of Transformers4Rec or Merlin Models V1 with one head.
        model: what the program that made it was rewritten to.

    Returns:
        A tensor for every weight of ``model``.

    Raises:
        CheckpointError: for weights that belong nowhere, are missing, have another shape, or differ between
            two places that share them.
    """
    if is_merlin(state):
        return convert_merlin(state, model)
    converted: dict[str, Tensor] = {}
    copies: list[tuple[str, str]] = []
    foreign: list[str] = []
    expected = {name: value for name, value in model.state_dict().items() if not name.startswith("metrics.")}
    # A body beside a block before the task is a block of its own.
    inner = any(place.startswith("body.layers.0.layers.") for place in expected)
    for name, value in state.items():
        new = _new_name(name, model)
        if inner and new and name.startswith("heads.0.body."):
            new = f"body.layers.0.{new.removeprefix('body.')}"
        if UNUSED.fullmatch(name) and new not in expected:
            continue
        if new:
            converted[_elsewhere(new, expected)] = value
        elif place := _copy_of(name, model):
            copies.append((name, place))
        else:
            foreign.append(name)
    _check(converted, expected, foreign)
    for name, place in copies:
        if place not in converted or not torch.equal(state[name], converted[place]):
            raise CheckpointError(
                f"{name} differs from the weights it was shared with, {place}: the file is damaged"
            )
    return {name: converted[name].to(value.dtype) for name, value in expected.items()}


def _new_name(name: str, model: mm.Model) -> str | None:
    for pattern, new in RENAMED:
        if found := pattern.fullmatch(name):
            if new == "tables":
                return f"body.layers.{found['i']}.tables.{_table(found['table'], model)}.weight"
            return found.expand(new)
    return None


def _elsewhere(name: str, expected: Mapping[str, Tensor]) -> str:
    """Where a weight is that has another place in some models."""
    places = (
        # A column with a module of its own, and norms of soft embeddings alone.
        (r"\.tables\.(.+)\.weight$", r".embeddings.\1.weight"),
        (r"\.embeddings\.(.+)\.(vectors|votes\.\w+)$", r".embeddings.\1.0.\2"),
        (r"\.layer_norm\.norms\.(.+)\.(weight|bias)$", r".embeddings.\1.1.\2"),
        # A single target.
        (r"^output\.outputs\.(.+)\.linear\.(weight|bias)$", r"output.linear.\2"),
        (r"^body\.layers\.1\.branches\.[^.]+\.", r"body.layers.1."),
    )
    tried = [name, *(re.sub(old, new, name) for old, new in places)]
    return next((place for place in tried if place in expected), name)


def _table(name: str, model: mm.Model) -> str:
    tables = model.inputs.tables
    return name if name in tables else model.inputs.domains.get(name, name)


def _copy_of(name: str, model: mm.Model) -> str | None:
    """Where the new model has what the legacy state dict holds a second time."""
    places = {id(module): place for place, module in model.named_modules()}
    inputs = places[id(model.inputs)]
    for pattern, what in COPIES:
        if found := pattern.fullmatch(name):
            if what == "model":
                return f"body.layers.{found['i']}.model.{found['p']}"
            if what == "tables":
                place = f"{inputs}.tables.{_table(found['table'], model)}.weight"
                return place if found["table"] not in model.inputs.embeddings else _own_table(place)
            if what == "norms":
                return f"{inputs}.layer_norm.norms.{found['c']}.{found['p']}"
            if what == "items":
                return f"{places[id(model.inputs.item_table)]}.weight"
            return f"{inputs}.{what}"
    return None


def _own_table(place: str) -> str:
    return re.sub(r"\.tables\.(.+)\.weight$", r".embeddings.\1.weight", place)


def _check(converted: Mapping[str, Tensor], expected: Mapping[str, Tensor], foreign: list[str]) -> None:
    foreign = foreign + sorted(set(converted) - set(expected))
    missing = sorted(set(expected) - set(converted))
    if foreign or missing:
        parts = [f"no place for {', '.join(foreign[:5])}"] if foreign else []
        parts += [f"nothing for {', '.join(missing[:5])}"] if missing else []
        raise CheckpointError(f"the weights belong to another model: {'; '.join(parts)}, {GUIDE}")
    for name, value in expected.items():
        if converted[name].shape != value.shape:
            raise CheckpointError(
                f"{name} is {tuple(converted[name].shape)} in the weights, {tuple(value.shape)} in it: "
                "build the model with the same schema and sizes"
            )


def load_weights(model: mm.Model, source: str | Path | Mapping[str, Tensor]) -> mm.Model:
    """Puts legacy weights into a new model.

    Args:
        model: what the program was rewritten to; changed in place.
        source: a file or folder, see :func:`read_weights`, or a state dict.

    Returns:
        The model.

    Raises:
        CheckpointError: if they cannot be read or do not belong to it.
    """
    state = source if isinstance(source, Mapping) else read_weights(source)
    model.load_state_dict(convert_state(state, model), strict=False)
    return model
