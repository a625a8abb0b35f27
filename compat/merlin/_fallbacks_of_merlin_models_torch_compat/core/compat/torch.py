"""``merlin.core.compat.torch`` where merlin-core is not installed."""

import torch

__all__ = ["torch"]
