"""``merlin.core`` where merlin-core is not installed: what programs of Transformers4Rec import."""
