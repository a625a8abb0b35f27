"""The examples in the docstrings of this folder run and give what they say."""

import doctest
import importlib
import pkgutil

import pytest
import torch
from torch import nn

from merlin_models_torch import blocks

MODULES = [name for _, name, _ in pkgutil.iter_modules(blocks.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(f"{blocks.__name__}.{name}")
    torch.manual_seed(0)
    result = doctest.testmod(module, extraglobs={"torch": torch, "nn": nn}, report=False)
    assert not result.failed, f"{result.failed} of {result.attempted} examples of {name} fail"
