"""Configuration: training arguments, transformers, schemas."""
