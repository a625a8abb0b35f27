"""``merlin.models.tf`` is not here: importing it, or any module below it, says what to do instead."""

from merlin.models._legacy import TensorFlowModels

raise TensorFlowModels
