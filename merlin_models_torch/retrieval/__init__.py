"""From vectors to answers."""

from merlin_models_torch.retrieval.topk import topk_blockwise

__all__ = ["topk_blockwise"]
