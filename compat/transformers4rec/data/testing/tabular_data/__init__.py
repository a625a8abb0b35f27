"""Rows of one event each."""
