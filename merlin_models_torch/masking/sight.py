"""Whether a body can see what a masking plan asks for, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from merlin_models_torch.masking.plan import Attention, MaskPlan

# What is wrong, and which masking would fit, if the body cannot do this kind of attention.
_MISMATCHES: dict[Attention, tuple[str, str]] = {
    "full": (
        "sees only what is before a position, and the masking hides items that are to be predicted from both "
        "sides",
        "CausalMasking",
    ),
    "causal": (
        "sees both sides of a position, what comes after it too, so causal masking would leak the target",
        "RandomMasking",
    ),
    "permuted": (
        "has one stream, in which a target would see itself, and permuted masking needs two",
        "RandomMasking",
    ),
}


@dataclass(frozen=True)
class Sight:
    """What a body can be told to see: it is checked against the plan wherever the body takes one.

    A :class:`Model` runs a batch of each kind of plan through its body when it is built, so a masking and a
    body that do not fit are refused there.

    Args:
        name: of the body in errors.
        attentions: kinds of :class:`MaskPlan` attention that it keeps to.
        remedies: for other kinds, what about the body would have to be changed.

    Example:
        >>> Sight("GRUBlock", frozenset({"causal"}), remedies={"full": "bidirectional=True"}).can("full")
        False
    """

    name: str
    attentions: frozenset[Attention]
    remedies: Mapping[Attention, str] = field(default_factory=dict)

    def can(self, attention: Attention) -> bool:
        """Whether the body keeps to this kind of attention."""
        return attention in self.attentions

    def check(self, plan: MaskPlan) -> None:
        """Raises ValueError if the plan asks for what the body cannot do."""
        if self.can(plan.attention):
            return
        wrong, masking = _MISMATCHES[plan.attention]
        if not self.can("full") and masking == "RandomMasking":
            masking = "CausalMasking"
        remedy = self.remedies.get(plan.attention, self._another(plan.attention))
        raise ValueError(f"{self.name} {wrong}: use {masking}, or {remedy}")

    def _another(self, attention: Attention) -> str:
        return "XLNetBlock with two_streams=True" if attention == "permuted" else "another body"
