"""Records what the original Transformers4Rec 23.12.0 does. Runs under the reference interpreter only.

``python -m tests.equivalence.record FOLDER`` leaves in FOLDER, for each masking, ``<masking>.safetensors``
and ``<masking>.json``, beside the data that they were made from.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import time
from pathlib import Path

import torch
from safetensors.torch import save_file

from tests.equivalence.make_data import write_observed_data
from tests.equivalence.observe import MASKINGS, observe

REFERENCE = "23.12.0"


def record(folder: Path) -> None:
    """Writes the data and the observations of every masking.

    Args:
        folder: where to; made if needed.

    Raises:
        RuntimeError: if the installed transformers4rec is not the reference.
    """
    installed = importlib.metadata.version("transformers4rec")
    if installed != REFERENCE:
        raise RuntimeError(
            f"the reference is transformers4rec {REFERENCE}, but {installed} is installed here"
        )
    data = write_observed_data(folder)
    versions = {name: importlib.metadata.version(name) for name in ("torch", "transformers", "torchmetrics")}
    for masking in MASKINGS:
        tensors, rest = observe(data, folder / "scratch", masking)
        save_file(
            {name: tensor.contiguous() for name, tensor in tensors.items()}, folder / f"{masking}.safetensors"
        )
        text = json.dumps({"recorded_at": time.time(), "versions": versions, **rest}, indent=2)
        (folder / f"{masking}.json").write_text(text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    torch.set_num_threads(1)
    record(parser.parse_args().folder)
