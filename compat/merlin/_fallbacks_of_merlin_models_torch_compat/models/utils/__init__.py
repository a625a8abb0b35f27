"""``merlin.models.utils``."""
