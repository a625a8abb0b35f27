"""``merlin.datasets`` of merlin-models: generated rows of known schemas; real data is refused."""

import os

BASE_PATH: str = os.environ.get(
    "INPUT_DATA_DIR", os.path.join(os.path.expanduser("~"), "merlin-models-data", "")
)
