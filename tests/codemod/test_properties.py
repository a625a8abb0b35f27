"""What holds for any program: it still parses, a second run changes nothing, other code is left alone."""

from __future__ import annotations

import ast

from hypothesis import example, given, settings
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
MERLIN_IMPORTS = st.sampled_from(
    [
        "import merlin.models.torch as mm",
        "import merlin.models.torch as mm\nfrom merlin.schema import Schema, Tags\n"
        "import pytorch_lightning as pl",
        "from merlin.io import Dataset\nfrom merlin.dataloader.torch import Loader\n"
        "import merlin.models.torch as mm",
        "import merlin.models.tf as mm",
        "from merlin.models.torch.model.base import Head, Model; import merlin.models.torch as mm",
    ]
)
MERLIN = [
    "{n} = mm.MLPBlock([64])",
    "{n} = mm.MLPBlock(\n    [64],  # wide\n    activation=None,\n)",
    '{n} = mm.TabularFeatures.from_schema(schema, aggregation="concat")',
    "{n} = mm.SequentialBlock({m}, mm.MLPBlock([8]))",
    '{n} = mm.BinaryClassificationTask("click", task_block=mm.MLPBlock([4]))',
    "{n} = mm.Head({m}, mm.RegressionTask('price'))",
    "{n} = mm.Head.from_schema(schema, {m})",
    "{n} = mm.Model({m})",
    "{n} = {m}.to_model(mm.RegressionTask('price'))",
    "losses = {n}.fit(batches, num_epochs=2)  # twice",
    "{n}.fit([(x, y)], optimizer=optimizer)",
    'found = {n}.evaluate(batches, mode="test")',
    'z = {n}.compute_loss(x, {"price": y})',
    "{n} = Dataset('a.parquet', schema=schema)",
    "{n} = Loader({m}, batch_size=8)",
    "{n} = mm.RouterBlock(schema)\n{n}.add_route(Tags.CATEGORICAL, mm.EmbeddingTables(8))\n"
    "{n}.append(mm.Concat())",
    "{n} = mm.Model(mm.TabularInputBlock(schema, init='defaults'), {m}, mm.BinaryOutput(schema['click']))",
    "{n} = mm.ParallelBlock({'a': mm.MLPBlock([8])})\n{n}.append(mm.Concat())",
    "{n} = mm.DLRMModel(schema, dim=8, bottom_block=mm.MLPBlock([8]))",
    "{n} = mm.Model(mm.InputBlockV2(schema), {m}, mm.PredictionTasks(schema))",
    "{n} = mm.TwoTowerModel(schema, query_tower=mm.MLPBlock([8]))",
    "for x, y in {n}:\n    print(mm.Batch(x), {m}(x))",
    "pl.Trainer(max_epochs=1).fit({n}, {m})",
    "print({n}({m})) if len({n}) else None",
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


# Of several uses that cannot be followed, the first is told of: which, was left to chance once.
@example("import merlin.models.torch as mm", "a = mm.RouterBlock(schema)\na.add_route(b)\na.append(c)\n")
@settings(max_examples=60, deadline=None)
@given(imports=MERLIN_IMPORTS, body=blocks([*MERLIN, *MERLIN, *PLAIN[:2]]))
def test_programs_of_merlin_models_parse_and_a_second_run_changes_nothing(imports: str, body: str) -> None:
    result = rewrite_source(f"{imports}\n{body}".encode())
    ast.parse(result.after)
    again = rewrite_source(result.after)
    assert again.after == result.after
    assert again.marks == result.marks


# Lines that no rule has anything to do with, with what an editor or a formatter would change.
ODD = [
    "x  =  1 ; y=2   # caf\xe9,\ttabs and   spaces",
    "z = [ 1,2 ,3,\n      # a comment inside\n   4 ]",
    'w = \'it\'\'s\' + """\n  a text of # several\n\tlines """',
    "if  x :\n\ty = 2\n\tz=3",
    "def f( a,b = 2 )->int :\n      return (a\n  +b)",
    "v = x if(y)else z \\\n    ",
    "@decorated  # here\nclass A( B ) :\n  'what'\n  u=0x_ff",
]


@settings(max_examples=60, deadline=None)
@given(
    odd=st.lists(st.sampled_from(ODD), min_size=1, max_size=5),
    legacy=st.sampled_from(
        ["block = tr.MLPBlock([64])", "block = tr.MLPBlock([64])  # kept", "noise = tr.StochasticSwapNoise()"]
    ),
    newline=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "latin-1", "utf-8-sig"]),
    ends=st.booleans(),
)
def test_what_is_not_legacy_stays_byte_for_byte(
    odd: list[str], legacy: str, newline: str, encoding: str, ends: bool
) -> None:
    before, after = odd[: len(odd) // 2], odd[len(odd) // 2 :]
    head = ["# -*- coding: latin-1 -*-"] if encoding == "latin-1" else []
    lines = [*head, "from transformers4rec import torch as tr", *before, legacy, *after]

    def encoded(text: str) -> bytes:
        return text.replace("\n", newline).encode(encoding.removesuffix("-sig"))

    source = encoded("\n".join(lines) + ("\n" if ends else ""))
    source = b"\xef\xbb\xbf" + source if encoding == "utf-8-sig" else source
    result = rewrite_source(source)
    ours = encoded(legacy)
    first, last = source.partition(ours)[0], source.partition(ours)[2]
    kept = encoded("\n".join(before))
    assert kept in result.after
    assert result.after.endswith(last)
    assert result.after.startswith(first[: first.index(b"from ")])
    assert (b"\r\n" in result.after) == (newline == "\r\n")
    assert newline == "\n" or b"\n" not in result.after.replace(b"\r\n", b"")
    assert not rewrite_source(result.after).changed


@settings(max_examples=40, deadline=None)
@given(body=blocks([*PLAIN, *(text.replace("tr.", "other.") for text in LEGACY[:-4])]))
def test_code_without_legacy_names_is_left_alone(body: str) -> None:
    for imports in ("", "import other\n", "import transformers4rec\nother = transformers4recs\n"):
        source = (imports + body).encode()
        result = rewrite_source(source)
        assert result.marks == ()
        assert result.after.endswith(body.encode())
        assert imports.endswith("recs\n") or not result.changed
