"""What variables and calls of the program's own functions hold, one step further than a rule sees."""

from __future__ import annotations

import libcst as cst
from libcst import metadata as meta

from merlin_migrate.codemod.layout import bind, code
from merlin_migrate.codemod.rule import Rule, count_returns

LOADER = "transformers4rec.torch.utils.data_utils.MerlinDataLoader"


DEPTH = 3
"""Functions that an argument is followed through."""


def made(rule: Rule, node: cst.BaseExpression | None, *, depth: int = DEPTH) -> cst.Call | None:
    """The call that made what an expression holds.

    Args:
        rule: that asks.
        node: a call itself, a variable, the call of a function that returns one, or an argument of a function
            that gets the same kind of thing wherever it is called.
        depth: functions to follow an argument through.
    """
    found = rule.origin(node)
    if found is None and isinstance(node, cst.Name) and depth:
        given = [made(rule, value, depth=depth - 1) for value in _given(rule, node)]
        kinds = {code(call.func) for call in given if call is not None}
        return given[0] if given and None not in given and len(kinds) == 1 else None
    if isinstance(found, cst.Call):
        function = rule.function(found.func)
        if function is not None:
            return _returned(rule, function)
    return found if isinstance(found, cst.Call) else None


def _given(rule: Rule, name: cst.Name) -> list[cst.BaseExpression]:
    """What the calls of a function give for one of its parameters; nothing if that cannot be told."""
    scope = rule.scope(name)
    bound = [each.node for each in scope[name.value] if isinstance(each, meta.Assignment)] if scope else []
    parameter = bound[0] if len(bound) == 1 else None
    parameters = rule.parent(parameter) if isinstance(parameter, cst.Param) else None
    function = rule.parent(parameters) if isinstance(parameters, cst.Parameters) else None
    if not isinstance(function, cst.FunctionDef) or not isinstance(parameters, cst.Parameters):
        return []
    if parameters.star_kwarg is not None or isinstance(parameters.star_arg, cst.Param):
        return []
    names = [each.name.value for each in parameters.params]
    calls = [call for call in rule.calls() if isinstance(call.func, cst.Name)]
    given = [bind(call, names) for call in calls if rule.function(call.func) is function]
    if any(arguments is None or name.value not in arguments for arguments in given):
        return []
    return [arguments[name.value].value for arguments in given if arguments is not None]


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
    if call is None:
        return False
    return code(call.func) == f"{rule.program.alias}.Model" or code(call.func) in rule.program.models


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


def over_loader(rule: Rule, node: cst.BaseExpression) -> tuple[cst.Call | None, bool]:
    """The loader that a loop goes over, if it does, and whether its batches are counted.

    Args:
        rule: that asks.
        node: the loader, or ``enumerate`` or ``tqdm`` around it.
    """
    counted = 0
    while isinstance(node, cst.Call) and node.args and (name := _last_name(node.func)) in _AROUND:
        counted += name == "enumerate"
        node = node.args[0].value
    return is_loader(rule, node) if counted < 2 else None, bool(counted)


_AROUND = ("enumerate", "tqdm")


def _last_name(node: cst.BaseExpression) -> str:
    return code(node).rpartition(".")[2]


def first_of_loader(rule: Rule, node: cst.BaseExpression) -> cst.Call | None:
    """The loader whose first pair of inputs and targets an expression is: ``next(iter(loader))``."""
    inner = node
    for name in ("next", "iter"):
        if not isinstance(inner, cst.Call) or code(inner.func) != name or len(inner.args) != 1:
            return None
        inner = inner.args[0].value
    return is_loader(rule, inner)
