"""``merlin.models.torch.models``."""
