"""Records the original and compares the drop-in with it.

``python -m tests.equivalence --reference-python PATH``, run by the interpreter of the modern environment.
Everything is recorded anew into a temporary folder; nothing recorded before is read.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.equivalence.cases import areas
from tests.equivalence.make_data import write_observed_data
from tests.equivalence.programs import PROGRAMS, SHORTENED, write_data

ROOT = Path(__file__).parents[2]
SHORT = 1
V1 = "merlin_v1"
"""The area of cases that the original of V1 records."""


def start(python: str, module: str, *arguments: object, first: Path | None = None) -> subprocess.Popen[str]:
    """A module of this package under an interpreter, on one thread, its output kept for when it fails.

    Args:
        python: the interpreter.
        module: its name here.
        *arguments: of its command line.
        first: a folder of packages that win over the interpreter's own.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    if python != sys.executable:
        environment.pop("PYTHONPATH", None)  # the drop-in's name is the original's
    if first is not None:
        environment["PYTHONPATH"] = str(first)
    command = [python, "-W", "ignore", "-m", f"tests.equivalence.{module}", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, cwd=ROOT, env=environment, text=True, **pipes)


def finish(processes: list[subprocess.Popen[str]]) -> None:
    """Waits for all.

    Raises:
        SystemExit: if one of them failed, with its output.
    """
    outputs = [process.communicate()[0] for process in processes]
    for process, output in zip(processes, outputs, strict=True):
        if process.returncode:
            raise SystemExit(f"{' '.join(process.args)} failed:\n{output}")


def record_cases(folder: Path, reference: str, wanted: list[str]) -> None:
    """The cases of some areas, two processes at a time, then those of V1 in one that finds 23.02 first."""
    others = [area for area in wanted if area != V1]
    halves = [half for half in (others[::2], others[1::2]) if half]
    finish([start(reference, "record_cases", folder, *half) for half in halves])
    if V1 in wanted:
        finish([start(reference, "record_cases", folder, V1, first=packages_of_v1(reference))])


def packages_of_v1(reference: str) -> Path:
    """The folder of merlin-models 23.2.0, beside the interpreter's environment.

    Raises:
        SystemExit: if it is not there.
    """
    folder = Path(reference).parents[1] / "v1"
    if not (folder / "merlin" / "models").is_dir():
        pip = f"{reference} -m pip install --no-deps --target {folder} merlin-models==23.2.0"
        raise SystemExit(f"{folder} has no merlin-models 23.2.0, whose V1 is recorded: run `{pip}`")
    return folder


def record(folder: Path, reference: str) -> None:
    """The exact recordings, and the whole programs of the statistical arm on both sides, two at a time."""
    finish([start(reference, "record", folder)])
    record_cases(folder, reference, areas())
    statistical = folder / "statistical"
    data = write_data(statistical / "data")
    runs: list[tuple[object, ...]] = []
    for name in PROGRAMS:
        runs.append((reference, "programs", data, statistical / f"original-{name}.json", name))
        runs.append((sys.executable, "programs", data, statistical / f"dropin-{name}.json", name))
    for name in SHORTENED:
        out = statistical / f"short-{name}.json"
        runs.append((reference, "programs", data, out, name, "--epochs", SHORT))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda run: finish([start(*run)]), runs))


def main() -> int:
    """Records, then runs the tests of this folder on the recording; their exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.equivalence", description=__doc__)
    needs = "interpreter with transformers4rec 23.12.0, made with reference-constraints.txt"
    parser.add_argument("--reference-python", required=True, help=needs)
    parser.add_argument("--area", action="append", choices=areas(), help="only the cases of this area")
    parser.add_argument("pytest", nargs="*", help="further arguments for pytest, after --")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="equivalence-") as folder:
        if given.area:
            write_observed_data(Path(folder))
            record_cases(Path(folder), given.reference_python, given.area)
            wanted = [
                str(Path(__file__).with_name("test_cases.py")),
                "-k",
                " or ".join(f"{area}/" for area in given.area),
            ]
        else:
            record(Path(folder), given.reference_python)
            wanted = [str(Path(__file__).parent)]
        environment = {**os.environ, "EQUIVALENCE_DIR": folder}
        command = [sys.executable, "-m", "pytest", "-q", "-rs", *wanted, *given.pytest]
        return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main())
