"""Input blocks."""
