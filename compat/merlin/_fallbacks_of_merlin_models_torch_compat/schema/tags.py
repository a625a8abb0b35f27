"""``merlin.schema.tags`` where merlin-core is not installed."""

from merlin.schema import Tags, TagSet, TagsType

__all__ = ["TagSet", "Tags", "TagsType"]
