"""What holds for programs with own trainers and callbacks: they parse, move once, keep other code."""

from __future__ import annotations

import ast

from hypothesis import given, settings
from hypothesis import strategies as st
from merlin_migrate.codemod import rewrite_source

from tests.codemod.test_properties import ODD

# Classes of a program's own, of methods that move and methods that do not.
METHODS = [
    "def compute_loss(self, model, inputs, return_outputs=False):\n"
    "    loss, outputs = super().compute_loss(model, inputs, return_outputs=True)\n"
    "    loss = {factor} * loss\n"
    "    return (loss, outputs) if return_outputs else loss",
    "def compute_loss(self, model, inputs, return_outputs=False):\n"
    "    result = super().compute_loss(model, inputs, return_outputs)\n"
    "    if return_outputs:\n        loss, outputs = result\n        return loss * {factor}, outputs\n"
    "    return result * self.weight()",
    "def weight(self) -> float:\n    return min(1.0, (1.0 + self.state.epoch) / self.args.{argument})",
    "def log(self, logs):\n    logs['{name}'] = self.state.global_step  # a figure\n    super().log(logs)",
    "def create_optimizer(self):\n"
    "    self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.{digit})\n"
    "    return self.optimizer",
    "def training_step(self, model, inputs):\n    self.{name} = 1\n"
    "    return super().training_step(model, inputs)",
    "def evaluate(self, *args, **kwargs):\n    return {{'{name}': 1.0}}",
    "@staticmethod\ndef {name}(x):\n    return x  # plain",
    "{name} = {digit}",
]
EVENTS = [
    "def __init__(self, {name}=1):\n    self.{name} = {name}\n    self.seen = []",
    "def on_epoch_end(self, args, state, control, **kwargs):\n    self.seen.append(state.epoch)",
    "def on_log(self, args, state, control, logs=None, **kwargs):\n"
    "    if logs.get('loss') is not None:\n        self.seen.append(logs['loss'])",
    "def on_train_begin(self, args, state, control, **kwargs):\n    self.{name} = args.{argument}",
    "def on_step_end(self, args, state, control, model=None, **kwargs):\n"
    "    control.should_training_stop = True",
    "def on_evaluate(self, args, state, control, metrics=None, **kwargs):\n"
    "    self.seen.append(metrics['eval_/loss'])",
    "def {name}(self):\n    return self.seen  # plain",
]
OF_TRAINERS = """\
from transformers import TrainerCallback
import torch
import transformers4rec.torch as tr
from transformers4rec.config.trainer import T4RecTrainingArguments
{before}
class Mine(tr.Trainer):
{trainer}

class Told(TrainerCallback):
{callback}

inputs = tr.TabularSequenceFeatures.from_schema(schema, max_sequence_length=20, masking="causal", d_output=8)
body = tr.SequentialBlock(inputs, tr.MLPBlock([8]))
model = tr.Model(tr.Head(body, tr.NextItemPredictionTask(weight_tying=True), inputs=inputs))
args = T4RecTrainingArguments(output_dir="out", max_sequence_length=20, num_train_epochs=2{given})
trainer = {kind}(model=model, args=args, schema=schema, compute_metrics=True{callbacks})
trainer.train_dataset_or_path = "train.parquet"
trainer.eval_dataset_or_path = "valid.parquet"
{uses}
{after}"""


@st.composite
def members(draw: st.DrawFn, choices: list[str]) -> str:
    """The body of a class: some of these members, each name once, with comments between them."""
    made: dict[str, str] = {}
    for text in draw(st.lists(st.sampled_from(choices), max_size=4)):
        filled = text.format(
            name=draw(st.sampled_from(["first", "second"])),
            argument=draw(st.sampled_from(["num_train_epochs", "warm_epochs", "output_dir"])),
            factor=draw(st.sampled_from(["0.5", "self.weight()", "(1 + self.state.epoch)"])),
            digit=draw(st.integers(1, 9)),
        )
        made[filled.partition("(")[0]] = draw(st.sampled_from(["", "# between\n", "\n"])) + filled
    lines = "\n".join(['"""Of the program."""', *made.values()]).split("\n")
    return "\n".join(f"    {line}" if line else "" for line in lines)


@settings(max_examples=60, deadline=None)
@given(
    trainer=members(METHODS),
    callback=members(EVENTS),
    kind=st.sampled_from(["Mine", "Mine", "tr.Trainer"]),
    callbacks=st.sampled_from(["", ", callbacks=[Told()]", ", callbacks=[Told(2)]"]),
    given=st.sampled_from(["", ", learning_rate=0.01", ", logging_steps=10, seed=3"]),
    uses=st.lists(
        st.sampled_from(
            [
                "trainer.train()",
                'found = trainer.evaluate(metric_key_prefix="eval")',
                "trainer.add_callback(Told())",
                "trainer.reset_lr_scheduler()",
                "print(trainer.state.global_step)",
                "for window in range(2):\n"
                '    trainer.train_dataset_or_path = f"{window}"\n'
                "    trainer.train()",
            ]
        ),
        max_size=4,
    ),
    odd=st.lists(st.sampled_from(ODD), max_size=3),
)
def test_programs_with_own_trainers_parse_move_once_and_keep_other_code(
    trainer: str, callback: str, kind: str, callbacks: str, given: str, uses: list[str], odd: list[str]
) -> None:
    before, after = "\n".join(["", *odd[:1], ""]), "\n".join([*odd[1:], ""])
    source = OF_TRAINERS.format(
        before=before,
        trainer=trainer,
        callback=callback,
        kind=kind,
        callbacks=callbacks,
        given=given,
        uses="\n".join(uses),
        after=after,
    )
    result = rewrite_source(source.encode())
    ast.parse(result.after)
    text = result.after.decode()
    assert before.strip("\n") in text
    assert text.endswith(after)
    again = rewrite_source(result.after)
    assert again.after == result.after
    assert again.marks == result.marks
