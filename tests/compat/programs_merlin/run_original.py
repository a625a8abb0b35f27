"""Runs a program on merlin-models 23.12 itself: ``python run_original.py PROGRAM [ARGUMENTS]``.

23.12 makes names of attributes from stages of pytorch_lightning, which later versions write differently; with
that undone, and nothing else, its models train in an environment of today.
"""

import runpy
import sys
import warnings

from pytorch_lightning.trainer.states import TrainerFn

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    TrainerFn.__format__ = lambda self, spec: format(self.value, spec)
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
