"""One arm of one row in a process of its own, told line by line what to do.

``python -m tests.benchmarks.worker MODULE ARM FOLDER SIZE-AS-JSON``; answers each line of standard input by a
line of JSON: "time" runs once and gives seconds, "memory" runs once and gives the extra bytes at the peak,
"save PATH" writes the arrays of the last result.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time
import warnings
from pathlib import Path


def main() -> None:
    module_name, arm, folder, size = sys.argv[1:]
    # Libraries print what they like: only the answers go where the parent reads.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    module = importlib.import_module(module_name)
    if arm == "prepare":
        module.prepare(Path(folder), **json.loads(size))
        return
    import numpy as np
    import torch

    torch.set_num_threads(1)
    run = getattr(module, arm)(Path(folder), **json.loads(size))
    result = None
    for line in sys.stdin:
        command, _, path = line.strip().partition(" ")
        if command == "time":
            result = None
            start = time.process_time()
            result = run()
            answer = time.process_time() - start
        elif command == "memory":
            _warm(torch)
            before = _resident()
            _forget_peak()
            result = run()
            answer = _peak() - before
        else:
            np.savez(path, **module.arrays(result))
            answer = 0.0
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _warm(torch: object) -> None:
    """The libraries' own buffers, which the first product of matrices makes, are not what is measured."""
    small = torch.ones(64, 64, requires_grad=True)  # type: ignore[attr-defined]
    torch.nn.functional.cross_entropy(small @ small, small.detach().argmax(1)).backward()  # type: ignore[attr-defined]


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _forget_peak() -> None:
    """Sets the kernel's mark of the peak back to now, where it lets us."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _peak() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
