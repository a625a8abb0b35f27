"""The blocks of a model, drawn as a tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from merlin_models_torch._modes import eval_mode
from merlin_models_torch.batch import Batch
from merlin_models_torch.blocks import Block
from merlin_models_torch.blocks.tree import children_of
from merlin_models_torch.inputs import TabularInputBlock
from merlin_models_torch.reporting.charts import WIDTH, svg
from merlin_models_torch.reporting.text import text
from merlin_models_torch.training.sample import sample_batch

if TYPE_CHECKING:
    from merlin_models_torch.training.model import Model

_ROW, _INDENT, _DEPTH, _ROWS = 44, 18, 5, 60


@dataclass(frozen=True)
class Node:
    """A module and those inside it.

    Args:
        name: its class, and before it the name of its branch.
        note: what it reads or gives, and its parameters.
        inside: the modules of a container.
    """

    name: str
    note: str
    inside: tuple[Node, ...] = ()


def tree_of(model: Model) -> Node:
    """The blocks of a model, each with the shape of what it gives for made-up rows, and its parameters."""
    shapes = _shapes(model)
    blocks = tuple(_node(part, "", shapes, 1) for part in chain_of(model.body))
    output = Node(type(model.output).__name__, _note(model.output, "", shapes))
    count = sum(parameter.numel() for parameter in model.parameters())
    return Node(type(model).__name__, f"{count:,} parameters", (*blocks, output))


def drawing(model: Model) -> str:
    """The tree as an ``svg`` element."""
    lines = list(_lines(tree_of(model), 0))
    left_out = len(lines) - _ROWS
    parts, last = [], {0: 0.0}
    for place, (depth, node) in enumerate(lines[:_ROWS]):
        x, y = 1 + depth * _INDENT, 1 + place * _ROW
        if depth:
            above = x - _INDENT + 9
            parts.append(f'<path class="branch" d="M{above} {last[depth - 1]:g}V{y + 18}H{x}"/>')
        last[depth] = y + _ROW - 6
        room = int((WIDTH - x - 16) / 5.8)
        parts.append(
            f'<rect class="box" x="{x}" y="{y}" width="{WIDTH - x - 2}" height="{_ROW - 6}" rx="6"/>'
            f'<text class="name" x="{x + 8}" y="{y + 16}">{text(node.name, longest=room - 8)}</text>'
            f'<text class="small" x="{x + 8}" y="{y + 31}">{text(node.note, longest=room)}</text>'
        )
    height = min(len(lines), _ROWS) * _ROW
    if left_out > 0:
        parts.append(f'<text x="1" y="{height + 14}">and {left_out} more</text>')
        height += 20
    told = ", ".join(node.name for _, node in lines[:_ROWS])
    return svg("Blocks of the model", told, parts, height=height)


def _lines(node: Node, depth: int) -> Iterator[tuple[int, Node]]:
    yield depth, node
    for one in node.inside:
        yield from _lines(one, depth + 1)


def chain_of(module: nn.Module) -> list[nn.Module]:
    """The modules one after the other of a plain chain; the module itself if it is none."""
    return list(module) if type(module) is Block else [module]


def _node(module: nn.Module, branch: str, shapes: Mapping[int, str], depth: int) -> Node:
    name = f"{branch}: {type(module).__name__}" if branch else type(module).__name__
    own = children_of(module)
    inside: tuple[Node, ...] = ()
    if own and depth < _DEPTH and not isinstance(module, TabularInputBlock):
        inside = tuple(
            _node(child, "" if key.isdigit() else key, shapes, depth + 1) for key, child in own.items()
        )
    return Node(name, _note(module, ", ".join(_columns(module)), shapes), inside)


def _columns(module: nn.Module) -> list[str]:
    return module.schema.column_names if isinstance(module, TabularInputBlock) else []


def _note(module: nn.Module, reads: str, shapes: Mapping[int, str]) -> str:
    count = sum(parameter.numel() for parameter in module.parameters())
    parts = [reads, shapes.get(id(module), ""), f"{count:,} parameters" if count else ""]
    if getattr(module, "weight_tying", False):
        parts.append("items of the input")
    return " · ".join(part for part in parts if part) or "no parameters"


def _shapes(model: Model) -> dict[int, str]:
    """What each module of the body gives, by its identity."""
    found: dict[int, str] = {}

    def remember(module: nn.Module, _: Any, given: Any) -> None:
        found[id(module)] = _shape(given)

    hooks = [module.register_forward_hook(remember) for module in model.body.modules()]
    try:
        with eval_mode(model), torch.no_grad():
            model.body(model.for_prediction(sample_batch(model.schema, rows=2, length=2).to(model.device)))
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _shape(given: Any) -> str:
    if isinstance(given, Tensor) and given.dim() in (2, 3):
        return " × ".join(
            ["B", "T", str(given.shape[-1])] if given.dim() == 3 else ["B", str(given.shape[-1])]
        )
    if isinstance(given, Mapping) and not isinstance(given, Batch):
        return ", ".join(f"{name}: {_shape(one)}" for name, one in given.items())
    return ""
