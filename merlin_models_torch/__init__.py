"""Session-based, retrieval and ranking models in PyTorch, built from blocks and trained by Lightning."""

__version__ = "0.1.0"
