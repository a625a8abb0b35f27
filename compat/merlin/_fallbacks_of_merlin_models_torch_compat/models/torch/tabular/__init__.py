"""``merlin.models.torch.tabular`` of V1."""
