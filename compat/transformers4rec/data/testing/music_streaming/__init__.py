"""Sessions of listening, with targets."""
