"""Model, heads and prediction tasks."""
