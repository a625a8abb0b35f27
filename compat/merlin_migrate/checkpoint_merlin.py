"""Weights of a model of ``merlin.models.torch`` V2 into the model that its program was rewritten to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from merlin_migrate.weights import GUIDE, CheckpointError

if TYPE_CHECKING:
    import merlin_models_torch as mm

_TABLE = re.compile(r".*\bbranches\.(?P<name>[^.]+)\.values\.0\.to_wrap\.table\.weight")
_OUTPUT = re.compile(r"(?P<place>.+)\.target")
_BUFFER = re.compile(r".*\.(target|triu_indices)")


def is_buffer(name: str) -> bool:
    """Whether what a state dict has under a name is no weight."""
    return _BUFFER.fullmatch(name) is not None


def is_merlin(state: Mapping[str, Tensor]) -> bool:
    """Whether a state dict is one of ``merlin.models.torch`` V2, written by 23.12 or, under the same
    names, by the drop-in."""
    return bool(state) and all(re.match(r"values\.", name) for name in state)


def convert_merlin(state: Mapping[str, Tensor], model: mm.Model) -> dict[str, Tensor]:
    """The weights under the names of the new model.

    Tables are found by their names and outputs by their targets. Layers between them have no names that last:
    they are taken in their order, which is that of the program.

    Args:
        state: of the old model.
        model: what its program was rewritten to.

    Returns:
        A tensor for every weight of ``model``.

    Raises:
        CheckpointError: for weights that belong nowhere, are missing, or have another shape.
    """
    old_tables, old_outputs, old_layers = _parts_of_old(state)
    tables, outputs, layers = _parts_of_new(model)
    converted: dict[str, str] = {}
    for name in old_tables:
        place = tables.get(name) or tables.get(model.inputs.domains.get(name, name))
        if place is None:
            raise CheckpointError(
                f"the weights belong to another model: it has no table {name!r}, only {', '.join(tables)}, "
                f"{GUIDE}"
            )
        converted[place] = old_tables[name]
    if set(old_outputs) not in (set(outputs), {""}) or len(old_outputs) != len(outputs):
        raise CheckpointError(
            f"the weights belong to another model: they predict {', '.join(old_outputs) or 'nothing'}, it "
            f"predicts {', '.join(outputs)}, {GUIDE}"
        )
    pairs = [(old_outputs.get(target, old_outputs.get("", [])), names) for target, names in outputs.items()]
    for old, new in (*pairs, (old_layers, layers)):
        if len(old) != len(new):
            raise CheckpointError(
                f"the weights belong to another model: {len(old)} tensors of layers ({', '.join(old[:3])}, "
                f"...) for {len(new)} ({', '.join(new[:3])}, ...), {GUIDE}"
            )
        converted.update(zip(new, old, strict=True))
    expected = {name: value for name, value in model.named_parameters() if name in converted}
    missing = sorted({name for name, _ in model.named_parameters()} - set(expected))
    if missing:
        raise CheckpointError(f"the weights belong to another model: nothing for {', '.join(missing[:5])}")
    for name, value in expected.items():
        if state[converted[name]].shape != value.shape:
            raise CheckpointError(
                f"{converted[name]} is {tuple(state[converted[name]].shape)} in the weights, "
                f"{tuple(value.shape)} in {name}: build the model with the same schema and sizes"
            )
    return {name: state[converted[name]].to(value.dtype) for name, value in expected.items()}


def _parts_of_old(state: Mapping[str, Tensor]) -> tuple[dict[str, str], dict[str, list[str]], list[str]]:
    """Names of tables, of outputs by target ("" for a single one), and of layers in order."""
    tables = {found["name"]: name for name in state if (found := _TABLE.fullmatch(name))}
    places = [found["place"] for name in state if (found := _OUTPUT.fullmatch(name))]
    outputs: dict[str, list[str]] = {}
    for place in places:
        named = re.search(r"\.branches\.([^.]+)$", place)
        inside = [name for name in state if name.startswith(f"{place}.") and not is_buffer(name)]
        outputs[named[1] if named else ""] = inside
    taken = {*tables.values(), *(name for names in outputs.values() for name in names)}
    return tables, outputs, [name for name in state if name not in taken and not is_buffer(name)]


def _parts_of_new(model: mm.Model) -> tuple[dict[str, str], dict[str, list[str]], list[str]]:
    import merlin_models_torch as mm

    tables = {
        name.rpartition(".")[2]: f"{name}.weight"
        for name, module in model.named_modules()
        if isinstance(module, mm.EmbeddingTable)
    }
    block = model.output
    if isinstance(block, mm.TabularOutputBlock):
        places = {target: f"output.outputs.{target}." for target in block.outputs}
    else:
        places = {str(getattr(block, "target", "")): "output."}
    names = [name for name, _ in model.named_parameters()]
    outputs = {target: [name for name in names if name.startswith(place)] for target, place in places.items()}
    taken = {*tables.values(), *(name for own in outputs.values() for name in own)}
    return tables, outputs, [name for name in names if name not in taken]
