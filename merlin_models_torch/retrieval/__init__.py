"""From vectors to answers."""

from merlin_models_torch._lazy import names_of_stub

__getattr__, __dir__, __all__ = names_of_stub(__name__, __file__)
