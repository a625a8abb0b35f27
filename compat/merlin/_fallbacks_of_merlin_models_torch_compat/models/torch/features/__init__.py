"""``merlin.models.torch.features`` of V1."""
