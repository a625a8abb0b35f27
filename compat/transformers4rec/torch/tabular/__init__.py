"""Modules over dictionaries of columns."""
