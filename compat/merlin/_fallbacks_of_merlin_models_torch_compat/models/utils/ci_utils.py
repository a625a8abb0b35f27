"""``merlin.models.utils.ci_utils``: what a change of 23.12 reached; each name says what to do instead."""

from merlin.models._legacy import served

__getattr__ = served(__name__)
