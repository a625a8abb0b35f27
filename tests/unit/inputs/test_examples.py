"""The examples in the docstrings of this folder run and give what they say."""

import doctest
import importlib
import pkgutil

import pytest
import torch

from merlin_models_torch import inputs

MODULES = [name for _, name, _ in pkgutil.iter_modules(inputs.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    module = importlib.import_module(f"{inputs.__name__}.{name}")
    result = doctest.testmod(module, extraglobs={"torch": torch}, report=False)
    assert not result.failed, f"{result.failed} of {result.attempted} examples of {name} fail"
