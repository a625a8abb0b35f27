"""``on_log`` of a callback: what Hugging Face would have told it, put together from Lightning's hooks."""

from __future__ import annotations

import re

import libcst as cst

from merlin_migrate.codemod.layout import code, fit
from merlin_migrate.codemod.trainers.events import Moved, measured, translated
from merlin_migrate.codemod.trainers.statements import (
    Body,
    NotMoved,
    Truth,
    body_of,
    names_in,
    returned,
    settled,
    statement,
)
from merlin_migrate.codemod.tree import walk

KEYS = {
    "training": {"loss", "learning_rate", "epoch"},
    "evaluation": {"epoch"},
    "end": {"train_runtime", "train_samples_per_second", "train_steps_per_second", "total_flos"}
    | {"train_loss", "epoch"},
}
"""What is logged when; evaluation has the metrics besides, whose names begin with ``eval_``."""
_IN = re.compile(r"""^["'](?P<key>[^"']+)["'] (?P<not>not )?in (?P<name>\w+)(\.keys\(\))?$""")
_GET = re.compile(
    r"""^(?P<name>\w+)\.get\(["'](?P<key>[^"']+)["'](, None)?\)(?P<is> is (?P<not>not )?None)?$"""
)
_ANY = re.compile(r"""^any\((?P<k>\w+)\.startswith\(["']eval""")


ENTRY = {
    "loss": "round(sum(self.{waiting}) / len(self.{waiting}), 4)",
    "learning_rate": 'trainer.optimizers[0].param_groups[0]["lr"]',
    "epoch": "round(trainer.global_step / trainer.num_training_batches, 2)",
}
"""An entry of training, as Hugging Face makes it."""
DEPTH = {"steps": 12, "epoch": 8}
"""Columns before it."""


def moved_log(method: cst.FunctionDef, strategy: str, waiting: str = "waiting") -> Moved:
    """What ``on_log`` does, where there is something to log.

    Args:
        method: the event.
        strategy: "steps", "epoch" or "no": when the program logs.
        waiting: attribute for the losses since the last entry.

    Raises:
        NotMoved: if it uses what Lightning does not tell.
    """
    name = _logs(method)
    moved = Moved()
    parts = {moment: settled(body_of(method), truth_of(name, moment)) for moment in KEYS}
    if training := _what_is_done(parts["training"]):
        _in_training(method, training, strategy, waiting, moved)
    if evaluation := _what_is_done(parts["evaluation"]):
        lines = translated(method, "on_validation_end", evaluation, moved)
        moved.bodies["on_validation_end"] = [measured("logs"), *lines] if _reads(lines, "logs") else lines
    if _what_is_done(parts["end"]):
        moved.differs.append(
            "on_log is not called at the end of training any more, with train_runtime and the like"
        )
    return moved


def _logs(method: cst.FunctionDef) -> str:
    names = [each.name.value for each in (*method.params.params, *method.params.kwonly_params)]
    if "logs" in names:
        return "logs"
    rest = method.params.star_kwarg
    if rest is not None:
        return f'{rest.name.value}["logs"]'
    raise NotMoved("on_log does not take logs")


def truth_of(logs: str, moment: str) -> Truth:
    """What is known of the entry that is logged at a moment.

    Args:
        logs: the variable that holds it.
        moment: a key of :data:`KEYS`.
    """

    def truth(text: str) -> bool | None:
        if text in (logs, f"{logs} is not None"):
            return True
        if text == f"{logs} is None":
            return False
        if (found := _ANY.match(text)) and text.endswith(f"in {logs})"):
            return moment == "evaluation"
        found = _IN.match(text) or _GET.match(text)
        if found is None or found["name"] != logs:
            return None
        there = found["key"] in KEYS[moment] or (moment == "evaluation" and found["key"].startswith("eval_"))
        if "get(" in text and found["is"] is None:
            return None if there else False
        return there is (found["not"] is None) if " in " in text else there is (found["not"] is not None)

    return truth


def _what_is_done(lines: Body) -> Body:
    """The statements, if there are any but ``return`` and ``pass``."""
    idle = all(
        isinstance(line, cst.SimpleStatementLine)
        and all(isinstance(small, (cst.Pass, cst.Return)) for small in line.body)
        for line in lines
    )
    return [] if idle else lines


def _reads(lines: Body, name: str) -> bool:
    return any(each.value == name for each in names_in(lines))


def _keys_read(lines: Body, name: str) -> set[str] | None:
    """The keys that are read of a dict; None where it is used as a whole."""
    keys, seen = set(), 0
    for line in lines:
        for node in walk(line):
            if isinstance(node, cst.Subscript) and code(node.value) == name:
                keys.add(code(node.slice[0]).strip("'\""))
                seen += 1
    whole = seen != sum(each.value == name for each in names_in(lines)) or not keys <= set(ENTRY)
    return None if whole else keys


def _in_training(method: cst.FunctionDef, body: Body, strategy: str, waiting: str, moved: Moved) -> None:
    """The mean loss since the last entry, at each step or epoch that is logged."""
    if strategy == "no":
        return
    hook = "on_train_batch_end" if strategy == "steps" else "on_train_epoch_end"
    lines = translated(method, hook, body, moved)
    if strategy == "steps" and returned(lines):
        raise NotMoved("on_log returns early, behind which steps would not be counted")
    read = _keys_read(lines, "logs")
    entry = {key: text for key, text in ENTRY.items() if read is None or key in read}
    texts = ", ".join(f'"{key}": {text.format(waiting=waiting)}' for key, text in entry.items())
    emptied = statement(f"self.{waiting} = []")
    shown = fit(cst.parse_expression(f"{{{texts}}}"), column=DEPTH[strategy] + 7, block=DEPTH[strategy])
    made = cst.SimpleStatementLine([cst.Assign([cst.AssignTarget(cst.Name("logs"))], shown)])
    lines = [*([made] if entry else []), emptied, *lines]
    counted = statement(f'self.{waiting}.append(float(outputs["loss"]))')
    moved.bodies["on_train_start"] = [emptied]
    moved.logs = strategy == "steps"
    if strategy == "epoch":
        moved.bodies["on_train_batch_end"] = [counted]
        moved.bodies[hook] = lines
        return
    due = statement("if trainer.global_step % trainer.log_every_n_steps == 0:\n    pass\n")
    moved.bodies[hook] = [counted, due.with_changes(body=cst.IndentedBlock(lines))]
