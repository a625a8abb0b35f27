"""``merlin.models.torch.inputs``."""
