"""Blocks of V2 that were put together step by step: routes, branches with modules behind them."""

from __future__ import annotations

import libcst as cst

from merlin_migrate.codemod.layout import bind, code, keyword, literal, renamed
from merlin_migrate.codemod.merlin.towers import MLP_OF_TORCH, plain_units, tower
from merlin_migrate.codemod.merlin.uses import V2, short
from merlin_migrate.codemod.rule import Rule

_GROWING = ("ParallelBlock", "repeat_parallel", "repeat_parallel_like")


class Routes:
    """Routers, and ways to fill an input block that a program registered.

    Args:
        rule: that asks for it.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.dropped: set[cst.CSTNode] = set()

    def name(self, node: cst.CSTNode | None) -> str:
        """What is called, from its class on; a function by its own name."""
        name = self.rule.qualified(node.func) if isinstance(node, cst.Call) else None
        if not name or not name.startswith(f"{V2}."):
            return ""
        return short(name) or name.rpartition(".")[2]

    # Routers

    def router(self, call: cst.Call) -> list[cst.Arg]:
        """Arguments of ``mm.TabularInputBlock`` for a ``RouterBlock`` and the statements that fill it.

        Raises:
            ValueError: if they cannot be followed.
        """
        bound = bind(call, ("selectable",))
        assign = self.rule.parent(call)
        target = assign.targets[0].target if isinstance(assign, cst.Assign) else None
        if bound is None or len(bound) != 1 or not isinstance(target, cst.Name):
            raise ValueError("a RouterBlock is followed with a schema, through a variable of its own")
        routes: list[cst.Call] = []
        joined = False
        for use in self.rule.uses(target):
            method = self._method(use)
            if method is None:
                continue
            name, made, line = method
            if name == "add_route":
                routes.append(made)
            elif name == "append" and len(made.args) == 1 and self.name(made.args[0].value) == "Concat":
                joined = True
            else:
                raise ValueError(
                    f"{code(made.func)} of a RouterBlock has no successor that can be written by itself"
                )
            self.dropped.add(line)
        if not joined:
            raise ValueError(
                "the vectors of the RouterBlock are not joined by append(Concat()) where it is made"
            )
        return self._filled(next(iter(bound.values())).value, routes)

    def _method(self, use: cst.CSTNode) -> tuple[str, cst.Call, cst.CSTNode] | None:
        """A method that is called on a variable in a statement of its own: its name, the call, the line."""
        attribute = self.rule.parent(use)
        call = self.rule.parent(attribute) if isinstance(attribute, cst.Attribute) else None
        small = self.rule.parent(call) if isinstance(call, cst.Call) else None
        line = self.rule.parent(small) if isinstance(small, cst.Expr) else None
        if not isinstance(attribute, cst.Attribute) or not isinstance(call, cst.Call):
            return None
        if not isinstance(line, cst.SimpleStatementLine) or len(line.body) != 1:
            raise ValueError(f"{code(attribute)} is followed in a statement of its own only")
        return attribute.attr.value, call, line

    def _filled(self, schema: cst.BaseExpression, routes: list[cst.Call]) -> list[cst.Arg]:
        """The columns that have a route, and what the routes lead to."""
        kinds: dict[str, cst.Call] = {}
        for route in routes:
            bound = bind(route, ("selection", "module"))
            if bound is None or not {"selection", "module"} <= set(bound) <= {"selection", "module", "name"}:
                raise ValueError("a route is followed with a tag and a module only")
            tag = code(bound["selection"].value).rpartition(".")[2]
            module = bound["module"].value
            if not isinstance(module, cst.Call) or tag in kinds or tag not in ("CATEGORICAL", "CONTINUOUS"):
                raise ValueError(f"the route of {code(bound['selection'].value)} cannot be followed")
            kinds[tag] = module
        if not kinds:
            raise ValueError("no route is added to the block where it is made")
        tags = ", ".join(f"mm.Tags.{tag}" for tag in sorted(kinds))
        chosen = self.rule.new(
            f"__schema__.select([{tags}])" if len(kinds) > 1 else f"__schema__.select({tags})", schema=schema
        )
        self.rule.api("Tags")
        args = [cst.Arg(chosen)]
        if "CATEGORICAL" in kinds:
            args += self._tables(kinds["CATEGORICAL"])
        if "CONTINUOUS" in kinds:
            made = kinds["CONTINUOUS"]
            if self.name(made) != "MLPBlock":
                raise ValueError(f"the route to {code(made)} cannot be followed")
            units, dropout = plain_units(tower(made, MLP_OF_TORCH), "the route of continuous columns")
            if dropout is not None:
                raise ValueError(
                    "the route of continuous columns has dropout, which continuous_projection has not"
                )
            args.append(keyword("continuous_projection", self.rule.rewritten(units)))
        return args

    def _tables(self, made: cst.Call) -> list[cst.Arg]:
        bound = bind(made, ("dim",))
        if (
            self.name(made) != "EmbeddingTables"
            or bound is None
            or not {"dim"} <= set(bound) <= {"dim", "seq_combiner"}
        ):
            raise ValueError(f"the route to {code(made)} cannot be followed")
        args = [keyword("embedding_dim", self.rule.rewritten(bound["dim"].value))]
        return args + (
            [keyword("combiner", self.rule.rewritten(bound["seq_combiner"].value))]
            if "seq_combiner" in bound
            else []
        )

    # Registered ways

    def registered(self, name: str) -> cst.FunctionDef | None:
        """The function that the program registered under a name, by ``TabularInputBlock.register_init``."""
        for node in self.rule.tree.all_of(cst.FunctionDef):
            if self._registers(node) == name:
                return node
        return None

    def _registers(self, node: cst.FunctionDef) -> str | None:
        """Under which name a function is registered."""
        if len(node.decorators) != 1:
            return None
        call = node.decorators[0].decorator
        if (
            not isinstance(call, cst.Call)
            or self.name(call) != "TabularInputBlock.register_init"
            or len(call.args) != 1
        ):
            return None
        return str(literal(call.args[0].value))

    def by_registered(self, schema: cst.BaseExpression, name: str) -> list[cst.Arg]:
        """Arguments of ``mm.TabularInputBlock`` for a block that a function of the program fills.

        Raises:
            ValueError: if that cannot be followed.
        """
        function = self.registered(name)
        if function is None or not function.params.params or self._is_used(function):
            raise ValueError(f"init='{name}' is not filled by a function of the program that is followed")
        block = function.params.params[0].name.value
        routes = []
        for line in function.body.body:
            small = (
                line.body[0] if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1 else None
            )
            call = small.value if isinstance(small, cst.Expr) else None
            if isinstance(call, cst.SimpleString):
                continue
            if not isinstance(call, cst.Call) or code(call.func) != f"{block}.add_route":
                raise ValueError(f"the function {function.name.value} does more than add routes")
            routes.append(call)
        args = self._filled(schema, routes)
        self.dropped.add(function)
        return args

    def _is_used(self, function: cst.FunctionDef) -> bool:
        return bool(self.rule.uses(function.name)) if self.rule.scope(function.name) else False

    # Branches

    def grows(self, small: cst.BaseSmallStatement) -> str | None:
        """The variable of parallel branches that a statement ``towers.append(module)`` grows."""
        call = small.value if isinstance(small, cst.Expr) else None
        func = call.func if isinstance(call, cst.Call) else None
        if (
            not isinstance(func, cst.Attribute)
            or func.attr.value != "append"
            or not isinstance(func.value, cst.Name)
        ):
            return None
        return func.value.value if self.name(self.rule.origin(func.value)) in _GROWING else None


def plain_args(call: cst.Call, *left_out: str) -> list[cst.Arg]:
    """The arguments but for some names.

    Raises:
        ValueError: for ``**``.
    """
    if any(arg.star == "**" for arg in call.args):
        raise ValueError(f"the arguments of {code(call.func)} cannot be followed")
    return [arg for arg in call.args if arg.keyword is None or arg.keyword.value not in left_out]


def repeated(call: cst.Call, *, concat: cst.BaseExpression, quirks: list[cst.Arg]) -> list[cst.Arg]:
    """Arguments of ``mm.repeat_parallel``.

    Args:
        call: of the old function.
        concat: what ``agg="concat"`` means.
        quirks: further ones.

    Raises:
        ValueError: if they cannot be followed.
    """
    bound = bind(call, ("module", "n", "agg"))
    if bound is None or not {"module"} <= set(bound) <= {"module", "n", "agg"}:
        raise ValueError(f"the arguments of {code(call.func)} cannot be followed")
    args = [
        renamed(bound["module"], None),
        renamed(bound["n"], None) if "n" in bound else cst.Arg(cst.Integer("1")),
    ]
    if "agg" in bound and code(bound["agg"].value) != "None":
        agg = bound["agg"].value
        if isinstance(agg, cst.SimpleString):
            if literal(agg) != "concat":
                raise ValueError(f"agg={code(agg)} is given as a module")
            agg = concat
        args.append(keyword("agg", agg))
    return [*args, *quirks]
