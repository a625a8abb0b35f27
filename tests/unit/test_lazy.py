"""Names of a package are loaded when they are used, and are what its stub says."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES = (
    "merlin_models_torch",
    "merlin_models_torch.data",
    "merlin_models_torch.metrics",
    "merlin_models_torch.outputs",
)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_name_is_found_and_no_module_can_take_its_place(package):
    module = importlib.import_module(package)
    folder = Path(module.__file__).parent
    assert module.__all__
    for name in module.__all__:
        value = getattr(module, name)
        is_module = (folder / f"{name}.py").exists() or (folder / name).is_dir()
        assert is_module == (value is sys.modules.get(f"{package}.{name}"))
    assert set(module.__all__) <= set(dir(module))


@pytest.mark.parametrize("package", PACKAGES)
def test_the_stub_exports_just_these_names(package):
    module = importlib.import_module(package)
    stub = Path(module.__file__).with_suffix(".pyi").read_text()
    exported: dict[str, list[str]] = {}
    exec(stub[stub.index("__all__") :], exported)
    assert module.__all__ == sorted(exported["__all__"])


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"_torch\.data' has no attribute 'Parquetloader'$"):
        importlib.import_module("merlin_models_torch.data").Parquetloader  # noqa: B018


def test_data_and_losses_do_not_wait_for_lightning():
    code = (
        "import sys; import merlin_models_torch as mm; mm.ParquetLoader, mm.softmax_cross_entropy; "
        "print('lightning' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
