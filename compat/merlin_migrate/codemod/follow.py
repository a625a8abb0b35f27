"""What variables and calls of the program's own functions hold, one step further than a rule sees."""

from __future__ import annotations

import libcst as cst

from merlin_migrate.codemod.layout import code
from merlin_migrate.codemod.rule import Rule, count_returns

LOADER = "transformers4rec.torch.utils.data_utils.MerlinDataLoader"


def made(rule: Rule, node: cst.BaseExpression | None) -> cst.Call | None:
    """The call that made what an expression holds: itself, that of a variable, or what a function returns."""
    found = rule.origin(node)
    if isinstance(found, cst.Call) and isinstance(found.func, cst.Name):
        function = rule.function(found.func)
        if function is not None:
            return _returned(rule, function)
    return found if isinstance(found, cst.Call) else None


def _returned(rule: Rule, function: cst.FunctionDef) -> cst.Call | None:
    """The call that a function of one return statement gives back."""
    last = function.body.body[-1] if function.body.body else None
    small = last.body[-1] if isinstance(last, cst.SimpleStatementLine) else None
    if not isinstance(small, cst.Return) or count_returns(function) != 1:
        return None
    value = rule.origin(small.value)
    return value if isinstance(value, cst.Call) else None


def is_model(rule: Rule, node: cst.BaseExpression | None) -> bool:
    """Whether an expression is a model of the new API."""
    call = made(rule, node) if isinstance(node, cst.Name) else None
    return call is not None and code(call.func) == f"{rule.program.alias}.Model"


def is_inputs(rule: Rule, node: cst.BaseExpression | None) -> bool:
    """Whether an expression is an input block of the new API."""
    call = made(rule, node) if isinstance(node, cst.Name) else None
    return call is not None and code(call.func) == f"{rule.program.alias}.TabularInputBlock"


def is_loader(rule: Rule, node: cst.BaseExpression | None) -> cst.Call | None:
    """The call that made an old loader, if an expression is one."""
    call = made(rule, node)
    func = call.func if call is not None else None
    if not isinstance(func, cst.Attribute) or func.attr.value != "from_schema":
        return None
    entry = rule.entry(func.value)
    return call if entry is not None and entry.name == LOADER else None
