"""``merlin.core.compat`` where merlin-core is not installed: which libraries there are."""

import torch
from merlin.core._absent import only

HAS_GPU: bool = torch.cuda.is_available()
cuda = cupy = cudf = dask_cudf = None
"""Libraries on the GPU are not used here."""

__getattr__ = only(__name__, {"numpy": "numpy", "pandas": "pandas", "psutil": "psutil"})
