"""From vectors to answers."""

from merlin_models_torch.retrieval.index import ItemIndex
from merlin_models_torch.retrieval.topk import topk_blockwise, topk_of_scores

__all__ = ["ItemIndex", "topk_blockwise", "topk_of_scores"]
