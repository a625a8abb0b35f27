"""``merlin.datasets.entertainment``: each name says what to do instead."""

from merlin.datasets._refused import refusing

__getattr__ = refusing(__name__)
