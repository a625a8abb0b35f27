"""What a body can be told to see, and the sentence when that is not what the plan asks for."""

import pytest
import torch

from merlin_models_torch.masking import CausalMasking, PermutedMasking, RandomMasking, Sight

IDS, LENGTHS = torch.tensor([[3, 4, 5]]), torch.tensor([3])
PLANS = {
    "causal": CausalMasking().predict(IDS, LENGTHS),
    "full": RandomMasking().predict(IDS, LENGTHS),
    "permuted": PermutedMasking().predict(IDS, LENGTHS),
}


def test_what_can_be_seen_passes_and_nothing_else() -> None:
    for able in PLANS:
        sight = Sight("a body", frozenset({able}))  # type: ignore[arg-type]
        for wanted, plan in PLANS.items():
            if wanted == able:
                sight.check(plan)
            else:
                with pytest.raises(ValueError, match=r"^a body "):
                    sight.check(plan)


@pytest.mark.parametrize(
    ("able", "wanted", "text"),
    [
        ("causal", "full", "only what is before a position.*: use CausalMasking, or mend it"),
        ("full", "causal", "causal masking would leak the target: use RandomMasking, or mend it"),
        ("causal", "permuted", "has one stream.*: use CausalMasking, or XLNetBlock with two_streams=True"),
        ("full", "permuted", "has one stream.*: use RandomMasking, or XLNetBlock with two_streams=True"),
    ],
)
def test_the_error_says_what_would_fit(able: str, wanted: str, text: str) -> None:
    sight = Sight("a body", frozenset({able}), remedies={"full": "mend it", "causal": "mend it"})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=text):
        sight.check(PLANS[wanted])
