"""What modules of 23.12.0 have imported: programs that star-import a module lean on it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_T = "transformers4rec."
_TORCH = {"torch": "torch"}
_NUMPY = {"np": "numpy"}
_SCHEMA = "merlin.schema"

_NAMES: dict[str, dict[str, str]] = {
    "config.schema": {"typing": "Optional"},
    "config.trainer": {"typing": "Optional"},
    "config.transformer": {f"{_T}_registry": "Registry"},
    "torch.block.base": {"typing": "List Optional Union"},
    "torch.block.mlp": {"typing": "List Optional Union"},
    "torch.block.transformer": {"typing": "Dict Optional Type Union", "transformers": "GPT2Model"},
    "torch.features.continuous": {"typing": "List Optional"},
    "torch.features.embedding": {
        "typing": "Any Callable Dict List Optional Text Union",
        "functools": "partial",
        _SCHEMA: "Tags",
    },
    "torch.features.sequence": {"typing": "Dict List Optional Tuple Union"},
    "torch.features.tabular": {"typing": "List Optional Tuple Type Union"},
    "torch.masking": {
        "typing": "Any Dict Optional Tuple",
        "dataclasses": "dataclass",
        f"{_T}_registry": "Registry",
    },
    "torch.model.base": {
        "typing": "Callable Dict Iterable List Optional Type Union cast",
        "collections": "defaultdict",
        "types": "SimpleNamespace",
        _SCHEMA: "ColumnSchema Tags",
        f"{_T}_registry": "camelcase_to_snakecase",
        f"{_T}torch.features.sequence": "TabularFeaturesType",
        f"{_T}torch.typing": "TabularData",
        f"{_T}torch.utils.padding": "pad_inputs",
    },
    "torch.model.prediction_task": {"typing": "Dict Iterable Optional Sequence Tuple", "math": "sqrt"},
    "torch.ranking_metric": {"abc": "abstractmethod"},
    "torch.tabular.base": {"typing": "Dict List Optional Tuple Union"},
    "torch.tabular.transformations": {"typing": "Dict Optional"},
    "torch.utils.data_utils": {
        "abc": "ABC",
        "torch.utils.data": "Dataset IterableDataset",
        _SCHEMA: "Tags",
        f"{_T}_registry": "Registry",
        f"{_T}torch.utils.padding": "pad_batch",
    },
    "torch.utils.padding": {"typing": "Dict Optional"},
    "torch.utils.schema_utils": {"typing": "Dict Optional"},
    "torch.utils.torch_utils": {
        "typing": "Dict Optional Union",
        "collections.abc": "Mapping",
        _SCHEMA: "Tags",
        f"{_T}config.schema": "SchemaMixin",
        f"{_T}torch.typing": "TabularData",
    },
}
_MODULES: dict[str, dict[str, str]] = {
    "config.transformer": {"transformers": "transformers"},
    "torch.block.base": {"torch_utils": f"{_T}torch.utils.torch_utils"},
    "torch.block.transformer": {"transformers": "transformers"},
    "torch.features.embedding": _TORCH,
    "torch.features.sequence": {"embedding": f"{_T}torch.features.embedding"},
    "torch.masking": {**_TORCH, "nn": "torch.nn"},
    "torch.model.base": {**_TORCH, **_NUMPY, "tm": "torchmetrics"},
    "torch.model.prediction_task": {**_TORCH, "tm": "torchmetrics"},
    "torch.ranking_metric": {"torch_utils": f"{_T}torch.utils.torch_utils"},
    "torch.utils.data_utils": {**_TORCH, **_NUMPY, "pq": "pyarrow.parquet"},
    "torch.utils.padding": {"F": "torch.nn.functional"},
    "torch.utils.schema_utils": _NUMPY,
    "torch.utils.torch_utils": {**_TORCH, **_NUMPY},
}


def imported(module: str) -> dict[str, str | None]:
    """What a module of the original had from others: to each name where it is, None for a module itself.

    Args:
        module: its dotted name.
    """
    short = module.removeprefix(_T)
    found: dict[str, str | None] = dict.fromkeys(_MODULES.get(short, ()))
    for home, names in _NAMES.get(short, {}).items():
        found.update(dict.fromkeys(names.split(), home))
    return found


def value_of(module: str, name: str) -> Any:
    """One of these.

    Args:
        module: of the original.
        name: among :func:`imported`.
    """
    home = imported(module)[name]
    if home is None:
        return import_module(_MODULES[module.removeprefix(_T)][name])
    return getattr(import_module(home), name)
