"""``merlin.models.torch.utils``, of V1 and V2."""
