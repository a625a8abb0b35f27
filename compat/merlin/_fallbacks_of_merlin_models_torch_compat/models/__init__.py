"""``merlin.models``: the PyTorch names of Merlin Models, V1 and V2, on ``merlin_models_torch``."""
