"""``python -m merlin_migrate``."""

import sys

from merlin_migrate.cli import run

if __name__ == "__main__":
    sys.exit(run())
