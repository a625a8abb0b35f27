"""One whole program in a fresh process, under whichever interpreter runs this.

``python -m tests.benchmarks.program NAME DATA EPOCHS [ARGUMENTS]`` prints JSON: process seconds of the
imports and of the program, given these arguments, once everything is imported.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

from tests.benchmarks.hidden import hide


def main() -> None:
    start = time.process_time()
    name, data, epochs, *arguments = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    hide("matplotlib")
    import torch
    from merlin.io import Dataset  # noqa: F401
    from transformers4rec.config.trainer import T4RecTrainingArguments  # noqa: F401
    from transformers4rec.torch import Trainer  # noqa: F401

    from tests.equivalence.programs import PROGRAMS

    torch.set_num_threads(1)
    imported = time.process_time()
    program = PROGRAMS[name]
    program = replace(program, arguments=(*program.arguments, *arguments))
    program.run(Path(data), seed=1, epochs=int(epochs))
    done = time.process_time()
    answers.write(json.dumps({"import": imported - start, "run": done - imported}))
    answers.flush()


if __name__ == "__main__":
    main()
