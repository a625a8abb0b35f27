"""What all input blocks are."""

from abc import ABC

from transformers4rec.torch.tabular.base import TabularBlock


class InputBlock(TabularBlock, ABC):
    """A block over the columns of a data loader's batch."""
