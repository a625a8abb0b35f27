"""Cases by area: every module has ``CASES``, a mapping from a name to a function of a ``Side``."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping

from tests.equivalence.side import Side

Case = Callable[[Side], None]


def areas() -> list[str]:
    """Names of the modules beside this one."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))


def cases_of(area: str) -> Mapping[str, Case]:
    """The cases of one area, by name."""
    cases: Mapping[str, Case] = importlib.import_module(f"{__name__}.{area}").CASES
    return cases
