"""One arm of one row, or several, in a process that is told line by line what to do.

``python -m tests.benchmarks.worker MODULE ARMS FOLDER SIZE-AS-JSON``, the arms separated by commas; answers
each line of standard input by a line of JSON: "time ARM N" runs N times and gives the mean seconds, "memory
ARM" runs once and gives the extra bytes at the peak, "save ARM PATH" runs once and writes the result.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any


def main() -> None:
    module_name, arms, folder, size = sys.argv[1:]
    # Libraries print what they like: only the answers go where the parent reads.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    module = importlib.import_module(module_name)
    if arms == "prepare":
        module.prepare(Path(folder), **json.loads(size))
        return
    import numpy as np
    import torch

    torch.set_num_threads(1)
    runs = {arm: getattr(module, arm)(Path(folder), **json.loads(size)) for arm in arms.split(",")}
    for line in sys.stdin:
        command, arm, *more = line.strip().split(" ", 2)
        if command == "time":
            answer = _mean_seconds(runs[arm], int(more[0]))
        elif command == "memory":
            _warm(torch)
            before = resident()
            forget_peak()
            runs[arm]()
            answer = peak() - before
        else:
            np.savez(more[0], **module.arrays(runs[arm]()))
            answer = 0.0
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _mean_seconds(run: Callable[[], Any], times: int) -> float:
    """Of calls one after the other. Of several a further one before them is not counted.

    A process that has waited for the other arm finds its caches cold.
    """
    if times > 1:
        run()
    seconds = 0.0
    for _ in range(times):
        start = time.process_time()
        result = run()
        seconds += time.process_time() - start
        del result
    return seconds / times


def _warm(torch: object) -> None:
    """The libraries' own buffers, which the first product of matrices makes, are not what is measured."""
    small = torch.ones(64, 64, requires_grad=True)  # type: ignore[attr-defined]
    torch.nn.functional.cross_entropy(small @ small, small.detach().argmax(1)).backward()  # type: ignore[attr-defined]


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def forget_peak() -> None:
    """Sets the kernel's mark of the peak back to now, where it lets us."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def peak() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
