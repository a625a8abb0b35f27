"""``merlin.models.utils.example_utils``: of the examples; each name says what to do instead."""

from merlin.models._legacy import served

__getattr__ = served(__name__)
