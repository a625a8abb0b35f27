"""``merlin.models.torch.block.base`` of V1: the drop-in for Transformers4Rec has it."""

from merlin.models._legacy import served

__getattr__ = served(
    __name__,
    {
        "transformers4rec.torch.block.base": """
            Block BlockBase BuildableBlock SequentialBlock build_blocks right_shift_block
        """,
    },
)
