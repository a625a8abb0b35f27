"""``merlin.models.utils.nvt_utils``: what NVTabular is needed for; each name says what to do instead."""

from merlin.models._legacy import served

__getattr__ = served(__name__)
