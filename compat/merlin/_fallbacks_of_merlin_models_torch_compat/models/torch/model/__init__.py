"""``merlin.models.torch.model`` of V1."""
