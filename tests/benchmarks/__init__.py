"""Speed and memory beside Transformers4Rec 23.12.0, as ratios: ``python -m tests.benchmarks``."""
