"""``merlin.models.torch.transforms.bias``."""

from __future__ import annotations

from merlin.models._legacy import legacy
from torch import Tensor, nn


@legacy
class LogitsTemperatureScaler(nn.Module):
    """Divides by a temperature.

    Args:
        temperature: above 0, at most 1.

    Raises:
        ValueError: if it is not.
    """

    def __init__(self, temperature: float) -> None:
        super().__init__()
        if not isinstance(temperature, float) or not 0 < temperature <= 1:
            raise ValueError(f"temperature is {temperature!r}, expected a fraction above 0 and at most 1")
        self.temperature = temperature

    def forward(self, logits: Tensor) -> Tensor:
        """The logits divided."""
        return logits / self.temperature
