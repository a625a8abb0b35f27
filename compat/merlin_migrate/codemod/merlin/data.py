"""``merlin.io.Dataset``, ``Loader`` and ``MultiLoader``: one loader reads files, tables and frames."""

from __future__ import annotations

import libcst as cst

from merlin_migrate.codemod.layout import bind, code, is_plain, keyword, renamed, with_args
from merlin_migrate.codemod.rule import Rule

DATASET = "merlin.io.Dataset"
LOADER = "merlin.dataloader.torch.Loader"
MULTI = "merlin.models.torch.MultiLoader"
# Methods of a model and of a batch that look at a data set.
_ASKS = ("initialize", "sample_from")
_TRAINER = ("fit", "validate", "test", "predict")
_PARTS = ("train", "valid", "test")
_GIVEN_TO = {"fit": ("train", "valid"), "validate": ("valid",), "test": ("test",)}
_ASKED = {"train_dataloader": "train", "val_dataloader": "valid", "test_dataloader": "test"}


class Data:
    """Plans and writes what becomes of a program's data.

    Args:
        rule: that asks for it.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule = rule

    def takes(self, call: cst.Call) -> bool:
        """Whether the call is one of data."""
        return any(self.rule.is_call_of(call, name) for name in (DATASET, LOADER, MULTI))

    def plan(self, call: cst.Call) -> None:
        """Looks whether a call can be followed.

        Raises:
            ValueError: if not, with the reason.
        """
        if self.rule.is_call_of(call, DATASET):
            self._dataset(call)
        elif self.rule.is_call_of(call, LOADER):
            self._check_loader(call)
        elif self.rule.is_call_of(call, MULTI):
            self._check_parts(call)
        else:
            raise ValueError("")

    def _dataset(self, call: cst.Call) -> dict[str, cst.Arg]:
        """Source and schema of a data set."""
        bound = bind(call, ("path_or_source", "engine", "part_size"))
        if bound is None or not {"path_or_source"} <= set(bound) <= {"path_or_source", "engine", "schema"}:
            raise ValueError("a Dataset is followed with a source, an engine and a schema only")
        if "engine" in bound and code(bound["engine"].value).strip("'\"") not in ("parquet", "None"):
            raise ValueError(f"Dataset with engine={code(bound['engine'].value)} has no successor")
        variable = self._variable(call)
        if variable is None:
            above = self.rule.parent(call)
            if not isinstance(above, (cst.Arg, cst.Attribute)):
                raise ValueError("the Dataset is not followed where it stands")
            return bound
        for use in self.rule.uses(variable):
            above = self.rule.parent(use)
            if isinstance(above, cst.Attribute) and above.attr.value == "schema":
                continue
            inside = self.rule.parent(above) if isinstance(above, cst.Arg) else None
            known = isinstance(inside, cst.Call) and (
                self.rule.is_call_of(inside, LOADER)
                or self.rule.is_call_of(inside, MULTI)
                or (isinstance(inside.func, cst.Attribute) and inside.func.attr.value in _ASKS)
            )
            if not known:
                raise ValueError(
                    f"the data set {variable.value} is used for more than loaders and its schema"
                )
        if not is_plain(bound["path_or_source"].value):
            raise ValueError("the source of the data set is computed in place: give it a name before")
        return bound

    def _variable(self, call: cst.Call) -> cst.Name | None:
        assign = self.rule.parent(call)
        if not isinstance(assign, cst.Assign) or len(assign.targets) != 1:
            return None
        target = assign.targets[0].target
        if not isinstance(target, cst.Name) or self.rule.assignment(target) is not assign:
            raise ValueError("a Dataset is followed through a variable that is assigned once only")
        return target

    def _initializes(self, use: cst.CSTNode) -> bool:
        """Whether a data set goes into ``model.initialize(...)`` only, which goes away."""
        arg = self.rule.parent(use)
        call = self.rule.parent(arg) if isinstance(arg, cst.Arg) else None
        func = call.func if isinstance(call, cst.Call) else None
        return isinstance(func, cst.Attribute) and func.attr.value == "initialize"

    def of(self, node: cst.BaseExpression) -> tuple[cst.BaseExpression, cst.BaseExpression]:
        """Source and schema of the data set that an expression names or makes."""
        call = self.rule.origin(node)
        if not isinstance(call, cst.Call) or not self.rule.is_call_of(call, DATASET):
            raise ValueError(f"{code(node)} is not a Dataset made in the same function")
        bound = self._dataset(call)
        source = bound["path_or_source"].value
        if "schema" not in bound:
            if not is_plain(source):
                raise ValueError("the source of the data set is computed in place: give it a name before")
            load = cst.Attribute(self.rule.api("Schema"), cst.Name("load"))
            return source, cst.Call(load, [cst.Arg(source)])
        schema = bound["schema"].value
        if node is not call and not is_plain(schema):
            return source, cst.Name(f"{code(node)}_schema")
        return source, schema

    def _check_loader(self, call: cst.Call) -> None:
        self._loader(call)
        assign = self.rule.parent(call)
        target = assign.targets[0].target if isinstance(assign, cst.Assign) else None
        if isinstance(target, cst.Name):
            for use in self.rule.uses(target):
                self._goes_to_trainer(use)
        else:
            self._goes_to_trainer(call)

    def _goes_to_trainer(self, use: cst.CSTNode) -> None:
        arg = self.rule.parent(use)
        if isinstance(arg, cst.For) and arg.iter is use:
            return  # the rule looks at the loop
        call = self.rule.parent(arg) if isinstance(arg, cst.Arg) else None
        func = call.func if isinstance(call, cst.Call) else None
        if not isinstance(func, cst.Attribute) or func.attr.value not in _TRAINER:
            raise ValueError(
                "batches of mm.ParquetLoader are mm.Batch: a loop over the old loader is rewritten by hand"
            )

    def _loader(self, call: cst.Call) -> cst.Call:
        bound = bind(call, ("dataset", "batch_size", "shuffle"))
        if bound is None or not {"dataset", "batch_size"} <= set(bound) <= {
            "dataset",
            "batch_size",
            "shuffle",
            "drop_last",
        }:
            raise ValueError("a Loader is followed with dataset, batch_size, shuffle and drop_last only")
        source, schema = self.of(bound["dataset"].value)
        args = [renamed(bound["dataset"], None, source), cst.Arg(schema)]
        args += [keyword(name, arg.value) for name, arg in bound.items() if name != "dataset"]
        return with_args(call.with_changes(func=self.rule.api("ParquetLoader")), args)

    def _parts(self, call: cst.Call) -> dict[str, cst.Call]:
        """The loaders of a ``MultiLoader`` by part."""
        bound = bind(call, (*_PARTS, "batch_size"))
        if bound is None or not {"train"} <= set(bound) <= {*_PARTS, "batch_size"}:
            raise ValueError("a MultiLoader is followed with data sets and batch_size only")
        rows = bound["batch_size"].value if "batch_size" in bound else cst.Integer("1024")
        loaders = {}
        for part in _PARTS:
            if part in bound:
                source, schema = self.of(bound[part].value)
                loader = cst.Call(self.rule.api("ParquetLoader"))
                args = [cst.Arg(source), cst.Arg(schema), keyword("batch_size", rows)]
                loaders[part] = with_args(loader, args)
        return loaders

    def _check_parts(self, call: cst.Call) -> None:
        parts = self._parts(call)
        assign = self.rule.parent(call)
        target = assign.targets[0].target if isinstance(assign, cst.Assign) else None
        if not isinstance(target, cst.Name):
            raise ValueError("a MultiLoader is followed through a variable of its own only")
        for use in self.rule.uses(target):
            above = self.rule.parent(use)
            if isinstance(above, cst.Attribute):
                wanted = _ASKED.get(above.attr.value, "")
            else:
                given = self.rule.parent(above) if isinstance(above, cst.Arg) else None
                func = given.func if isinstance(given, cst.Call) else None
                method = func.attr.value if isinstance(func, cst.Attribute) else ""
                wanted = _GIVEN_TO.get(method, ("",))[0]
            if wanted not in parts:
                raise ValueError(f"the loaders {target.value} are used in a way that cannot be followed")

    def _multi(self, node: cst.CSTNode | None) -> dict[str, cst.Call] | None:
        call = self.rule.origin(node) if isinstance(node, cst.Name) else None
        return self._parts(call) if isinstance(call, cst.Call) and self.rule.is_call_of(call, MULTI) else None

    def _variable_of(self, part: str) -> cst.Name:
        return cst.Name(self.rule.program.free(f"{part}_loader"))

    # Doing

    def trained(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression | None:
        """``trainer.fit(model, loaders)`` with loaders of their own, and ``loaders.val_dataloader()``."""
        func = original.func
        if not isinstance(func, cst.Attribute):
            return None
        if func.attr.value in _ASKED and self._multi(func.value) is not None:
            return self._variable_of(_ASKED[func.attr.value])
        wanted = _GIVEN_TO.get(func.attr.value, ())
        given = [self._multi(arg.value) if wanted else None for arg in original.args]
        if not any(given):
            return None
        args: list[cst.Arg] = []
        for parts, arg in zip(given, call.args, strict=True):
            loaders = [part for part in wanted if part in (parts or ())]
            args += [cst.Arg(self._variable_of(part)) for part in loaders] if parts else [arg]
        return with_args(call, args)

    def loader(self, call: cst.Call) -> cst.Call | None:
        """The new loader in the place of an old one."""
        return self._loader(call) if self.rule.is_call_of(call, LOADER) else None

    def schema(self, node: cst.Attribute) -> cst.BaseExpression | None:
        """The schema in the place of ``dataset.schema``."""
        if node.attr.value != "schema" or not self.rule.is_call_of(self.rule.origin(node.value), DATASET):
            return None
        return self.of(node.value)[1]

    def statement(
        self, original: cst.SimpleStatementLine, updated: cst.SimpleStatementLine
    ) -> list[cst.SimpleStatementLine] | None:
        """What comes in the place of a statement that makes data sets or loaders; None if it makes none."""
        assign, new = original.body[0], updated.body[0]
        value = assign.value if isinstance(assign, cst.Assign) else None
        if not isinstance(value, cst.Call) or not isinstance(new, cst.Assign):
            return None
        if self.rule.is_call_of(value, MULTI):
            parts = self._parts(value)
            return [
                cst.SimpleStatementLine(
                    [cst.Assign([cst.AssignTarget(self._variable_of(part))], loader)],
                    leading_lines=updated.leading_lines if part == "train" else (),
                )
                for part, loader in parts.items()
            ]
        if not self.rule.is_call_of(value, DATASET):
            return None
        bound = bind(value, ("path_or_source", "engine")) or {}
        variable = self._variable(value)
        uses = self.rule.uses(variable) if variable is not None else []
        if "schema" not in bound or is_plain(bound["schema"].value) or not isinstance(new.value, cst.Call):
            return []
        if uses and all(self._initializes(use) for use in uses):
            return []
        schema = next(a.value for a in new.value.args if a.keyword and a.keyword.value == "schema")
        target = cst.AssignTarget(cst.Name(f"{code(new.targets[0].target)}_schema"))
        return [updated.with_changes(body=[new.with_changes(targets=[target], value=schema)])]
