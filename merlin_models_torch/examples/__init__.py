"""Programs that show the library at work, from events to answers; each runs by ``python -m``."""
