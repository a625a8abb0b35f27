"""What becomes of a program for V1 of ``merlin.models.torch``: found out before anything is changed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import libcst as cst

from merlin_migrate.codemod.follow import made
from merlin_migrate.codemod.layout import bind, code, with_args
from merlin_migrate.codemod.merlin.towers import tower
from merlin_migrate.codemod.merlin.uses import V2, alias_of, imports, is_v1, short, uses
from merlin_migrate.codemod.merlin.v1_inputs import InputsOfV1
from merlin_migrate.codemod.merlin.v1_models import Model, ModelsOfV1
from merlin_migrate.codemod.merlin.v1_steps import StepsOfV1
from merlin_migrate.codemod.merlin.v1_writer import WriterOfV1
from merlin_migrate.codemod.program import Program
from merlin_migrate.codemod.rule import Rule

_MLP = ("dimensions", "activation", "use_bias", "dropout", "normalization", "filter_features")
_INPUTS = ("TabularFeatures.from_schema", "MergeTabular")
_BODIES = (*_INPUTS, "SequentialBlock")


def chain(node: cst.BaseExpression) -> list[cst.BaseExpression]:
    """The operands of ``a >> b >> c``."""
    if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.RightShift):
        return [*chain(node.left), node.right]
    return [node]


_KEPT = frozenset(
    {
        *("eval", "train", "training", "zero_grad", "requires_grad_", "to", "cpu", "cuda", "apply"),
        *("parameters", "named_parameters", "buffers", "modules", "named_modules", "children"),
        *("state_dict", "load_state_dict"),
    }
)


class PlanOfV1(Rule):
    """The part of the rule that looks; it moves all of a program, or nothing."""

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self._inputs = InputsOfV1(self)
        self._models = ModelsOfV1(self)
        self._steps = StepsOfV1(self)
        self._writer = WriterOfV1(self)
        self._reasons: dict[cst.CSTNode, list[str]] = {}
        self._made: dict[cst.CSTNode, Model] = {}
        self._taken: set[cst.CSTNode] = set()
        # Expressions that are models, and the calls that made them.
        self._of: dict[cst.CSTNode, Model] = {}
        self._blocks: set[cst.CSTNode] = set()
        # ``inputs >> block``, whole ones.
        self._arrows: set[cst.CSTNode] = set()
        self._tables: dict[cst.CSTNode, cst.Name] = {}
        self._trained = False
        self._moves = False

    # What can be done

    def visit_Module(self, node: cst.Module) -> bool:
        """Finds out whether all names can follow."""
        found = list(uses(self, node)) if imports(node) else []
        if not any(is_v1(self, use) for use, _ in found):
            return False
        asked = set(self.program.imports)
        self._plan()
        for use, name in found:
            self._tried(use, partial(self._try, use, name))
        self._moves = not self._reasons
        self.program.stays = not self._moves
        # What was tried has asked for imports; what is done asks again.
        self.program.imports = asked
        if self._moves:
            self.program.alias = alias_of(node) or self.program.alias
        return True

    def _tried(self, at: cst.CSTNode, step: Callable[[], None]) -> None:
        try:
            step()
        except ValueError as error:
            statement = self.statement_of(at)
            if statement is not None:
                self._reasons.setdefault(statement, []).append(str(error))

    def _plan(self) -> None:
        """Finds models, bodies and parts, and what is done with them."""
        for call in self.calls():
            self._tried(call, partial(self._plan_call, call))
        for operation in self.tree.all_of(cst.BinaryOperation):
            if isinstance(operation.operator, cst.RightShift):
                self._tried(operation, partial(self._plan_arrow, operation))
        for name in self.tree.all_of(cst.Name):
            self._tried(name, partial(self._plan_name, name))

    def _plan_call(self, call: cst.Call) -> None:
        model = self._models.model(call)
        if model is not None:
            self._made[call] = model
            self._taken.update(model.taken)
        if self._inputs.name(call) == "TabularFeatures.from_schema":
            self._taken.update(self._inputs.parts(call))
        if self._inputs.name(call) == "MergeTabular":
            _, taken = self._inputs.merged(call)
            self._taken.update(taken)
            self._plan_tables(call, taken)

    def _plan_arrow(self, node: cst.BinaryOperation) -> None:
        """``inputs >> block``; numbers may be shifted, too."""
        above = self.parent(node)
        if isinstance(above, cst.BinaryOperation) and above.left is node:
            return
        parts = chain(node)
        names = [self._inputs.name(made(self, part)) for part in parts]
        if not any(names):
            return
        if names[0] not in _BODIES:
            raise ValueError(
                f"{code(node)} does not begin with an input block or SequentialBlock: write mm.Block(...) of "
                "the parts"
            )
        self._arrows.add(node)

    def _plan_tables(self, call: cst.Call, taken: list[cst.Call]) -> None:
        """``embeddings.embedding_tables`` is asked of the new input block."""
        assign = self.parent(call)
        target = assign.targets[0].target if isinstance(assign, cst.Assign) else None
        for part in taken:
            if self._inputs.name(part) == "EmbeddingFeatures" and isinstance(target, cst.Name):
                self._tables[part] = target

    def _plan_name(self, name: cst.Name) -> None:
        """One use of a variable: of a model, of a body, or of a part that a model takes up."""
        above = self.parent(name)
        if isinstance(above, cst.AssignTarget) or (isinstance(above, cst.Attribute) and above.attr is name):
            return
        if (
            isinstance(above, (cst.Arg, cst.Param)) and above.keyword is name
            if isinstance(above, cst.Arg)
            else False
        ):
            return
        scope = self.scope(name)
        if scope is None or name.value not in scope:
            return
        if self.origin(name) in self._arrows:
            self._check_body(name, above)
        call = made(self, name)
        if call is None:
            return
        if call in self._made:
            self._of[name] = self._made[call]
            self._check_use(name, above, call)
        elif self._inputs.name(call) in _BODIES:
            self._check_body(name, above)
        elif call in self._taken and isinstance(above, cst.Attribute):
            self._check_part(name, above, call)

    def _check_use(self, name: cst.Name, above: cst.CSTNode | None, call: cst.Call) -> None:
        model = self._made[call]
        if isinstance(above, cst.Attribute):
            self._check_method(name, above, model)
        elif isinstance(above, cst.Call) and above.func is name:
            bound = bind(above, ("inputs", "training"))
            plain = bound is not None and "inputs" in bound and set(bound) <= {"inputs", "training"}
            if not plain or (bound and "training" in bound and code(bound["training"].value) != "False"):
                raise ValueError(
                    "a model is called with columns only: mm.Step(model, rows, mode) has its loss"
                )
            if model.several:
                raise ValueError(
                    "what a model of several tasks answers has other names: mm.Step(model, rows, "
                    '"predict").scores has logits by target'
                )
        elif not isinstance(above, (cst.Arg, cst.Return)):
            raise ValueError(f"the model {name.value} is used in a way that cannot be followed")

    def _check_method(self, name: cst.Name, above: cst.Attribute, model: Model) -> None:
        method = above.attr.value
        call = self.parent(above)
        called = call if isinstance(call, cst.Call) and call.func is above else None
        if method in _KEPT:
            return
        if method == "to_lightning" and called is not None:
            self._trained = True
        elif method in ("fit", "evaluate") and called is not None:
            self._steps.check(method, called)
            if method == "evaluate" and any(head.several for head in model.heads):
                raise ValueError(
                    "evaluate of heads of which one has several tasks has its metrics by task for that head "
                    "only: write the loop with mm.Step, and model.evaluations has them by target"
                )
            self._target(called)
        elif method == "compute_loss" and called is not None:
            bound = bind(called, ("inputs", "targets", "compute_metrics"))
            if bound is None or not {"inputs", "targets"} <= set(bound) <= {
                "inputs",
                "targets",
                "compute_metrics",
            }:
                raise ValueError("the arguments of compute_loss cannot be followed")
        elif method == "heads" and model.heads:
            raise ValueError(
                f"{code(above.value)} has one output for all heads: model.output.outputs has that of each "
                "target"
            )
        elif method == "heads" and self._of_head(above) in ("body", "prediction_task_dict"):
            if self._of_head(above) == "body" and (model.block is not None or len(model.tasks) != 1):
                raise ValueError("the body of the new model holds the blocks before the tasks too")
        else:
            raise ValueError(f"{code(above)} has no successor that can be written by itself")

    def _of_head(self, heads: cst.Attribute) -> str:
        """What is asked of ``model.heads[0]``."""
        first = self.parent(heads)
        asked = (
            self.parent(first) if isinstance(first, cst.Subscript) and code(first.slice[0]) == "0" else None
        )
        return asked.attr.value if isinstance(asked, cst.Attribute) else ""

    def _target(self, call: cst.Call) -> cst.Name | None:
        """The variable that a statement assigns a call to; None for a statement of the call alone.

        Raises:
            ValueError: if it stands elsewhere.
        """
        above = self.parent(call)
        line = self.parent(above) if above is not None else None
        if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1:
            if isinstance(above, cst.Expr):
                return None
            if isinstance(above, cst.Assign) and len(above.targets) == 1:
                target = above.targets[0].target
                if isinstance(target, cst.Name):
                    return target
        raise ValueError(f"what {code(call.func)} gives is followed through a variable of its own only")

    def _check_body(self, name: cst.Name, above: cst.CSTNode | None) -> None:
        if isinstance(above, cst.Attribute):
            method = above.attr.value
            call = self.parent(above)
            if method == "build" and isinstance(self.parent(call) if call else None, cst.Expr):
                self._blocks.add(call)  # type: ignore[arg-type]
            elif method != "to_model" and method not in _KEPT:
                raise ValueError(f"{code(above)} has no successor that can be written by itself")
        elif isinstance(above, cst.Call) and above.func is name:
            raise ValueError(
                f"the block {name.value} is called with columns: the new one takes mm.Batch(columns)"
            )

    def _check_part(self, name: cst.Name, above: cst.Attribute, call: cst.Call) -> None:
        if above.attr.value == "embedding_tables" and call in self._tables:
            return
        if above.attr.value in ("to_model", "to_head"):
            return
        raise ValueError(f"{code(above)} has no successor that can be written by itself")

    def _try(self, use: cst.BaseExpression, name: str) -> None:
        call = self.parent(use)
        if name.startswith("merlin.io.") and name != "merlin.io.Dataset":
            raise ValueError("")
        if name == "merlin.io.Dataset":
            above = self.parent(call) if call is not None else None
            if isinstance(above, cst.Attribute) and above.attr.value == "schema":
                return
            raise ValueError("a Dataset is followed for its schema only: batches of pairs train the model")
        if not name.startswith(f"{V2}."):
            raise ValueError("batches of the old loader are followed for programs of V2 only")
        if not isinstance(call, cst.Call) or call.func is not use:
            if short(name) in ("Schema", "Tag"):
                return
            raise ValueError("")
        if call in self._taken or call in self._made:
            if call in self._made:
                self._writer.written(self._made[call], trained=False)
            return
        self._expressed(call, call)

    def _expressed(self, original: cst.Call, call: cst.Call) -> cst.Call | cst.BaseExpression:
        """A block in the new names.

        Raises:
            ValueError: if that cannot be done.
        """
        name = self._inputs.name(original)
        if name == "TabularFeatures.from_schema":
            return with_args(
                call.with_changes(func=self.api("TabularInputBlock")), self._inputs.from_schema(call)
            )
        if name == "MergeTabular":
            made_of, _ = self._inputs.merged(original)
            return cst.Call(self.api("TabularInputBlock"), made_of)
        if name == "SequentialBlock":
            args = [arg for arg in call.args if not (arg.keyword and arg.keyword.value == "output_size")]
            if any(arg.keyword or arg.star == "**" for arg in args):
                raise ValueError("SequentialBlock has an argument without successor")
            return with_args(call.with_changes(func=self.api("Block")), args)
        if name == "Block":
            bound = bind(call, ("module", "output_size"))
            if bound is None or "module" not in bound:
                raise ValueError("the arguments of Block cannot be followed")
            return bound["module"].value
        if name == "MLPBlock":
            plain = [a for a in call.args if not (a.keyword and a.keyword.value == "filter_features")]
            layers = tower(call.with_changes(args=plain), _MLP)
            return with_args(
                call.with_changes(func=self.api("MLPBlock")),
                [cst.Arg(layers.units), *layers.options.values()],
            )
        raise ValueError("")
