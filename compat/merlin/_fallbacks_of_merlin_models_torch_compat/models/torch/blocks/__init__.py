"""``merlin.models.torch.blocks``."""
