"""``fit_and_evaluate`` written out, which trained and evaluated in time windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import libcst as cst

from merlin_migrate.codemod.layout import code, fit
from merlin_migrate.codemod.training.emit import Emitter
from merlin_migrate.codemod.training.plan import Plan


def windows(
    emit: Emitter,
    updated: cst.SimpleStatementLine,
    plan: Plan,
    given: Mapping[str, cst.BaseExpression],
    result: str | None,
) -> Sequence[cst.BaseStatement]:
    """``fit_and_evaluate`` written out: the loop over time windows, and the figures of each.

    Args:
        emit: writes the statements.
        updated: the statement that calls it.
        plan: the trainer.
        given: its arguments by name.
        result: variable that takes what it gives; None where that is returned.
    """
    measured = emit.rule.program.free("measured")
    figures = result or emit.rule.program.free("figures")
    folder = code(given["input_dir"])
    window, after = (
        cst.parse_expression(f'f"{{{folder}}}/{{{number}}}/{part}.parquet"')
        for number, part in (("window", "train"), ("window + 1", "valid"))
    )
    block = emit.rule.depth(plan.statement)
    inner = block + 4

    def line(target: str, value: cst.BaseExpression) -> cst.SimpleStatementLine:
        fitted = fit(value, column=inner + len(target) + 3, block=inner)
        return cst.SimpleStatementLine([cst.Assign([cst.AssignTarget(cst.Name(target))], fitted)])

    body = [
        line("train_loader", emit.loader_call(window, plan, "train_dataset_or_path")),
        line(plan.name, emit.lightning(plan.options)),
        cst.parse_statement(f"{plan.name}.fit({code(plan.model)}, train_loader)"),
        line("eval_loader", emit.loader_call(after, plan, "eval_dataset_or_path")),
        line(measured, emit.validate(plan)),
        cst.parse_statement(
            f'for key in sorted(key for key in {measured} if "_at_" in key):\n'
            '    name = "indexed_by_time_" + key.replace("_at_", "@")\n'
            f"    {figures}.setdefault(name, []).append({measured}[key])\n"
        ),
    ]
    first, last = code(given["start_time_index"]), code(given["end_time_index"])
    loop = cst.parse_statement(f"for window in range({first}, {last} + 1):\n    pass\n")
    loop = loop.with_changes(body=cst.IndentedBlock(body))
    start = cst.parse_statement(f"{figures} = {{}}")
    lines: list[Any] = [start.with_changes(leading_lines=updated.leading_lines), loop]
    if result is None:
        lines.append(updated.with_changes(body=[cst.Return(cst.Name(figures))], leading_lines=()))
    return lines
