"""Files with bytes changed at random, and what reading them comes to, in processes that may crash."""

import json
import os
import random
import resource
import signal
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Of the processor: a machine that is busy with other things is no hang. Of the clock, if nothing runs at all.
SECONDS, WAITED = 20, 300
MEMORY = 16 * 2**30


@dataclass(frozen=True)
class Target:
    """Something that reads a file.

    Args:
        content: the whole file.
        name: of the file.
        read: reads it.
        count: how many damaged ones are read.
        text: whether it is a text, which is also changed by words.
    """

    content: bytes
    name: str
    read: Callable[[Path], Any]
    count: int
    text: bool = False


@dataclass
class Outcome:
    """What came of reading damaged files.

    Args:
        fine: those that were read, as the damage did no harm or cannot be seen.
        refused: those that were refused by an error of ours that names the file.
        wrong: what happened to the others.
        ended: those at which the process ended.
    """

    fine: int = 0
    refused: int = 0
    wrong: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)


def damaged(content: bytes, rng: random.Random, *, text: bool) -> bytes:
    """The content, changed in one way or in several."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8))):
        if not changed:
            break
        place = rng.randrange(len(changed))
        # The end of a parquet file says what the rest is.
        place = max(place, len(changed) - 1 - rng.randrange(600)) if rng.random() < 0.5 else place
        way = rng.randrange(8 if text else 6)
        if way == 0:
            changed[place] ^= 1 << rng.randrange(8)
        elif way == 1:
            changed[place] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))
        elif way == 2:
            changed[place : place + rng.randrange(1, 9)] = rng.randbytes(rng.randrange(1, 9))
        elif way == 3:
            del changed[place : place + rng.randrange(1, 40)]
        elif way == 4:
            other = rng.randrange(len(changed))
            changed[place:place] = changed[other : other + rng.randrange(1, 40)]
        elif way == 5 and rng.random() < 0.3:
            del changed[place:]
        elif way >= 6:
            words = (
                b"null",
                b"-1",
                b"1e999",
                b"NaN",
                b"[]",
                b"{}",
                b'""',
                b"9" * 20,
                b"[[",
                b"true",
            )
            end = place
            while end < len(changed) and chr(changed[end]).isalnum():
                end += 1
            changed[place : max(end, place + 1)] = rng.choice(words)
    return bytes(changed)


def outcome(name: str, target: Target, folder: Path) -> Outcome:
    """Reads damaged files in one process after the other, a new one after each that crashed."""
    found = Outcome()
    number = 0
    while number < target.count:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            try:
                _read_all(name, target, folder, number, writing)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as lines:
            told = [json.loads(line) for line in lines]
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        for one in told:
            if one == "fine":
                found.fine += 1
            elif one == "refused":
                found.refused += 1
            else:
                found.wrong.append(one)
        number += len(told)
        if number < target.count:
            found.ended.append(f"{name} {number}: the process ended with {status}")
            number += 1
    return found


def _read_all(name: str, target: Target, folder: Path, first: int, told: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    path = folder / target.name
    path.parent.mkdir(parents=True, exist_ok=True)
    for number in range(first, target.count):
        rng = random.Random(f"{name} {number}")
        path.write_bytes(damaged(target.content, rng, text=target.text))
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        signal.alarm(WAITED)
        try:
            target.read(path)
            said = "fine"
        except (ValueError, TypeError) as error:
            ours = type(error).__module__.startswith(("merlin_models_torch", "transformers4rec", "builtins"))
            said = "refused" if ours and (str(folder) in str(error)) else _shown(name, number, error)
        except BaseException as error:
            said = _shown(name, number, error)
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        os.write(told, (json.dumps(said) + "\n").encode())


def _shown(name: str, number: int, error: BaseException) -> str:
    frames: Sequence[traceback.FrameSummary] = traceback.extract_tb(error.__traceback__)
    where = [f"{Path(one.filename).name}:{one.lineno}" for one in frames[-3:]]
    return f"{name} {number}: {type(error).__name__}: {str(error)[:150]} at {where}"
