"""Tags by their old name."""

from merlin.schema import Tags

Tag = Tags

__all__ = ["Tag", "Tags"]
