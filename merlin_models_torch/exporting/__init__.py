"""Models as programs that need torch or onnxruntime alone."""

from merlin_models_torch.exporting.export import export

__all__ = ["export"]
