"""``merlin.models.utils.constants``."""

import numpy as np

# In double precision, as NumPy before 2 divided.
MIN_FLOAT = float(np.finfo(np.float16).min) / 100.0
MAX_FLOAT = float(np.finfo(np.float16).max) / 100.0
