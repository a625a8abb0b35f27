"""The maskings, one a file; programs import them from ``transformers4rec.torch.masking``."""
