"""Session-based, retrieval and ranking models in PyTorch, built from blocks and trained by Lightning."""

from merlin_models_torch._lazy import names_of_stub

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = names_of_stub(__name__, __file__)
