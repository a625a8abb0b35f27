"""Hides matplotlib, which only our development environment has: torchmetrics imports it where it is there.

Neither side needs it, and the environment of Transformers4Rec has none, so with it the imports of a developer
would be compared with those of a user.
"""

from __future__ import annotations

import sys
from importlib.metadata import Distribution, PackageNotFoundError


def hide(name: str) -> None:
    """From now on nothing finds this package, which must not be imported yet.

    Args:
        name: of the package, as it is imported and as it is installed.
    """
    find = Distribution.from_name.__func__

    def from_name(cls: type[Distribution], wanted: str) -> Distribution:
        if wanted == name:
            raise PackageNotFoundError(name)
        return find(cls, wanted)

    Distribution.from_name = classmethod(from_name)
    sys.modules[name] = None
