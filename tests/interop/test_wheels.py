"""The wheels beside real merlin-core: installed and removed in both orders, it stays whole."""

import base64
import csv
import hashlib
import itertools
import os
import subprocess
import sys
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = ("merlin-models-torch", "merlin-models-torch-compat")
FALLBACKS = "_fallbacks_of_merlin_models_torch_compat"

pytestmark = pytest.mark.slow


def run(*command):
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    clean["PYTHONDONTWRITEBYTECODE"] = "1"  # no distribution would remove what is compiled later
    command = [str(part) for part in command]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=clean)
    assert ran.returncode == 0, f"{command}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


def wheel_of_installed(name, folder):
    """A wheel with the files of an installed distribution, as its own RECORD lists them."""
    found = distribution(name)
    info = next(file.parts[0] for file in found.files if file.name == "METADATA")
    wheel = folder / f"{info.removesuffix('.dist-info')}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for file in found.files:
            left_out = file.suffix == ".pyc" or file.name in (
                "INSTALLER",
                "REQUESTED",
                "direct_url.json",
                "RECORD",
            )
            if not left_out and ".." not in file.parts:
                archive.write(file.locate(), str(file))
        archive.writestr(f"{info}/RECORD", "")
    return wheel


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheels")
    isolation = ["--no-isolation"] if find_spec("hatchling") else []
    for source in (ROOT, ROOT / "compat"):
        run(sys.executable, "-m", "build", "--wheel", *isolation, "--outdir", folder, source)
    try:
        wheel_of_installed("merlin-core", folder)
    except PackageNotFoundError:
        pytest.skip("merlin-core is not installed here")
    built = {wheel.name.partition("-")[0].replace("_", "-"): wheel for wheel in folder.glob("*.whl")}
    assert set(built) == {*OURS, "merlin-core"}
    return built


class Environment:
    """A virtual environment of nothing but what is installed into it."""

    def __init__(self, folder):
        run(sys.executable, "-m", "venv", "--without-pip", folder)
        self.python = folder / "bin" / "python"
        self.site = next((folder / "lib").glob("python*/site-packages"))

    def pip(self, *command):
        run(sys.executable, "-m", "pip", "--python", self.python, "--disable-pip-version-check", *command)

    def install(self, wheel):
        self.pip("install", "--no-deps", "--no-index", "--no-compile", wheel)

    def remove(self, name):
        self.pip("uninstall", "--yes", name)

    def origin(self, module):
        """Where a module would be imported from, below site-packages."""
        code = f"from importlib.util import find_spec; print(find_spec({module!r}).origin)"
        return Path(run(self.python, "-c", code).strip()).relative_to(self.site).as_posix()

    def broken(self, name):
        """Files of a distribution that are missing or changed."""
        info = next(self.site.glob(f"{name.replace('-', '_')}-*.dist-info"))
        bad = []
        for path, digest, _ in csv.reader((info / "RECORD").read_text().splitlines()):
            if not digest:
                continue
            kind, _, expected = digest.partition("=")
            file = self.site / path
            if not file.is_file():
                bad.append(path)
                continue
            found = base64.urlsafe_b64encode(hashlib.new(kind, file.read_bytes()).digest()).rstrip(b"=")
            if found.decode() != expected:
                bad.append(path)
        return bad


@pytest.fixture
def environment(tmp_path):
    return Environment(tmp_path / "venv")


def left_over(environment):
    """Files below the packages' names; pip leaves empty folders of packages without a file of their own."""
    tops = ("merlin", "merlin_models_torch", "merlin_standard_lib", "merlin_migrate", "transformers4rec")
    return [path for top in tops for path in (environment.site / top).rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("ours_first", "ours_removed_first"), list(itertools.product([True, False], repeat=2))
)
def test_merlin_core_stays_whole(environment, wheels, ours_first, ours_removed_first):
    core, ours = [wheels["merlin-core"]], [wheels[name] for name in OURS]
    for wheel in [*ours, *core] if ours_first else [*core, *ours]:
        environment.install(wheel)
    assert environment.broken("merlin-core") == []
    assert environment.origin("merlin.schema") == "merlin/schema/__init__.py"
    assert environment.origin("merlin.io") == "merlin/io/__init__.py"
    assert environment.origin("merlin.core") == "merlin/core/__init__.py"
    assert environment.origin("transformers4rec") == "transformers4rec/__init__.py"
    if ours_removed_first:
        for name in reversed(OURS):
            environment.remove(name)
        assert environment.broken("merlin-core") == []
        assert environment.origin("merlin.schema") == "merlin/schema/__init__.py"
        environment.remove("merlin-core")
    else:
        environment.remove("merlin-core")
        for name in OURS:
            assert environment.broken(name) == []
        assert environment.origin("merlin.schema") == f"merlin/{FALLBACKS}/schema/__init__.py"
        for name in reversed(OURS):
            environment.remove(name)
    assert left_over(environment) == []


def test_our_wheels_name_no_file_of_a_merlin_package(wheels):
    names = zipfile.ZipFile(wheels["merlin-models-torch-compat"]).namelist()
    below = {name.split("/")[1] for name in names if name.startswith("merlin/")}
    assert below == {"__init__.py", FALLBACKS}
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"transformers4rec", "merlin_standard_lib", "merlin", "merlin_migrate"}
