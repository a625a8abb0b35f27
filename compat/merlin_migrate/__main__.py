"""``python -m merlin_migrate``."""

import sys

from merlin_migrate.cli import main

if __name__ == "__main__":
    sys.exit(main())
