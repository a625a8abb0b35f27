"""The old trainer and its arguments, as ``lightning.Trainer``."""
