"""Whether operations are only written down, so that nothing may be decided by values or sizes."""

from __future__ import annotations

import torch


def is_recorded() -> bool:
    """True while a program is compiled, exported or traced: what is asked then becomes part of it."""
    return torch.compiler.is_compiling() or torch._C._is_tracing()
