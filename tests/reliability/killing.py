"""Processes that are killed at many moments, and what they have left."""

import os
import random
import resource
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

State = dict[str, str]


@dataclass(frozen=True)
class Scenario:
    """Something that writes.

    Args:
        prepare: makes what is there before, in a folder.
        run: writes into the folder.
        state: what is there by name, told apart by content; fails where something looks whole and is not.
        every: of how many operations one is killed at.
        sized: how many kills in the middle of a file there are.
        timed: how many kills at other moments.
    """

    prepare: Callable[[Path], None]
    run: Callable[[Path], None]
    state: Callable[[Path], State]
    every: int = 1
    sized: int = 2
    timed: int = 1


@dataclass
class Report:
    """What came of the kills: how many of each kind there were, and what was wrong after one."""

    operations: int = 0
    sizes: int = 0
    moments: int = 0
    wrong: list[str] = field(default_factory=list)


def tried(name: str, scenario: Scenario, folder: Path) -> Report:
    """Kills at operations of files, one after the other, in the middle of files, and at random moments."""
    report, rng = Report(), random.Random(name)
    start = folder / "start"
    start.mkdir(parents=True)
    scenario.prepare(start)
    before = scenario.state(start)
    whole = _copy(start, folder / "whole")
    begun = time.monotonic()
    assert _child(scenario.run, whole) == 0, name
    took = time.monotonic() - begun
    after = scenario.state(whole)
    files = [path for path in whole.rglob("*") if path.is_file()]
    sizes = [one.stat().st_size for one in files if not _same(one, start / one.relative_to(whole))]

    def kill(how: Callable[[], None], what: str, *, delay: float | None = None) -> bool:
        place = _copy(start, folder / "killed")
        ended = _child(scenario.run, place, first=how, delay=delay)
        if ended == 0:
            shutil.rmtree(place)
            return False
        try:
            assert ended in (-signal.SIGKILL, -signal.SIGXFSZ), f"it ended with {ended}"
            found = scenario.state(place)
            for key in found.keys() | before.keys():
                allowed = {one for one in (before.get(key), after.get(key)) if one is not None}
                gone = key not in found and key in before
                assert gone or found[key] in allowed, f"{key} is neither what it was nor what it is to be"
            again = _child(scenario.run, place)
            assert again == 0, f"run again, it ended with {again}"
            assert scenario.state(place) == after, "run again, the result is another"
            left = sorted(path.name for path in place.rglob(".*"))
            assert not left, f"run again, {left} are left"
        except Exception as error:
            report.wrong.append(f"{what}: {type(error).__name__}: {error}")
        shutil.rmtree(place)
        return True

    number = 0
    while kill(partial(_kill_at, number, folder / "killed"), f"operation {number}"):
        report.operations += 1
        number += scenario.every
    for _ in range(scenario.sized):
        size = rng.randrange(max(sizes))
        report.sizes += kill(partial(_kill_beyond, size), f"a file of {size} bytes")
    for _ in range(scenario.timed):
        moment = rng.random() * took
        report.moments += kill(lambda: None, f"after {moment:.3f} seconds", delay=moment)
    return report


def _same(one: Path, other: Path) -> bool:
    return other.is_file() and one.read_bytes() == other.read_bytes()


def _copy(start: Path, place: Path) -> Path:
    return Path(shutil.copytree(start, place))


def _child(
    run: Callable[[Path], None],
    folder: Path,
    *,
    first: Callable[[], None] | None = None,
    delay: float | None = None,
) -> int:
    """How a process ended that runs something: 0, the status, or the signal that killed it, negative."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if first is not None:
                first()
            run(folder)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    if delay is not None:
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_OPERATIONS = ("os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.chmod", "shutil.copyfile", "os.truncate")


def _kill_at(number: int, folder: Path) -> None:
    """Kills this process before an operation on files in a folder, by its number."""
    seen = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if event == "open":
            if not isinstance(arguments[2], int) or not arguments[2] & _WRITES:
                return
        elif event not in _OPERATIONS and event != "ctypes.dlsym":
            return
        if event != "ctypes.dlsym" and not str(arguments[0]).startswith(str(folder)):
            return
        if seen == number:
            os.kill(os.getpid(), signal.SIGKILL)
        seen += 1

    sys.addaudithook(hook)


def _kill_beyond(size: int) -> None:
    """Kills this process where a file gets larger, whatever library writes it."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
