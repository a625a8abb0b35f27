"""Programs that are not rewritten whole: exactly which names are left to a hand."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from merlin_migrate.codemod import rewrite_source

PROGRAMS = Path(__file__).parents[2] / "tests" / "compat" / "programs"
LEFT = {
    # Two tasks of other kinds than the next item, and training by the model's own fit over a loader.
    "classification": {
        "MM105 a model",
        "MM108 BinaryClassificationTask",
        "MM108 Head",
        "MM108 MerlinDataLoader.from_schema",
        "MM108 Model",
        "MM108 RegressionTask",
    },
    # Given vectors, and a schedule that the core does not have by name.
    "pretrained": {
        "MM102 the argument embeddings_initializers",
        "MM106 the schedule",
        "MM108 PretrainedEmbeddingsInitializer",
        "MM108 TabularSequenceFeatures.from_schema",
    },
    # Masking by permutation, a model made in the call of the trainer, a loop of its own over the loader.
    "batch_inference": {
        "MM102 the masking",
        "MM106 the trainer's",
        "MM108 MerlinDataLoader.from_schema",
        "MM108 T4RecTrainingArguments",
        "MM108 TabularSequenceFeatures.from_schema",
        "MM108 Trainer",
    },
    # Subclasses of the trainer and its arguments.
    "own_trainer": {"MM108 T4RecTrainingArguments", "MM108 Trainer"},
    # Inputs put together by hand.
    "manual_blocks": {
        "MM108 ConcatFeatures",
        "MM108 ContinuousFeatures.from_schema",
        "MM108 MaskedLanguageModeling",
        "MM108 MerlinDataLoader.from_schema",
        "MM108 SequenceEmbeddingFeatures.from_schema",
        "MM108 TabularSequenceFeatures",
    },
    # A masking of the program's own.
    "own_masking": {
        "MM102 the masking",
        "MM108 MaskSequence",
        "MM108 MaskingInfo",
        "MM108 TabularSequenceFeatures.from_schema",
        "MM108 masking_registry",
        "MM108 masking_registry.register",
    },
}


@pytest.mark.parametrize("name", LEFT)
def test_marks_are_these_and_a_second_run_changes_nothing(name: str) -> None:
    result = rewrite_source((PROGRAMS / f"{name}.py").read_bytes())
    ast.parse(result.after)
    found = set()
    for mark in result.marks:
        legacy = re.match(r"transformers4rec[\w.]*?\.((?:[A-Z]|masking_registry)[\w.]*): ", mark.reason)
        first = "a model" if mark.reason.startswith("a model ") else mark.reason
        words = {"MM102": 3, "MM106": 2}.get(mark.rule, 2)
        if mark.reason.startswith("the argument"):
            words = 3
        elif mark.rule == "MM102":
            words = 2
        found.add(f"{mark.rule} {legacy[1] if legacy else ' '.join(first.split()[:words])}")
    assert found == LEFT[name]
    assert not rewrite_source(result.after).changed
