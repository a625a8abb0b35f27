"""What holds for everything in ``mm.__all__``: documented, built, learning, saved, loaded and copied."""

import copy
import inspect
import json
import re
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import merlin_models_torch as mm
from merlin_models_torch.serialize import from_config, to_config
from tests.contract.cases import CASES, MODELS, Case, tensors

PUBLIC = sorted(mm.__all__)


def kind(name: str) -> str:
    public = getattr(mm, name)
    if inspect.isclass(public):
        return "module" if issubclass(public, nn.Module) else "class"
    return "package" if inspect.ismodule(public) else "function"


MODULES = [name for name in PUBLIC if kind(name) == "module"]
BUILDERS = [name for name in PUBLIC if kind(name) == "function" and name.endswith("Model")]
KNOWN = {**CASES, **MODELS}
CONFIGURED = [name for name in KNOWN if not KNOWN[name].config]


def case(name: str) -> Case:
    if name not in KNOWN:
        pytest.fail(f"mm.{name} has no entry in tests/contract/cases.py: add one")
    return KNOWN[name]


def outputs(module: nn.Module, inputs: tuple[Any, ...]) -> list[Tensor]:
    module.eval()
    torch.manual_seed(0)
    with torch.no_grad():
        return list(tensors(module(*inputs)))


def assert_equal(found: list[Tensor], wanted: list[Tensor]) -> None:
    assert len(found) == len(wanted) > 0
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)


class TestNames:
    def test_they_are_sorted_and_exist_once(self) -> None:
        assert len(set(mm.__all__)) == len(mm.__all__)
        assert set(mm.__all__) <= set(dir(mm))

    def test_the_table_has_no_other_names(self) -> None:
        assert sorted(CASES) == MODULES

    def test_every_builder_has_a_model_in_the_table(self) -> None:
        assert {*BUILDERS} <= {*MODELS}, f"add {sorted({*BUILDERS} - {*MODELS})} to MODELS of cases.py"


# Looked up before torch.compile, in another test, puts its own in the place of the first.
_WITHOUT_ARGUMENTS = (nn.Module.__init__, object.__init__)


def arguments(public: Any) -> list[str]:
    """Names of what a caller may pass, of those that are the class's own."""
    protocol = inspect.isclass(public) and getattr(public, "_is_protocol", False)
    if protocol or (inspect.isclass(public) and issubclass(public, Enum)):
        return []
    if inspect.isclass(public) and inspect.unwrap(public.__init__) in _WITHOUT_ARGUMENTS:
        return []
    return list(inspect.signature(public).parameters)


class TestDocumentation:
    @pytest.mark.parametrize("name", PUBLIC)
    def test_it_begins_with_a_sentence(self, name: str) -> None:
        doc = inspect.getdoc(getattr(mm, name)) or ""
        summary = doc.split("\n\n")[0]
        assert summary, f"mm.{name} has no docstring"
        assert summary.rstrip().endswith((".", ")", ":")), summary

    @pytest.mark.parametrize("name", [name for name in PUBLIC if kind(name) != "package"])
    def test_every_argument_is_described(self, name: str) -> None:
        public = getattr(mm, name)
        doc = inspect.getdoc(public) or ""
        missing = [
            argument
            for argument in arguments(public)
            if not re.search(rf"^ {{4}}\*{{0,2}}{argument}(, \w+)*:", doc, re.MULTILINE)
        ]
        assert not missing, f"mm.{name} does not describe {missing} under Args"
        assert not arguments(public) or "Args:" in doc

    @pytest.mark.parametrize("name", [name for name in PUBLIC if kind(name) == "function"])
    def test_every_result_is_described(self, name: str) -> None:
        public = getattr(mm, name)
        if inspect.signature(public).return_annotation not in (None, "None"):
            assert "Returns:" in (inspect.getdoc(public) or ""), f"mm.{name} does not say what it returns"

    @pytest.mark.parametrize("name", [name for name in PUBLIC if kind(name) in ("module", "class")])
    def test_every_method_of_ours_is_described(self, name: str) -> None:
        public = getattr(mm, name)
        bare = [
            attribute
            for attribute, value in inspect.getmembers(public)
            if not attribute.startswith("_")
            and (inspect.isroutine(value) or isinstance(value, property))
            and "merlin_models_torch"
            in (getattr(value, "__module__", None) or getattr(getattr(value, "fget", None), "__module__", ""))
            and not inspect.getdoc(value)
        ]
        assert not bare, f"mm.{name} has methods without a docstring: {bare}"


@pytest.mark.parametrize("name", [*MODULES, *MODELS])
class TestModules:
    def test_it_gives_finite_numbers(self, name: str) -> None:
        made = case(name)
        results = outputs(made.made(), made.inputs())
        assert results
        assert all(bool(torch.isfinite(result.double()).all()) for result in results)

    def test_every_parameter_learns(self, name: str) -> None:
        made = case(name)
        module = made.made()
        parameters = {key: value for key, value in module.named_parameters() if value.requires_grad}
        assert bool(parameters) == made.learns
        if not parameters:
            return
        module.train()
        torch.manual_seed(0)
        if made.loss is not None:
            loss = made.loss(module, *made.inputs())
        else:
            # Squares with different weights, so that no gradient cancels.
            results = [result for result in tensors(module(*made.inputs())) if result.requires_grad]
            loss = sum(
                ((result.flatten() * torch.linspace(0.5, 2, result.numel())) ** 2).sum() for result in results
            )  # type: ignore[assignment]
        loss.backward()  # type: ignore[no-untyped-call]
        still = [
            key
            for key, value in parameters.items()
            if not key.startswith(made.unused or ("\0",)) and (value.grad is None or not value.grad.any())
        ]
        assert not still, f"no gradient reaches {still} of mm.{name}"

    def test_the_state_is_parameters_and_buffers(self, name: str) -> None:
        module = case(name).made()
        passing = {
            f"{path}.{key}" if path else key
            for path, inner in module.named_modules(remove_duplicate=False)
            for key in inner._non_persistent_buffers_set
        }
        names = {key for key, _ in module.named_parameters(remove_duplicate=False)}
        names |= {key for key, _ in module.named_buffers(remove_duplicate=False)}
        assert set(module.state_dict()) == names - passing

    def test_a_copy_answers_alike_and_shares_nothing(self, name: str) -> None:
        made = case(name)
        module = made.made()
        wanted = outputs(module, made.inputs())
        twin = copy.deepcopy(module)
        assert_equal(outputs(twin, made.inputs()), wanted)
        ours = {tensor.data_ptr() for tensor in (*module.parameters(), *module.buffers()) if tensor.numel()}
        theirs = {tensor.data_ptr() for tensor in (*twin.parameters(), *twin.buffers()) if tensor.numel()}
        assert not ours & theirs
        with torch.no_grad():
            for parameter in twin.parameters():
                parameter.add_(1.0)
        assert_equal(outputs(module, made.inputs()), wanted)


@pytest.mark.parametrize("name", CONFIGURED)
def test_it_is_built_again_from_json_and_safetensors(name: str, tmp_path: Path) -> None:
    made = case(name)
    module = made.made()
    wanted = outputs(module, made.inputs())
    config, schemas = to_config(module)
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file({key: value.contiguous() for key, value in module.state_dict().items()}, tmp_path / "weights")
    again = from_config(json.loads((tmp_path / "config.json").read_text()), schemas)
    assert type(again) is type(module)
    if not isinstance(again, mm.Model):
        again = made.made(module=again)
    again.load_state_dict(load_file(tmp_path / "weights"))
    assert_equal(outputs(again, made.inputs()), wanted)


def built(name: str) -> tuple[mm.Model, mm.Batch]:
    """A model of the table in evaluation mode, and a batch for it."""
    torch.manual_seed(0)
    model, (batch,) = MODELS[name].build(), MODELS[name].inputs()
    assert isinstance(model, mm.Model)
    return model.eval(), batch


@pytest.mark.parametrize("name", MODELS)
class TestModels:
    def test_it_is_saved_and_loaded(self, name: str, tmp_path: Path) -> None:
        model, batch = built(name)
        model.save(tmp_path / "model")
        assert_equal(outputs(mm.load(tmp_path / "model"), (batch,)), outputs(model, (batch,)))

    @pytest.mark.filterwarnings("ignore")
    def test_it_exports(self, name: str) -> None:
        model, rows = built(name)
        wrapped = FromColumns(model)
        columns = {
            key: rows.padded(key, 9) if isinstance(value, mm.Ragged) else value
            for key, value in rows.features.items()
        }
        rows_dim = torch.export.Dim("rows", min=1, max=4096)
        shapes = ({key: {0: rows_dim} for key in columns},)
        program = torch.export.export(wrapped, (columns,), dynamic_shapes=shapes, strict=False)
        run = program.module()
        for count in (len(rows), 2):
            some = {key: value[:count] for key, value in columns.items()}
            torch.testing.assert_close(run(some), wrapped(some), rtol=1e-5, atol=1e-5)


class FromColumns(nn.Module):
    """A model that takes padded columns by name, as an exported program does."""

    def __init__(self, model: mm.Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, columns: dict[str, Tensor]) -> Tensor:
        result: Tensor = self.model(mm.Batch(columns))
        return result
