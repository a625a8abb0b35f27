"""``python -m merlin_models_torch.cli``."""

import sys

from merlin_models_torch.cli import main

if __name__ == "__main__":
    sys.exit(main())
