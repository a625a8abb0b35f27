from merlin_models_torch.retrieval.encoder import TopKEncoder
from merlin_models_torch.retrieval.faiss import FaissIndex, recall_of
from merlin_models_torch.retrieval.index import ItemIndex
from merlin_models_torch.retrieval.topk import topk_blockwise, topk_of_scores

__all__ = ["FaissIndex", "ItemIndex", "TopKEncoder", "recall_of", "topk_blockwise", "topk_of_scores"]
