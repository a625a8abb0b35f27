"""Rewrites programs written for Transformers4Rec to the new API."""

from merlin_migrate.codemod.notebook import rewrite_notebook
from merlin_migrate.codemod.rewrite import Result, rewrite_source
from merlin_migrate.codemod.rules import RULES

__all__ = ["RULES", "Result", "rewrite_notebook", "rewrite_source"]
