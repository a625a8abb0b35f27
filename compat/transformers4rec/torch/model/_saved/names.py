"""Which classes and functions a saved model may name."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any

GUIDE = "migration_guides/checkpoints.md#pickled-models"
OURS = ("transformers4rec.", "merlin_standard_lib.", "merlin_models_torch.")
LAYERS = "torch.nn.modules."
ARCHITECTURES = "transformers.models."
METRICS = "torchmetrics."
CLASSES = (*OURS, LAYERS, ARCHITECTURES, METRICS, "torch.optim.")
FUNCTIONS = (
    *(f"transformers4rec.torch.{part}" for part in ("block.", "features.", "masking", "model.", "tabular.")),
    "torch.nn.functional",
    "torch.nn.init",
)


class SavedModelError(ValueError):
    """A model cannot be saved, or a saved one is damaged or not one of ours."""


def path_of(thing: Any) -> str:
    """``module:name`` of a class or function that a saved model may name.

    Raises:
        SavedModelError: if it is of the user's program, or nameless.
    """
    module, name = getattr(thing, "__module__", None) or "", getattr(thing, "__qualname__", "")
    allowed = CLASSES if inspect.isclass(thing) else FUNCTIONS
    if module.startswith(allowed):
        try:
            if _find(module, name) is thing:
                return f"{module}:{name}"
        except (ImportError, AttributeError):
            pass
    raise SavedModelError(
        f"{module}.{name} is not part of this library, and a saved model must be readable without the "
        "program that made it: save the weights by torch.save(model.state_dict(), 'pytorch_model.bin'), "
        "build the model in the program and load them by model.load_state_dict("
        f"torch.load('pytorch_model.bin', weights_only=True)). See {GUIDE}"
    )


def class_at(path: Any, packages: tuple[str, ...] = CLASSES) -> type[Any]:
    """The class of a path.

    Raises:
        SavedModelError: if it is not of these packages, before anything is imported.
    """
    found = _trusted(path, packages)
    if not inspect.isclass(found):
        raise SavedModelError(f"the saved model names {path!r} as a class, which it is not")
    return found


def function_at(path: Any) -> Callable[..., Any]:
    """The function of a path, on the same terms."""
    found = _trusted(path, FUNCTIONS)
    if not inspect.isroutine(found):
        raise SavedModelError(f"the saved model names {path!r} as a function, which it is not")
    return found


def _trusted(path: Any, packages: tuple[str, ...]) -> Any:
    module, _, name = str(path).partition(":")
    if not module.startswith(packages):
        raise SavedModelError(
            f"the saved model names {path!r}, which is not of a trusted package: do not use it"
        )
    try:
        found = _find(module, name)
    except (ImportError, AttributeError) as error:
        raise SavedModelError(
            f"the saved model names {path!r}, which this installation does not have"
        ) from error
    if getattr(found, "__module__", None) != module:
        raise SavedModelError(f"the saved model names {path!r}, which is defined elsewhere: do not use it")
    return found


def _find(module: str, name: str) -> Any:
    found = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found
