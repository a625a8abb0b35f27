"""``merlin.models.torch.utils.module_utils``: what a module takes, and modules given their sizes."""

from __future__ import annotations

import inspect
from typing import Any, Union, get_type_hints

import torch
from merlin.models._legacy import legacy, served
from torch import Tensor, nn

_DICT = dict[str, Tensor]


@legacy
def is_tabular(module: nn.Module) -> bool:
    """Whether the first argument of ``forward`` is annotated as tensors by name, or as these or a tensor."""
    from merlin.models.torch.container import BlockContainer

    if isinstance(module, BlockContainer):
        return True
    try:
        hints = get_type_hints(module.forward)
    except Exception:
        return False
    first = hints.get(next(iter(inspect.signature(module.forward).parameters), ""))
    named = str(first).replace("collections.abc.Mapping", "dict").replace("typing.Dict", "dict")
    return named in {
        str(kind).replace("typing.Dict", "dict")
        for kind in (_DICT, Union[Tensor, _DICT], Union[_DICT, Tensor])  # noqa: UP007 (compared as text)
    }


@legacy
def check_batch_arg(module: nn.Module) -> tuple[bool, bool]:
    """Whether ``forward`` takes a batch beside its inputs, and whether it must have one."""
    given = inspect.signature(module.forward).parameters
    if "batch" not in given or len(given) < 2:
        return False, False
    return True, given["batch"].default is not None


@legacy
def module_test(
    module: nn.Module, input_data: Any, method: str = "script", schema_trace: bool = True, **kwargs: Any
) -> Any:
    """Calls a module twice and compares what it gives; nothing is scripted.

    Args:
        module: to call.
        input_data: what it takes, or a batch.
        method: "script" or "trace", of which 23.12 made the second call.
        schema_trace: whether the first call traces schemas.
        **kwargs: passed to the module.

    Raises:
        RuntimeError: if it cannot be called.
        ValueError: if the method is another, or the two calls differ.
    """
    from merlin.models.torch import schema
    from merlin.models.torch.batch import Batch

    if method not in ("script", "trace"):
        raise ValueError(f"method is {method!r}, expected 'script' or 'trace'")
    if isinstance(input_data, Batch):
        kwargs["batch"], input_data = input_data, input_data.features
    if isinstance(kwargs.get("batch"), Batch):
        module.to(device=kwargs["batch"].device())
    try:
        first = schema.trace(module, input_data, **kwargs) if schema_trace else module(input_data, **kwargs)
    except Exception as error:
        raise RuntimeError(f"the module cannot be called with these inputs: {error}") from error
    with torch.no_grad():
        again = module(input_data, **kwargs)
    if not all(torch.allclose(a, b, equal_nan=True) for a, b in zip(_flat(first), _flat(again), strict=True)):
        raise ValueError("the module gives something else the second time: put it into eval mode")
    return first


def _flat(value: Any) -> list[Tensor]:
    from merlin.models.torch.batch import Batch

    if isinstance(value, Batch):
        value = value.flatten_as_dict(None)
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, (tuple, list)) else [value]


@legacy
def initialize(module: nn.Module, data: Any, dtype: Any = torch.float32) -> Any:
    """Gives the lazy parameters of a module their size, and its parts the schemas of what they get.

    Args:
        module: takes columns by name.
        data: a data set, a loader or a batch.
        dtype: of the module's fractions; None leaves them.

    Returns:
        What the module makes of the batch.

    Raises:
        RuntimeError: if the data is something else.
    """
    from merlin.models.torch import schema
    from merlin.models.torch.batch import Batch, is_data, sample_batch

    if not isinstance(data, Batch) and not is_data(data):
        raise RuntimeError(f"data is a {type(data).__name__}, expected a data set, a loader or a batch")
    batch = data if isinstance(data, Batch) else sample_batch(data, batch_size=1, shuffle=False)
    if dtype:
        module.to(device=batch.device(), dtype=dtype)
        batch = batch.to(dtype=dtype)
    else:
        module.to(device=batch.device())
    for output in module.model_outputs() if hasattr(module, "model_outputs") else ():  # type: ignore[operator]
        for metric in output.metrics:
            metric.to(device=batch.device())
    return schema.trace(module, batch.features, batch=batch)


__getattr__ = served(__name__)
