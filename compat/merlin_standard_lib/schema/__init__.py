"""Schemas and tags."""
