"""``merlin.core.utils`` is not here: Dask clusters and downloads are merlin-core's."""

from merlin.core._absent import only

__getattr__ = only(__name__)
