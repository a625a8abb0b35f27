"""What holds for any program: it still parses, a second run changes nothing, other code is left alone."""

from __future__ import annotations

import ast

from hypothesis import given, settings
from hypothesis import strategies as st
from merlin_migrate.codemod import rewrite_source

IMPORTS = st.sampled_from(
    [
        "from transformers4rec import torch as tr",
        "import transformers4rec.torch as tr",
        "from transformers4rec import torch as tr; import os",
        "try:\n    from transformers4rec import torch as tr\nexcept ImportError:\n    tr = None",
    ]
)
LEGACY = [
    "{n} = tr.MLPBlock([64])",
    "{n} = tr.MLPBlock(\n    [64],  # wide\n    activation=None,\n)",
    "{n} = tr.XLNetConfig.build(64, 4, n_layer=2, total_seq_length=20)",
    "{n} = tr.GPT2Config.build(d_model=64, n_head=4, n_layer=2, total_seq_length=20)",
    "{n} = tr.TransformerBlock({m}, masking=inputs.masking)",
    "{n} = tr.SequentialBlock(inputs, {m})",
    "{n} = tr.Block(torch.nn.GRU(8, 8), [None, 20, 8])",
    '{n} = tr.TabularSequenceFeatures.from_schema(schema, masking="mlm", d_output=8)',
    "{n} = tr.NextItemPredictionTask(metrics=[], weight_tying=True)",
    "{n} = tr.Head(body, {m}, inputs=inputs)",
    "{n} = tr.Model({m})",
    "{n} = {m}.to_torch_model(inputs, task)",
    '{n} = tr.T4RecTrainingArguments(output_dir="x", seed=1)',
    "{n} = tr.Trainer(model=model, args={m}, schema=schema)",
    '{n}.train_dataset_or_path = "a"; {n}.train()',
    '{m} = {n}.evaluate()["eval_/loss"]',
    "noise = tr.StochasticSwapNoise(0.1)  # later",
    "print(tr, {n}) if {m} else None",
]
NAMES = st.sampled_from(["a", "b", "config", "task"])
PLAIN = ["x = 1", "# a comment", "", "y = [\n    1,\n]", "z = 'eval' ; w = 2", 'print(f"{x!r:>{y}}")']


@st.composite
def blocks(draw: st.DrawFn, statements: list[str]) -> str:
    """Statements, some in functions, conditions or loops."""
    lines: list[str] = []
    for _ in range(draw(st.integers(1, 7))):
        text = draw(st.sampled_from(statements)).replace("{n}", draw(NAMES)).replace("{m}", draw(NAMES))
        head = draw(st.sampled_from(["", "", "", "if x:", "for i in y:", "def f(a, x):", "with w:"]))
        if head:
            inner = "\n".join(f"    {line}" if line else "" for line in text.split("\n"))
            text = f"{head}\n{inner}\n    pass"
        lines.append(text)
    return "\n".join(lines) + "\n"


@settings(max_examples=60, deadline=None)
@given(imports=IMPORTS, body=blocks([*LEGACY, *LEGACY, *PLAIN[:2]]))
def test_the_output_parses_and_a_second_run_changes_nothing(imports: str, body: str) -> None:
    result = rewrite_source(f"{imports}\n{body}".encode())
    ast.parse(result.after)
    again = rewrite_source(result.after)
    assert again.after == result.after
    assert again.marks == result.marks


@settings(max_examples=40, deadline=None)
@given(body=blocks([*PLAIN, *(text.replace("tr.", "other.") for text in LEGACY[:-4])]))
def test_code_without_legacy_names_is_left_alone(body: str) -> None:
    for imports in ("", "import other\n", "import transformers4rec\nother = transformers4recs\n"):
        source = (imports + body).encode()
        result = rewrite_source(source)
        assert result.marks == ()
        assert result.after.endswith(body.encode())
        assert imports.endswith("recs\n") or not result.changed
