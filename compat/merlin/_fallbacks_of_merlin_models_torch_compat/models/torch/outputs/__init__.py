"""``merlin.models.torch.outputs``."""
