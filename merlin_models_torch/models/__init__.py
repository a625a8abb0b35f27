"""Builders: whole models by name, made of the blocks of this library."""

from merlin_models_torch.models.dcn import DCNModel
from merlin_models_torch.models.deepfm import DeepFMModel
from merlin_models_torch.models.dlrm import DLRMModel
from merlin_models_torch.models.multi_task import MultiTaskModel
from merlin_models_torch.models.replaced import ReplacedItemModel
from merlin_models_torch.models.session import SessionModel
from merlin_models_torch.models.two_tower import MatrixFactorizationModel, TwoTowerModel
from merlin_models_torch.models.wide_deep import WideAndDeepModel
from merlin_models_torch.models.youtube_dnn import YoutubeDNNRetrievalModel

__all__ = [
    "DCNModel",
    "DLRMModel",
    "DeepFMModel",
    "MatrixFactorizationModel",
    "MultiTaskModel",
    "ReplacedItemModel",
    "SessionModel",
    "TwoTowerModel",
    "WideAndDeepModel",
    "YoutubeDNNRetrievalModel",
]
