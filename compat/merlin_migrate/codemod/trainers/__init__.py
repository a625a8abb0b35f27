"""Subclasses of the old trainer, and callbacks of Hugging Face, as Lightning has them."""
