"""What a case observes: the same calls record the original and, later, compare the drop-in.

A case is a function of a :class:`Side`, written with legacy names only. It builds something, passes its
weights and its inputs through the side, so that both sides have the same, and tells the side what came out
and how equal that has to be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

OUTPUT = 1e-5
GRADIENT = 1e-4
CURVE = 1e-4
SEED = 20_240


@dataclass
class Side:
    """One case on one side.

    Args:
        data: folder with ``schema.pbtxt`` and ``1/train.parquet``, ``1/valid.parquet``.
        scratch: an empty folder for what a trainer writes.
        recorded: what the original observed; None while it is recorded.
    """

    data: Path
    scratch: Path
    recorded: dict[str, Tensor] | None = None
    tensors: dict[str, Tensor] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def is_original(self) -> bool:
        """Whether the original is being recorded."""
        return self.recorded is None

    def seed(self, number: int = 0) -> None:
        """Starts torch's and numpy's generators anew, for what both sides draw alike."""
        torch.manual_seed(SEED + number)
        np.random.seed(SEED + number)

    def weights(self, module: nn.Module, name: str = "model") -> None:
        """Gives both sides the original's weights, stirred so that zeros and ones hide nothing.

        The drop-in loads them strictly: names and shapes of the state dict are thereby compared.
        """
        if self.recorded is None:
            self.seed()
            with torch.no_grad():
                for parameter in module.parameters():
                    if parameter.requires_grad:
                        parameter.add_(torch.randn_like(parameter) * 0.1)
            self._keep(f"given/{name}", dict(module.state_dict()))
            return
        prefix = f"given/{name}/"
        state = {key[len(prefix) :]: t for key, t in self.recorded.items() if key.startswith(prefix)}
        module.load_state_dict(state, strict=True)
        self._keep(f"given/{name}", state)

    def given(self, name: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """The original's tensors, for both sides, in memory of their own: a model may write into them."""
        if self.recorded is not None:
            prefix = f"given/{name}/"
            tensors = {k[len(prefix) :]: t for k, t in self.recorded.items() if k.startswith(prefix)}
        self._keep(f"given/{name}", tensors)
        return {key: tensor.clone() for key, tensor in tensors.items()}

    def same(self, name: str, tensor: Any) -> None:
        """Has to be identical: ids, masks, labels."""
        self._note("same", name, tensor)

    def close(self, name: str, tensor: Any) -> None:
        """Has to be equal within 1e-5: outputs, losses, metrics."""
        self._note("close", name, tensor)

    def curve(self, name: str, tensor: Any) -> None:
        """Has to be equal within 1e-4: losses of twenty steps."""
        self._note("curve", name, tensor)

    def final(self, module: nn.Module, name: str = "final") -> None:
        """Weights after training have to be equal within 1e-3."""
        for key, tensor in module.state_dict().items():
            self._note("final", f"{name}/{key}", tensor)

    def gradients(self, module: nn.Module, name: str = "gradient") -> None:
        """Gradients have to be equal within 1e-4 of the largest of each; none is as good as zeros."""
        for key, parameter in module.named_parameters():
            gradient = parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)
            self._note("gradient", f"{name}/{key}", gradient)

    def draws(self, name: str, samples: Any) -> None:
        """Many draws of one thing, along the first axis: mean and spread have to agree as chance allows."""
        self._note("draws", name, samples)

    def value(self, name: str, value: Any) -> None:
        """What JSON can hold and has to be equal."""
        self.values[name] = value

    def error(self, name: str, call: Callable[[], Any]) -> None:
        """The class of what a call raises, or ``"none"``."""
        try:
            call()
        except Exception as error:  # the class is what is compared
            self.values[name] = type(error).__name__
        else:
            self.values[name] = "none"

    def _keep(self, prefix: str, tensors: dict[str, Tensor]) -> None:
        self.tensors.update({f"{prefix}/{name}": t.detach().clone() for name, t in tensors.items()})

    def _note(self, kind: str, name: str, tensor: Any) -> None:
        key = f"{kind}/{name}"
        if key in self.tensors:
            raise ValueError(f"{name} is observed twice in one case: give each observation its own name")
        self.tensors[key] = torch.as_tensor(tensor).detach().clone().contiguous()


def compare(recorded: dict[str, Tensor], observed: dict[str, Tensor]) -> None:
    """Raises AssertionError for the first observation that is not as equal as it has to be."""
    assert set(observed) == set(recorded)
    tolerances = {"close": OUTPUT, "curve": CURVE, "final": 10 * CURVE}
    for key in sorted(recorded):
        kind, old, new = key.partition("/")[0], recorded[key], observed[key]
        if kind == "same":
            assert new.dtype == old.dtype, f"{key}: {new.dtype}, recorded {old.dtype}"
            assert torch.equal(new, old), f"{key}: {new}, recorded {old}"
        elif kind == "gradient":
            atol = GRADIENT * max(old.abs().max().item(), 1e-3)
            torch.testing.assert_close(new, old, rtol=GRADIENT, atol=atol, msg=_telling(key))
        elif kind == "draws":
            _same_distribution(key, old.double(), new.double())
        elif kind in tolerances:
            rtol = atol = tolerances[kind]
            torch.testing.assert_close(new, old, rtol=rtol, atol=atol, msg=_telling(key))


def _telling(key: str) -> Callable[[str], str]:
    return lambda text: f"{key}: {text}"


def _same_distribution(key: str, old: Tensor, new: Tensor) -> None:
    """Mean and standard deviation of every element agree within five standard errors."""
    spread = (old.var(0) / len(old) + new.var(0) / len(new)).sqrt()
    apart = (old.mean(0) - new.mean(0)).abs()
    assert bool((apart <= 5 * spread + 1e-9).all()), f"{key}: means differ by {apart.max():.4f}"
    ratio = (new.std(0) + 1e-9) / (old.std(0) + 1e-9)
    allowed = 5 * (1 / len(old) + 1 / len(new)) ** 0.5
    assert bool(((ratio.log().abs() <= allowed) | (spread == 0)).all()), f"{key}: spreads differ"
