"""The way from the old names to ``merlin_models_torch``: table of names, warnings, codemods, checkpoints."""

__version__ = "0.1.0"

__all__ = ["__version__"]
