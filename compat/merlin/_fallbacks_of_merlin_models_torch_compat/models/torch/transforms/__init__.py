"""``merlin.models.torch.transforms``."""
