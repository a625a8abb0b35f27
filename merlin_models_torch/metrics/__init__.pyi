from merlin_models_torch.metrics.answers import AnswerMetrics, answer_metrics
from merlin_models_torch.metrics.binary import LogLoss
from merlin_models_torch.metrics.coverage import Coverage
from merlin_models_torch.metrics.joint import JointMetrics
from merlin_models_torch.metrics.ranking import (
    MEASURES,
    hit_rate_at,
    map_at,
    mrr_at,
    ndcg_at,
    precision_at,
    recall_at,
    relevance_of,
)
from merlin_models_torch.metrics.retrieval import RetrievalMetrics
from merlin_models_torch.metrics.streaming import RankingMetrics

__all__ = [
    "MEASURES",
    "AnswerMetrics",
    "Coverage",
    "JointMetrics",
    "LogLoss",
    "RankingMetrics",
    "RetrievalMetrics",
    "answer_metrics",
    "hit_rate_at",
    "map_at",
    "mrr_at",
    "ndcg_at",
    "precision_at",
    "recall_at",
    "relevance_of",
]
