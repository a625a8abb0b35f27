"""Builders: whole models by name, made of the blocks of this library."""

from merlin_models_torch.models.replaced import ReplacedItemModel
from merlin_models_torch.models.session import SessionModel

__all__ = ["ReplacedItemModel", "SessionModel"]
