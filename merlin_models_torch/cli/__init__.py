"""``merlin-models-torch``: fits, evaluates, answers and reports from the command line."""

from __future__ import annotations

import sys
from collections.abc import Sequence

_COMMANDS = {
    "fit": "train a model by a config file and save it",
    "evaluate": "metrics of a saved model",
    "predict": "answers of a saved model, as parquet",
    "report": "a page about a saved model, as HTML",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: arguments; those of the process if not given.

    Returns:
        0 if all is done, 2 if not, with the reason on the standard error.

    Example:
        >>> from merlin_models_torch.cli import main
        >>> main(["--version"])
        merlin-models-torch ...
        0
    """
    command, *rest = [*(sys.argv[1:] if argv is None else argv), ""]
    rest = rest[:-1]
    if command in ("", "-h", "--help"):
        listed = "".join(f"  {name:<10}{what}\n" for name, what in _COMMANDS.items())
        sys.stdout.write(f"usage: merlin-models-torch COMMAND ...\n\n{listed}\nCOMMAND --help says more.\n")
        return 0
    if command == "--version":
        from merlin_models_torch import __version__

        sys.stdout.write(f"merlin-models-torch {__version__}\n")
        return 0
    if command not in _COMMANDS:
        sys.stderr.write(f"merlin-models-torch: {command!r} is no command, expected {', '.join(_COMMANDS)}\n")
        return 2
    try:
        if command == "fit":
            from merlin_models_torch.cli.fit import fit

            return fit(rest)
        from merlin_models_torch.cli.answer import evaluate, predict, report

        return {"evaluate": evaluate, "predict": predict, "report": report}[command](rest)
    except ModuleNotFoundError as error:
        if "jsonargparse" not in str(error):  # Lightning's own error names no module
            raise
        sys.stderr.write("merlin-models-torch: pip install 'merlin-models-torch[cli]' for the command line\n")
        return 2
    except (ValueError, TypeError, OSError) as error:
        sys.stderr.write(f"merlin-models-torch {command}: {error}\n")
        return 2


__all__ = ["main"]
