"""``merlin.loader``, the former name of ``merlin.dataloader``."""
